from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from core.kit.db import Database
from core.kit.ids import PROJECT, decode
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import attempt

pytestmark = pytest.mark.own_database

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


def post(client: httpx.Client, key: str, body: object = NOOP, path: str = "/v1/jobs") -> httpx.Response:
    return client.post(path, json=body, headers={"Idempotency-Key": key})


def count_jobs(client: httpx.Client) -> int:
    return len(client.get("/v1/jobs?limit=200").json()["data"])


@pytest.fixture
def project(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client(issue_key(api.settings, project=str(uuid4()))) as opened:
        yield opened


def test_the_first_answer_comes_again(project: httpx.Client) -> None:
    first, second = post(project, "k"), post(project, "k")
    assert (first.status_code, second.status_code) == (202, 202)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert count_jobs(project) == 1


def test_the_first_answer_comes_again_even_when_the_job_went_on(api: RunningApi, project: httpx.Client) -> None:
    first = post(project, "k")
    with attempt(api.settings, first.json()["id"]) as run:
        run.succeed()
    assert post(project, "k").content == first.content


@pytest.mark.parametrize("body", [{**NOOP, "priority": "low"}, {**NOOP, "input": {"act": "noop", "note": "x"}}])
def test_another_body_is_refused(project: httpx.Client, body: object) -> None:
    post(project, "k").raise_for_status()
    refused = post(project, "k", body)
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_reused"
    assert count_jobs(project) == 1


def test_another_route_is_refused(project: httpx.Client) -> None:
    job = post(project, "k").json()
    refused = post(project, "k", None, f"/v1/jobs/{job['id']}/cancel")
    assert refused.json()["code"] == "idempotency_key_reused"


def test_a_refusal_is_not_kept(project: httpx.Client) -> None:
    assert post(project, "k", {**NOOP, "priority": "no"}).status_code == 422
    assert post(project, "k").status_code == 202


def test_keys_belong_to_a_project(api: RunningApi, project: httpx.Client) -> None:
    with api.client(issue_key(api.settings, project=str(uuid4()))) as other:
        assert post(project, "k").json()["id"] != post(other, "k").json()["id"]


def test_a_cancel_is_repeated_too(project: httpx.Client) -> None:
    job = post(project, "a").json()
    path = f"/v1/jobs/{job['id']}/cancel"
    first, second = post(project, "b", None, path), post(project, "b", None, path)
    assert first.json()["state"] == "cancelled"
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "ä"])
def test_bad_keys_are_refused(project: httpx.Client, key: str) -> None:
    response = project.post("/v1/jobs", json=NOOP, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert response.status_code == 400, response.text
    assert response.json()["code"] == "idempotency_key_invalid"
    assert count_jobs(project) == 0


def test_the_longest_key_is_accepted(project: httpx.Client) -> None:
    assert post(project, "x" * 255).status_code == 202


def test_an_expired_answer_is_deleted(api: RunningApi, project: httpx.Client) -> None:
    first = post(project, "k")
    database = Database(api.settings, application_name="test", pool_size=1)
    with database.system() as session:
        session.execute(text("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'"))
    database.close()
    second = post(project, "k", {**NOOP, "priority": "low"})
    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]
    assert post(project, "k", {**NOOP, "priority": "low"}).content == second.content


def test_a_first_request_that_is_still_running_is_a_conflict(api: RunningApi, project: httpx.Client) -> None:
    job = post(project, "warm").json()
    scope = f"{decode(PROJECT, job['project_id'])}:k"
    database = Database(api.settings, application_name="test", pool_size=1)
    with database.system() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:scope, 7201947))"), {"scope": scope})
        refused = post(project, "k")
    database.close()
    assert refused.status_code == 409
    assert refused.json()["code"] == "idempotency_in_progress"
    assert int(refused.headers["retry-after"]) >= 1
    assert post(project, "k").status_code == 202


def test_fifty_requests_at_once_submit_one_job(project: httpx.Client) -> None:
    barrier = Barrier(10)

    def send(_: int) -> httpx.Response:
        barrier.wait(10)
        return post(project, "k")

    with ThreadPoolExecutor(10) as pool:
        answers = [answer for _ in range(5) for answer in pool.map(send, range(10))]
    codes = {answer.status_code for answer in answers}
    assert codes <= {202, 409}
    assert len({answer.content for answer in answers if answer.status_code == 202}) == 1
    assert sum(answer.status_code == 202 and "idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_in_progress"}
    assert count_jobs(project) == 1
