import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.jobs.schemas import JobWithResult
from core.capability import Manifest
from core.keys.service import IssuedKey
from core.kit.ids import JOB, PROJECT, decode, encode, new_id
from core.kit.redis import connect
from pipelines.registry import manifests
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import attempt
from tests.factories.waiting import wait_until

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


def submit(client: httpx.Client, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/jobs", json={**NOOP, **more})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def run_to_success(api: RunningApi, job_id: str, **result: Any) -> None:
    with attempt(api.settings, job_id) as run:
        run.succeed(**result)


def test_a_job_is_accepted_and_can_be_read(client: httpx.Client) -> None:
    accepted = client.post("/v1/jobs", json={**NOOP, "metadata": {"a": "b"}, "priority": "high", "max_attempts": 7})
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()
    assert accepted.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert int(accepted.headers["retry-after"]) >= 1
    read = client.get(accepted.headers["location"])
    assert read.status_code == 200
    assert read.json() == job
    JobWithResult.model_validate(job)
    assert job["state"] == "queued"
    assert job["metadata"] == {"a": "b"}
    assert job["priority"] == "high"
    assert job["max_attempts"] == 7
    assert job["result"] is None
    assert job["cost_usd"] == "0.00"
    assert "input" not in job


def test_times_are_kept(client: httpx.Client) -> None:
    run_at = datetime.now(UTC) + timedelta(hours=1)
    job = submit(client, run_at=run_at.isoformat())
    assert datetime.fromisoformat(job["run_at"]) == run_at
    assert job["created_at"].endswith("Z")


def test_seconds_to_the_deadline_count_from_the_moment_at_which_the_job_may_run(client: httpx.Client) -> None:
    now = datetime.now(UTC)
    for run_at, counts_from in ((now + timedelta(hours=1), "run_at"), (now - timedelta(hours=1), "created_at")):
        job = submit(client, run_at=run_at.isoformat(), deadline_seconds=60)
        assert datetime.fromisoformat(job["deadline_at"]) - datetime.fromisoformat(job[counts_from]) == timedelta(
            seconds=60
        )


@pytest.mark.survive("F5")
@pytest.mark.parametrize("manifest", manifests().values(), ids=lambda manifest: manifest.id)
def test_the_default_deadline_of_every_capability_leaves_a_scheduled_job_its_time(
    client: httpx.Client, manifest: Manifest
) -> None:
    if not manifest.examples:
        pytest.skip("it shows no example of an input")
    run_at = datetime.now(UTC) + timedelta(days=400)
    accepted = client.post(
        "/v1/jobs",
        json={"capability": manifest.id, "input": manifest.examples[0], "run_at": run_at.isoformat()},
    )
    assert accepted.status_code == 202, accepted.text
    assert datetime.fromisoformat(accepted.json()["deadline_at"]) == run_at + timedelta(
        seconds=manifest.deadline_seconds
    )


def test_the_capability_gives_the_default_deadline(client: httpx.Client) -> None:
    job = submit(client)
    created, deadline = (datetime.fromisoformat(job[name]) for name in ("created_at", "deadline_at"))
    assert deadline - created == timedelta(seconds=3600)
    assert submit(client, deadline_at="2040-01-01T00:00:00Z")["deadline_at"].startswith("2040-01-01T00:00:00")


def test_the_trace_of_the_request_continues_in_the_job(api: RunningApi, client: httpx.Client) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    response = client.post("/v1/jobs", json=NOOP, headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    assert response.headers["x-request-id"] == trace_id
    with attempt(api.settings, response.json()["id"]) as run:
        traceparent = run.context.job.traceparent
        run.succeed()
    assert traceparent is not None
    assert traceparent.split("-")[1] == trace_id
    assert traceparent.split("-")[2] != "b7ad6b7169203331"


def test_an_etag_spares_the_body_until_the_job_changes(api: RunningApi, client: httpx.Client) -> None:
    job = submit(client)
    path = f"/v1/jobs/{job['id']}"
    first = client.get(path)
    etag = first.headers["etag"]
    assert int(first.headers["retry-after"]) >= 1
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    run_to_success(api, job["id"], answer=42)
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    assert "retry-after" not in changed.headers
    assert changed.json()["result"] == {"answer": 42}
    assert changed.json()["started_at"] is not None


def test_a_large_result_comes_back(api: RunningApi, client: httpx.Client) -> None:
    job = submit(client)
    text = "x" * 200_000
    with attempt(api.settings, job["id"]) as run:
        reference = api.runtime.jobs.payloads.put(run.context.job_id, "result-1", {"text": text})
        assert reference is not None
        run.succeed_by_reference(reference)
    assert client.get(f"/v1/jobs/{job['id']}").json()["result"] == {"text": text}


def in_background(work: Callable[[], httpx.Response]) -> "Future[httpx.Response]":
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def test_a_long_poll_answers_as_soon_as_the_job_changes(api: RunningApi, client: httpx.Client) -> None:
    job = submit(client)
    path = f"/v1/jobs/{job['id']}?wait=20"
    began = time.monotonic()
    with api.client() as other:
        poll = in_background(lambda: other.get(path))
        wait_until(lambda: bool(api.runtime.hub._confirmed), timeout_seconds=5, what="the poll to wait")
        with attempt(api.settings, job["id"]) as run:
            assert poll.result(5).json()["state"] == "running"
            poll = in_background(lambda: other.get(path))
            time.sleep(0.3)
            run.emit("step.started", step="does not change the state")
            time.sleep(0.3)
            assert not poll.done()
            run.succeed(answer=42)
            ended = poll.result(5).json()
    assert ended["state"] == "succeeded"
    assert ended["result"] == {"answer": 42}
    assert time.monotonic() - began < 10


def test_a_long_poll_gives_up_after_its_time(client: httpx.Client) -> None:
    job = submit(client)
    began = time.monotonic()
    assert client.get(f"/v1/jobs/{job['id']}?wait=1").json()["state"] == "queued"
    assert 0.9 < time.monotonic() - began < 3


def test_a_long_poll_with_an_old_etag_answers_at_once(api: RunningApi, client: httpx.Client) -> None:
    job = submit(client)
    old = client.get(f"/v1/jobs/{job['id']}").headers["etag"]
    with attempt(api.settings, job["id"]) as run:
        began = time.monotonic()
        response = client.get(f"/v1/jobs/{job['id']}?wait=20", headers={"If-None-Match": old})
        assert response.json()["state"] == "running"
        assert time.monotonic() - began < 2
        run.succeed()


def test_prefer_wait_answers_with_the_result(api: RunningApi, client: httpx.Client) -> None:
    with api.client(issue_key(api.settings, project="prefer")) as other:
        answer = in_background(lambda: other.post("/v1/jobs", json=NOOP, headers={"Prefer": "respond-async, wait=20"}))
        found: list[dict[str, Any]] = []

        def appeared() -> bool:
            found[:] = other.get("/v1/jobs").json()["data"]
            return bool(found)

        wait_until(appeared, timeout_seconds=5, what="the job")
        run_to_success(api, found[0]["id"], answer=42)
        response = answer.result(5)
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "wait=20"
    assert response.json()["result"] == {"answer": 42}
    assert response.headers["location"] == f"/v1/jobs/{response.json()['id']}"


def test_prefer_wait_answers_202_when_the_time_is_up(client: httpx.Client) -> None:
    began = time.monotonic()
    response = client.post("/v1/jobs", json=NOOP, headers={"Prefer": "wait=1"})
    assert response.status_code == 202
    assert "preference-applied" not in response.headers
    assert 0.9 < time.monotonic() - began < 3


@pytest.mark.parametrize("prefer", ["wait=x", "wait", "handling=lenient", "wait=-1", "=;,", "wait=0"])
def test_a_preference_that_cannot_be_read_is_ignored(client: httpx.Client, prefer: str) -> None:
    began = time.monotonic()
    assert client.post("/v1/jobs", json=NOOP, headers={"Prefer": prefer}).status_code == 202
    assert time.monotonic() - began < 1


def test_an_idle_job_is_cancelled_at_once(api: RunningApi, client: httpx.Client) -> None:
    job = submit(client)
    cancelled = client.post(f"/v1/jobs/{job['id']}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.json()["state"] == "cancelled"
    assert cancelled.json()["reason"] == "cancelled_by_client"
    again = client.post(f"/v1/jobs/{job['id']}/cancel")
    assert again.json() == cancelled.json()


def test_a_running_job_is_asked_to_stop_and_its_worker_woken(api: RunningApi, client: httpx.Client) -> None:
    job = submit(client)
    redis = connect(api.settings)
    pubsub = redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    with pubsub, attempt(api.settings, job["id"]) as run:
        pubsub.subscribe(api.settings.key("control"))
        pubsub.get_message(timeout=1)
        asked = client.post(f"/v1/jobs/{job['id']}/cancel").json()
        assert asked["state"] == "running"
        assert asked["cancel_requested_at"] is not None
        message = pubsub.get_message(timeout=5)
        assert message is not None
        assert message["data"].decode() == str(decode(JOB, job["id"]))
        run.stop()
    redis.close()
    assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"


def test_a_finished_job_stays_as_it_is(api: RunningApi, client: httpx.Client) -> None:
    job = submit(client)
    run_to_success(api, job["id"])
    assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["state"] == "succeeded"


def test_a_listing_pages_through_everything_once(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, project="pages")) as client:
        made = [submit(client)["id"] for _ in range(7)]
        seen: list[str] = []
        cursor: str | None = None
        pages = 0
        while True:
            page = client.get("/v1/jobs", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
            seen += [job["id"] for job in page["data"]]
            pages += 1
            if pages == 1:
                made_meanwhile = submit(client)["id"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == list(reversed(made))
        assert made_meanwhile not in seen
        assert pages == 3
        exact = client.get("/v1/jobs", params={"limit": 8}).json()
        assert len(exact["data"]) == 8
        assert exact["next_cursor"] is None


def test_a_listing_reaches_all_projects_of_the_organization_only_with_its_scope(api: RunningApi) -> None:
    def key(project: str, *more: str, organization: str = "wide") -> IssuedKey:
        return issue_key(
            api.settings, organization=organization, project=project, scopes=("jobs:read", "jobs:write", *more)
        )

    keys = [key("north", "organization:read"), key("south"), key("north", "organization:read", organization="far")]
    made = []
    for each in [*keys, keys[0], keys[1]]:
        with api.client(each) as client:
            made.append(submit(client)["id"])
    first, second, _foreign, third, fourth = made

    def ids(answer: httpx.Response) -> list[str]:
        assert answer.status_code == 200, answer.text
        return [job["id"] for job in answer.json()["data"]]

    south = encode(PROJECT, keys[1].project_id)
    with api.client(keys[0]) as client:
        assert ids(client.get("/v1/jobs")) == [third, first]
        assert ids(client.get("/v1/jobs", params={"project": "all"})) == [fourth, third, second, first]
        assert ids(client.get("/v1/jobs", params={"project": south})) == [fourth, second]
        page = client.get("/v1/jobs", params={"project": "all", "limit": 3, "state": ["queued", "running"]})
        assert ids(page) == [fourth, third, second]
        rest = {"project": "all", "cursor": page.json()["next_cursor"]}
        assert ids(client.get("/v1/jobs", params=rest)) == [first]
        assert ids(client.get("/v1/jobs", params={"project": encode(PROJECT, keys[2].project_id)})) == []
        assert client.get("/v1/jobs", params={"project": "north"}).json()["errors"][0]["path"] == "query.project"
    with api.client(keys[1]) as client:
        assert ids(client.get("/v1/jobs", params={"project": south})) == [fourth, second]
        for project in ("all", encode(PROJECT, keys[0].project_id), encode(PROJECT, new_id())):
            refused = client.get("/v1/jobs", params={"project": project})
            assert (refused.status_code, refused.json()["scope"]) == (403, "organization:read")


def test_listings_filter(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, project="filters")) as client:
        red = submit(client, metadata={"colour": "red", "size.eu": "42"})
        blue = submit(client, metadata={"colour": "blue"})
        other = submit(client, capability="other.act")
        run_to_success(api, red["id"])

        def ids(query: str) -> list[str]:
            response = client.get(f"/v1/jobs?{query}")
            assert response.status_code == 200, response.text
            return [job["id"] for job in response.json()["data"]]

        assert ids("state=succeeded") == [red["id"]]
        assert ids("state=queued&state=succeeded") == [other["id"], blue["id"], red["id"]]
        assert ids("capability=other.act") == [other["id"]]
        assert ids("capability=no.such") == []
        assert ids("metadata[colour]=blue") == [blue["id"]]
        assert ids("metadata.colour=red") == [red["id"]]
        assert ids("metadata[colour]=red&metadata[size.eu]=42") == [red["id"]]
        assert ids("metadata[colour]=green") == []
        assert ids(f"created_before={blue['created_at']}") == [red["id"]]
        assert ids(f"created_after={blue['created_at']}") == [other["id"], blue["id"]]
