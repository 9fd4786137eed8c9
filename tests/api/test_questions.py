"""``POST /v1/jobs/{job_id}/input``, the questions of ``GET /v1/jobs/{job_id}``, and ``GET /v1/jobs/{job_id}/tree``."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.capability import ChildCall, JobSuspended
from core.jobs.states import SUSPEND
from core.kit.db import Database
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import Attempt
from tests.factories.attempts import attempt as driven
from tests.factories.question_capabilities import REFUND_SCHEMA
from tests.factories.tenancy import audit_trail

SECRET = "a note that stays out of the trail"


@pytest.fixture
def database(api: RunningApi) -> Iterator[Database]:
    opened = Database(api.settings, application_name="test", pool_size=2)
    yield opened
    opened.close()


@pytest.fixture
def attempt(api: RunningApi, client: httpx.Client) -> Iterator[Attempt]:
    """A running attempt of a job."""
    made = client.post("/v1/jobs", json={"capability": "probe.ask", "input": {}}).json()["id"]
    with driven(api.settings, made) as opened:
        yield opened


def id_of(client: httpx.Client) -> str:
    newest: str = client.get("/v1/jobs", params={"capability": "probe.ask"}).json()["data"][0]["id"]
    return newest


def ask(attempt: Attempt, *keys: str) -> None:
    """Ask, and step aside."""
    for key in keys:
        with pytest.raises(JobSuspended) as suspended:
            attempt.context.ask(key, "May it be refunded?", REFUND_SCHEMA, details={"amount_usd": "250.00"})
    why = suspended.value
    attempt.context.end(SUSPEND, "job.waiting", {"reason": why.reason}, reason=why.reason, error=why.why)


def give(client: httpx.Client, job_id: str, value: Any, **more: Any) -> httpx.Response:
    return client.post(f"/v1/jobs/{job_id}/input", json={"value": value, **more})


def test_a_waiting_job_shows_its_question_and_one_answer_resumes_it_once(
    api: RunningApi, client: httpx.Client, attempt: Attempt
) -> None:
    ask(attempt, "approve")
    job_id = id_of(client)
    job = client.get(f"/v1/jobs/{job_id}").json()
    [question] = job["questions"]
    assert (job["state"], job["reason"], job["error"]["code"]) == ("waiting", "input", "input")
    assert question["schema"] == REFUND_SCHEMA
    assert (question["key"], question["details"]) == ("approve", {"amount_usd": "250.00"})
    with api.client(issue_key(api.settings, scopes=("jobs:read", "jobs:write"))) as submitter:
        refused = give(submitter, job_id, {"approved": True})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    value = {"approved": True, "note": SECRET}
    first = give(client, job_id, value)
    assert (first.status_code, first.json()["state"]) == (200, "queued"), first.text
    assert give(client, job_id, value).status_code == 200
    other = give(client, job_id, {"approved": False})
    assert (other.status_code, other.json()["code"]) == (409, "question_answered")
    assert client.get(f"/v1/jobs/{job_id}").json()["questions"] == []
    reported = [
        record for record in audit_trail(api.settings, api.key.organization_id) if record["subject_id"] == job_id
    ]
    [answered] = [record for record in reported if record["action"] == "api:job:answer"]
    [resumed] = [record for record in reported if record["action"] == "api:job:resume"]
    assert (answered["detail"], answered["actor_kind"]) == ({"key": "approve"}, "key")
    assert answered["payload_digest"] is not None
    assert resumed["actor_id"] == answered["actor_id"]
    assert SECRET not in str(reported)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({}, "body.value"),
        ({"approved": "yes"}, "body.value.approved"),
        ({"approved": True, "note": "x" * 201}, "body.value.note"),
        ({"approved": True, "more": 1}, "body.value"),
        ("yes", "body.value"),
        (None, "body.value"),
    ],
)
def test_an_answer_that_does_not_match_the_schema_is_refused_where_it_is_wrong(
    client: httpx.Client, attempt: Attempt, value: Any, path: str
) -> None:
    ask(attempt, "approve")
    refused = give(client, id_of(client), value)
    assert refused.status_code == 422
    assert [(problem["path"], problem["code"]) for problem in refused.json()["errors"]] == [(path, "answer_invalid")]
    assert client.get(f"/v1/jobs/{id_of(client)}").json()["state"] == "waiting"


def test_of_several_questions_the_answered_one_must_be_named(client: httpx.Client, attempt: Attempt) -> None:
    ask(attempt, "first", "second")
    job_id = id_of(client)
    unnamed = give(client, job_id, {"approved": True})
    assert (unnamed.status_code, unnamed.json()["errors"][0]["code"]) == (422, "key_required")
    unknown = give(client, job_id, {"approved": True}, key="third")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "question_not_found")
    assert give(client, job_id, {"approved": True}, key="second").status_code == 200
    running = give(client, job_id, {"approved": True}, key="first")
    assert (running.status_code, running.json()["code"]) == (409, "job_not_waiting")


def test_a_job_that_does_not_wait_for_input_takes_none(client: httpx.Client, attempt: Attempt) -> None:
    running = give(client, id_of(client), {"approved": True})
    assert (running.status_code, running.json()["code"]) == (409, "job_not_waiting")
    attempt.succeed(attempt=1, answers={})
    ended = give(client, id_of(client), {"approved": True})
    assert (ended.status_code, ended.json()["code"]) == (409, "job_not_waiting")


def test_an_answer_that_comes_too_late_is_refused(client: httpx.Client, attempt: Attempt, database: Database) -> None:
    ask(attempt, "approve")
    with database.system() as session:
        session.execute(
            text("UPDATE job_questions SET due_at = now() - interval '1 second' WHERE job_id = :id"),
            {"id": attempt.context.job_id},
        )
    late = give(client, id_of(client), {"approved": True})
    assert (late.status_code, late.json()["code"]) == (409, "question_timed_out")


def test_a_tree_shows_every_job_below_with_its_key_and_cost(client: httpx.Client, attempt: Attempt) -> None:
    calls = [ChildCall(f"part-{number}", "probe.act", {"act": "noop"}) for number in range(3)]
    with pytest.raises(JobSuspended):
        attempt.context.call_all(calls)
    job_id = id_of(client)
    found = client.get(f"/v1/jobs/{job_id}/tree").json()
    assert [(node["key"], node["depth"]) for node in found["jobs"]] == [
        (None, 0),
        ("part-0", 1),
        ("part-1", 1),
        ("part-2", 1),
    ]
    assert {node["parent_id"] for node in found["jobs"][1:]} == {job_id}
    assert found["total_cost_usd"] == "0.00"
    child = client.get(f"/v1/jobs/{found['jobs'][1]['id']}").json()
    assert (child["parent_id"], child["root_id"]) == (job_id, job_id)
    cost = client.get(f"/v1/jobs/{job_id}/cost").json()
    assert (cost["children_cost_usd"], cost["total_cost_usd"]) == ("0.00", "0.00")
    assert client.get(f"/v1/jobs/{job_id}").json()["children_cost_usd"] == "0.00"
    cancelled = client.post(f"/v1/jobs/{job_id}/cancel")
    assert cancelled.status_code == 200
    assert {node["state"] for node in client.get(f"/v1/jobs/{job_id}/tree").json()["jobs"][1:]} == {"cancelled"}
