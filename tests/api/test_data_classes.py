"""Labels over HTTP, and what a key may read of jobs above its clearance: their state, and nothing that they hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from api.openai.errors import Refused
from api.openai.jobs import labels
from core.capability import JobSuspended
from core.kit.data_classes import DataClass
from core.kit.ids import BATCH, JOB, MESSAGE, decode, encode
from core.kit.json_values import dumps
from tests.api.test_bad_input import problem
from tests.api.test_project_events import kept
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import Attempt, attempt
from tests.factories.sse import Stream
from tests.factories.tenancy import audit_trail
from tests.factories.waiting import wait_until

CONFIDENTIAL, RESTRICTED = DataClass.CONFIDENTIAL, DataClass.RESTRICTED
JOB_BODY: dict[str, Any] = {"capability": "probe.act", "input": {"act": "noop"}}


@dataclass
class Readers:
    """One project's clients: one that may read everything, and one whose clearance is `internal`."""

    cleared: httpx.Client
    internal: httpx.Client
    organization_id: UUID
    project_id: UUID


@pytest.fixture
def readers(api: RunningApi) -> Iterator[Readers]:
    project = str(uuid4())
    keys = [issue_key(api.settings, project=project, clearance=each) for each in (RESTRICTED, DataClass.INTERNAL)]
    with api.client(keys[0]) as cleared, api.client(keys[1]) as internal:
        yield Readers(cleared, internal, keys[0].organization_id, keys[0].project_id)


def submit(client: httpx.Client, **given: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json={**JOB_BODY, **given})
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refused(answer: httpx.Response, data_class: str = "confidential") -> None:
    found = problem(answer, 403, "clearance_exceeded")
    assert (found["data_class"], found["clearance"]) == (data_class, "internal")


def finish(api: RunningApi, job_id: str) -> None:
    with attempt(api.settings, job_id) as run:
        run.context.artifact("report.md", b"# One", "text/markdown")
        run.succeed(attempt=1, said="the content")


def test_a_job_says_its_class_and_an_unknown_one_is_refused(readers: Readers) -> None:
    assert submit(readers.cleared)["data_class"] == "internal"
    assert submit(readers.cleared, data_class="restricted")["data_class"] == "restricted"
    problem(readers.cleared.post("/v1/jobs", json={**JOB_BODY, "data_class": "secret"}), 422, "validation_error")


def test_what_a_job_holds_is_refused_above_the_clearance(api: RunningApi, readers: Readers) -> None:
    job_id = submit(readers.internal, data_class="confidential")["id"]
    where = f"/v1/jobs/{job_id}"
    finish(api, job_id)
    for path in ("", "/events", "/artifacts", "/artifacts/report.md", "/waybill"):
        refused(readers.internal.get(where + path))
    assert readers.cleared.get(where).json()["result"]["said"] == "the content"
    [artifact] = readers.cleared.get(f"{where}/artifacts").json()["data"]
    assert artifact["data_class"] == "confidential"
    sent = readers.cleared.get(f"{where}/artifacts/report.md")
    assert (sent.content, sent.headers["waybill-data-class"]) == (b"# One", "confidential")
    assert readers.cleared.get(f"{where}/waybill").json()["job"]["data_class"] == "confidential"
    [listed] = readers.internal.get("/v1/jobs").json()["data"]
    assert (listed["id"], listed["state"], listed["data_class"]) == (job_id, "succeeded", "confidential")


def test_the_text_of_an_error_is_not_listed_either(api: RunningApi, readers: Readers) -> None:
    job_id = submit(readers.cleared, data_class="confidential")["id"]
    with attempt(api.settings, job_id) as run:
        run.fail("asked_to_fail")
    [listed] = readers.internal.get("/v1/jobs").json()["data"]
    assert (listed["reason"], listed["error"]) == ("asked_to_fail", None)
    assert readers.internal.post(f"/v1/jobs/{job_id}/cancel").json()["error"] is None
    assert readers.cleared.get("/v1/jobs").json()["data"][0]["error"]["message"] == "it failed"


def test_waiting_for_a_job_above_the_clearance_accepts_it_and_shows_nothing(readers: Readers) -> None:
    body = {**JOB_BODY, "data_class": "restricted"}
    answer = readers.internal.post("/v1/jobs", json=body, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["result"]) == (202, None)


def test_a_stream_ends_where_the_class_leaves_the_clearance(api: RunningApi, readers: Readers) -> None:
    job_id = submit(readers.internal)["id"]
    where = f"/v1/jobs/{job_id}/events"
    low, high = Stream(readers.internal, where), Stream(readers.cleared, where)
    for stream in (low, high):
        stream.wait_for("job.queued")
    with attempt(api.settings, job_id) as run:
        run.delta("open ")
        run.context.raise_class(CONFIDENTIAL, "card")
        run.delta("secret")
        run.succeed(attempt=1, said="secret")
    high.wait_for_end()
    low.wait_for_end()
    assert low.types == ["job.queued", "job.started", "message.delta", "job.classified"]
    assert (low.text, high.text) == ("open ", "open secret")
    refused(readers.internal.get(where, headers={"Last-Event-ID": str(low.ids[-1])}))


def test_events_of_a_project_come_without_data_above_the_clearance(api: RunningApi, readers: Readers) -> None:
    job_id = submit(readers.cleared, data_class="confidential")["id"]
    with attempt(api.settings, job_id) as run:
        run.emit("document.failed", name="the content")
        run.succeed(attempt=1, said="")
    # Other tests' older transactions come before (ADR 17).
    wait_until(lambda: len(kept(readers.internal)) == 4, timeout_seconds=30, what="the events to get their places")
    found = kept(readers.internal)
    assert [event["type"] for event in found][-2:] == ["document.failed", "job.succeeded"]
    assert {(event["data_class"], str(event["data"])) for event in found} == {("confidential", "{}")}
    assert kept(readers.cleared)[-2]["data"] == {"name": "the content"}


def test_a_batch_is_read_up_to_the_highest_class_of_its_lines(api: RunningApi, readers: Readers) -> None:
    lines = [
        {"custom_id": "a", "input": {"act": "noop"}},
        {"custom_id": "b", "input": {"act": "noop"}, "metadata": {"data_class": "restricted"}},
    ]
    made = readers.cleared.post("/v1/batches", json={"capability": "probe.act", "lines": lines}).json()
    give_jobs(api, readers, decode(BATCH, made["id"]), [submit(readers.cleared)["id"], restricted_job(readers)])
    refused(readers.internal.get(f"/v1/batches/{made['id']}/results"), "restricted")
    assert readers.cleared.get(f"/v1/batches/{made['id']}/results").status_code == 200
    wrong = [{"custom_id": "a", "input": {}, "metadata": {"data_class": "secret"}}]
    answer = readers.cleared.post("/v1/batches", json={"capability": "probe.act", "lines": wrong})
    assert answer.json()["errors"][0]["path"].endswith("metadata.data_class")


def restricted_job(readers: Readers) -> str:
    job_id: str = submit(readers.cleared, data_class="restricted")["id"]
    return job_id


def give_jobs(api: RunningApi, readers: Readers, batch_id: UUID, job_ids: list[str]) -> None:
    """What the dispatcher does with lines, as far as reading their results goes."""
    with api.runtime.database.tenant(readers.organization_id) as session:
        for number, job_id in enumerate(job_ids, 1):
            session.execute(
                text("UPDATE batch_lines SET state = 'live', job_id = :job WHERE batch_id = :batch AND line = :line"),
                {"job": decode(JOB, job_id), "batch": batch_id, "line": number},
            )


def test_labels_of_what_is_read_are_set_changed_and_audited(api: RunningApi, readers: Readers) -> None:
    client = readers.cleared
    base = client.post("/v1/knowledge-bases", json={"name": "cases", "data_class": "confidential"}).json()
    assert base["data_class"] == "confidential"
    lowered = client.patch(f"/v1/knowledge-bases/{base['id']}", json={"data_class": "public"}).json()
    assert lowered == {**base, "data_class": "public"}
    file = client.post("/v1/files", params={"name": "a.txt", "data_class": "restricted"}, content=b"hello").json()
    assert file["data_class"] == "restricted"
    refused(readers.internal.get(f"/v1/files/{file['id']}/content"), "restricted")
    assert client.patch(f"/v1/files/{file['id']}", json={"data_class": "internal"}).json()["data_class"] == "internal"
    sent = readers.internal.get(f"/v1/files/{file['id']}/content")
    assert (sent.status_code, sent.headers["waybill-data-class"]) == (200, "internal")
    announced = {"name": "b.bin", "size_bytes": 3, "data_class": "confidential"}
    assert client.post("/v1/file-uploads", json=announced).json()["data_class"] == "confidential"
    project = client.get(f"/v1/keys/{client.get('/v1/keys').json()['data'][0]['id']}").json()["project_id"]
    changed = client.patch(f"/v1/projects/{project}", json={"data_class": "confidential"}).json()
    assert changed["data_class"] == "confidential"
    assert submit(client)["data_class"] == "confidential"
    trail = {row["action"]: row["detail"] for row in audit_trail(api.settings, readers.organization_id)}
    assert trail["api:knowledge_base:update"] == {"from": "confidential", "to": "public"}
    assert trail["api:file:update"] == {"from": "restricted", "to": "internal"}
    assert trail["api:project:update"]["data_class"] == {"from": "public", "to": "confidential"}


def test_a_key_hands_on_no_clearance_above_its_own(readers: Readers) -> None:
    def create(client: httpx.Client, **given: Any) -> httpx.Response:
        return client.post("/v1/keys", json={"name": "another", "scopes": ["jobs:read"], **given})

    assert create(readers.cleared).json()["clearance"] == "restricted"
    assert create(readers.cleared, clearance="public").json()["clearance"] == "public"
    assert create(readers.internal).json()["clearance"] == "internal"
    found = problem(create(readers.internal, clearance="confidential"), 403, "clearance_exceeded")
    assert (found["data_class"], found["clearance"]) == ("confidential", "internal")
    above = create(readers.cleared).json()["id"]
    problem(readers.internal.post(f"/v1/keys/{above}/rotate"), 403, "clearance_exceeded")


def test_no_webhook_brings_what_its_key_may_not_read(api: RunningApi, readers: Readers) -> None:
    endpoint = {"url": "https://93.184.215.14/hook", "include_result": True}
    problem(readers.internal.post("/v1/webhook-endpoints", json=endpoint), 403, "clearance_exceeded")
    brought: dict[str, bool] = {}
    for name, client in (("internal", readers.internal), ("cleared", readers.cleared)):
        job_id = submit(client, data_class="confidential")["id"]
        with api.runtime.database.system() as session:
            session.execute(
                text("UPDATE jobs SET webhook = CAST(:webhook AS jsonb) WHERE id = :id"),
                {"id": decode(JOB, job_id), "webhook": dumps({**endpoint, "events": []}).decode()},
            )
        finish(api, job_id)
        with api.runtime.database.system() as session:
            row = session.execute(
                text("SELECT id, body, has_result FROM webhook_deliveries WHERE job_id = :id"),
                {"id": decode(JOB, job_id)},
            ).one()
        refused(readers.internal.get(f"/v1/webhook-deliveries/{encode(MESSAGE, row.id)}"))
        assert readers.cleared.get(f"/v1/webhook-deliveries/{encode(MESSAGE, row.id)}").status_code == 200
        assert b'"data_class"' in bytes(row.body)
        brought[name] = row.has_result and b"the content" in bytes(row.body)
    assert brought == {"internal": False, "cleared": True}


def test_an_answer_needs_the_clearance_of_the_question(api: RunningApi, readers: Readers) -> None:
    job_id = submit(readers.cleared, data_class="confidential")["id"]
    with attempt(api.settings, job_id) as run:
        ask(run)
    refused(readers.internal.post(f"/v1/jobs/{job_id}/input", json={"value": True}))
    assert readers.cleared.post(f"/v1/jobs/{job_id}/input", json={"value": True}).status_code == 200


def ask(run: Attempt) -> None:
    with pytest.raises(JobSuspended):
        run.context.ask("go", "Shall we?", {"type": "boolean"})
    run.suspend("input")


def test_a_request_in_the_dialect_declares_its_class_by_a_label() -> None:
    assert labels({"data_class": "public"}, None) == {"data_class": "public"}
    with pytest.raises(Refused, match=r"metadata\.data_class") as raised:
        labels({"data_class": "secret"}, None)
    assert (raised.value.failure.status, raised.value.failure.param) == (400, "metadata.data_class")
