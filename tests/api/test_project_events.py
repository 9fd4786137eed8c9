"""A project's events in one stream: complete, in order, and closed to everybody else."""

import json
import secrets
import socket
import threading
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.project_events.records import BEGINNING, Place, parse_cursor
from core.kit.db import Database
from core.kit.ids import JOB, decode
from core.kit.metrics import SSE_STREAMS_OPEN
from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, revoke_key, running_api
from tests.factories.attempts import attempt
from tests.factories.waiting import wait_until
from waybill.client.sse import Decoder

pytestmark = pytest.mark.own_database

SUBMIT = {"capability": "probe.act", "input": {"act": "noop"}}


@pytest.fixture
def api(fresh_api: RunningApi) -> RunningApi:
    fresh_api.key = issue_key(fresh_api.settings, project=f"p{secrets.token_hex(6)}")
    return fresh_api


class Follower:
    """Follows a path on a thread of its own until its connection ends."""

    def __init__(self, client: httpx.Client, path: str = "/v1/events", cursor: str | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.cursor = cursor
        self.is_open = False
        self._client = client
        self._path = path
        self._stop = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.events) >= count, timeout_seconds=15, what=f"{count} events, got {self.names}")

    def wait_for_names(self) -> None:
        wait_until(lambda: bool(self.names), timeout_seconds=10, what="anything to come")

    def wait_until_open(self) -> None:
        wait_until(lambda: "stream.opened" in self.names, timeout_seconds=10, what="the stream to open")

    def _read(self) -> None:
        decoder = Decoder()
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        try:
            with self._client.stream("GET", self._path, headers=headers, timeout=60) as response:
                for chunk in response.iter_bytes():
                    for found in decoder.feed(chunk):
                        self.names.append(found.event)
                        self.cursor = found.id
                        if found.event not in {"gap", "stream.opened"}:
                            self.events.append(json.loads(found.data))
        except httpx.HTTPError:
            return


def submit(client: httpx.Client, **more: Any) -> str:
    answer = client.post("/v1/jobs", json={**SUBMIT, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def kept(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    params = {"starting_after": "0", **query, "follow": "false"}
    answer = client.get("/v1/events", params=params)
    assert answer.status_code == 200, answer.text
    found = list(Decoder().decode([answer.content]))
    return [json.loads(one.data) for one in found if one.event not in {"gap", "stream.opened"}]


def placed(client: httpx.Client) -> dict[str, Any]:
    """The first event of a new job, once it has its place: other tests' older transactions come before it (ADR 17)."""
    job, found = submit(client), list[dict[str, Any]]()

    def has_its_place() -> bool:
        found[:] = [event for event in kept(client) if event["job_id"] == job]
        return bool(found)

    wait_until(has_its_place, timeout_seconds=15, what="the event to get its place")
    return found[0]


def order(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["job_id"], event["id"]) for event in events]


def test_a_cursor_comes_back_as_it_was_and_nothing_else_is_one() -> None:
    place = Place(2**40, decode(JOB, "job_01jd3q8v9tfq8a1b2c3d4e5f6g"), 7)
    assert parse_cursor(place.cursor()) == place
    assert parse_cursor("0") == BEGINNING
    for wrong in ("", "1", "x" * 44, place.cursor()[:-1], place.cursor() + "A"):
        with pytest.raises(ValueError, match="cursor"):
            parse_cursor(wrong)


@pytest.mark.survive("S1")
def test_one_stream_follows_all_jobs_and_resumes_after_every_event(api: RunningApi) -> None:
    with api.client() as client:
        live = Follower(client)
        live.wait_until_open()
        jobs = [submit(client), submit(client, metadata={"ticket": "7"})]
        with attempt(api.settings, jobs[0]) as first, attempt(api.settings, jobs[1]) as second:
            first.emit("step.finished", step="a")
            second.emit("step.finished", step="b")
            first.delta("never kept")
            second.succeed(answer=1)
            first.succeed(answer=2)
        live.wait_for(8)
        everything = kept(client)
        assert order(live.events) == order(everything)
        for job in jobs:
            ids = [event["id"] for event in everything if event["job_id"] == job]
            assert ids == sorted(ids)
            assert len(ids) == 4
        for number, event in enumerate(everything):
            assert order(kept(client, starting_after=event["cursor"])) == order(everything[number + 1 :])
        assert len(kept(client, **{"metadata.ticket": "7"})) == 4
        assert [event["job_id"] for event in kept(client, type="job.succeeded")] == [jobs[1], jobs[0]]
        assert kept(client, capability="nothing.such") == []
        assert len(kept(client, state="succeeded")) == 8
        wrong = client.get("/v1/events", headers={"Last-Event-ID": "12"})
        assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "invalid_cursor")


@pytest.mark.survive("S1")
def test_what_commits_late_is_not_skipped(api: RunningApi) -> None:
    database = Database(api.settings, application_name="test-late", pool_size=2)
    with api.client() as client:
        live = Follower(client)
        live.wait_until_open()
        late, early = submit(client), submit(client)
        live.wait_for(2)
        write = text(
            "INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt)"
            " VALUES (:job, :id, :previous, :organization, 'step.finished', 0)"
        )

        def row(job: str, number: int) -> dict[str, Any]:
            organization = api.key.organization_id
            return {"job": decode(JOB, job), "id": number, "previous": number - 1, "organization": organization}

        with database.system() as slow:
            slow.execute(write, row(late, 2))
            with database.system() as quick:
                quick.execute(write, row(early, 2))
            # It is committed, and still it waits for the older transaction: nobody may resume beyond that one's event.
            assert len(kept(client)) == 2
        live.wait_for(4)
        assert order(live.events[2:]) == [(late, 2), (early, 2)]
        with database.system() as old:
            old.execute(text("SELECT pg_current_xact_id()"))
            with database.system() as young:
                young.execute(write, row(late, 3))
            # A transaction older than its job's last event still comes after it.
            old.execute(write, row(late, 4))
        live.wait_for(6)
        assert order(live.events[4:]) == [(late, 3), (late, 4)]
    database.close()


def test_another_project_and_another_organization_see_nothing(api: RunningApi) -> None:
    with api.client() as client:
        placed(client)
        assert len(kept(client)) == 1
    for key in (issue_key(api.settings, project="beside"), issue_key(api.settings, organization="other")):
        with api.client(key) as stranger:
            assert kept(stranger) == []


def test_a_gap_is_reported_when_retention_took_what_was_asked_for(
    api: RunningApi, request: pytest.FixtureRequest
) -> None:
    database = Database(api.settings, application_name="test-gap", pool_size=1)

    def forget() -> None:
        with database.system() as session:
            session.execute(text("RESET ROLE"))
            session.execute(text("TRUNCATE job_events_dropped"))
        database.close()

    request.addfinalizer(forget)
    with api.client() as client:
        before = placed(client)["cursor"]
        dropped = parse_cursor(before).position
        with database.system() as session:
            session.execute(text("INSERT INTO job_events_dropped (position) VALUES (:at)"), {"at": dropped})
        after = placed(client)["cursor"]
        reported = client.get("/v1/events", params={"starting_after": before, "follow": "false"}).text
        assert 'event: gap\ndata: {"reason":"history_expired"}' in reported
        assert "event: gap" not in client.get("/v1/events", params={"starting_after": after, "follow": "false"}).text


def test_a_jobs_history_past_retention_is_gone(api: RunningApi) -> None:
    database = Database(api.settings, application_name="test-gone", pool_size=1)
    with api.client() as client:
        job = submit(client)
        with attempt(api.settings, job) as run:
            run.succeed(answer=1)
        with database.system() as session:
            session.execute(text("DELETE FROM job_events WHERE job_id = :job"), {"job": decode(JOB, job)})
        answer = client.get(f"/v1/jobs/{job}/events")
        assert (answer.status_code, answer.json()["code"]) == (410, "history_expired")
    database.close()


@pytest.mark.parametrize("path", ["/v1/events", "/v1/jobs/{job}/events"], ids=["project", "job"])
def test_a_revoked_keys_streams_end(api: RunningApi, path: str) -> None:
    project = f"p{secrets.token_hex(6)}"
    key, stays = issue_key(api.settings, project=project), issue_key(api.settings, project=project)
    with api.client(stays) as other, api.client(key) as client:
        path = path.format(job=submit(other))
        ending, staying = Follower(client, path), Follower(other, path)
        for stream in (ending, staying):
            stream.wait_for_names()
        revoke_key(api.settings, key)
        ending.thread.join(10)
        assert not ending.thread.is_alive()
        assert staying.thread.is_alive()
        assert client.get(path).status_code == 401


def test_a_client_that_takes_nothing_is_cut_off_and_misses_nothing(settings: Settings) -> None:
    with running_api(settings.model_copy(update={"sse_stall_seconds": 0.5})) as api, api.client() as client:
        job = submit(client)
        with (
            attempt(api.settings, job) as run,
            socket.create_connection(("127.0.0.1", httpx.URL(api.url).port)) as lazy,
        ):
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key.plaintext}\r\n\r\n"
            lazy.sendall(head.encode())
            wait_until(lambda: SSE_STREAMS_OPEN._value.get() > 0, timeout_seconds=10, what="the stream to open")
            for _ in range(100):
                run.emit("step.finished", step="x" * 20_000)
            wait_until(lambda: SSE_STREAMS_OPEN._value.get() == 0, timeout_seconds=15, what="the stream to be cut")
            run.succeed(answer=1)
        took = client.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "2"}).text
        assert took.count("event: step.finished") == 100
        assert "event: job.succeeded" in took
