"""Item 3 of the baseline: without Redis jobs are accepted, without Postgres callers are told to come back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from redis import Redis

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from tests.factories.api import RunningApi, running_api, start_api
from tests.factories.attempts import attempt
from tests.factories.sse import Stream
from tests.factories.waiting import wait_until
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.valkey import EmbeddedValkey

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of this test's own, to be stopped."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    upgrade(server.url)
    yield server
    server.stop()


@pytest.fixture
def mortal_api(settings: Settings, postgres: EmbeddedPostgres) -> Iterator[RunningApi]:
    with running_api(settings.model_copy(update={"database_url": SecretStr(postgres.url)})) as running:
        yield running


def test_jobs_are_accepted_while_redis_is_down(fresh_api: RunningApi, valkey: EmbeddedValkey) -> None:
    with fresh_api.client() as client:
        client.post("/v1/jobs", json=NOOP).raise_for_status()
        valkey.stop()
        began = time.monotonic()
        answers = [client.post("/v1/jobs", json=NOOP) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {202}
        assert time.monotonic() - began < 10.0, "no answer may wait for Redis"
        job_id = answers[0].json()["id"]
        assert client.get(f"/v1/jobs/{job_id}").status_code == 200
        assert client.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
        polled = client.get(f"/v1/jobs/{answers[1].json()['id']}?wait=1")
        assert polled.json()["state"] == "queued"
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert ready.json()["dependencies"]["redis"]["status"] == "down"
        assert ready.json()["dependencies"]["postgres"]["status"] == "up"
        stream = Stream(client, f"/v1/jobs/{answers[1].json()['id']}/events")
        stream.wait_for("job.queued")
        valkey.start()
        wait_until(lambda: client.get("/readyz").json()["status"] == "ready", timeout_seconds=10, what="readiness")
        with attempt(fresh_api.settings, answers[1].json()["id"]) as run:
            run.succeed(answer=42)
        stream.wait_for_end()
        assert stream.types == ["job.queued", "job.started", "job.succeeded"]


def test_without_postgres_callers_are_asked_to_come_back_and_nothing_needs_a_restart(
    mortal_api: RunningApi, postgres: EmbeddedPostgres
) -> None:
    with mortal_api.client() as client:
        job = client.post("/v1/jobs", json=NOOP).json()
        stream = Stream(client, f"/v1/jobs/{job['id']}/events")
        stream.wait_for("job.queued")
        postgres.stop()

        for _ in range(3):
            for refused in (
                client.post("/v1/jobs", json=NOOP),
                client.post("/v1/jobs", json=NOOP, headers={"Idempotency-Key": "k"}),
                client.get(f"/v1/jobs/{job['id']}"),
                client.get("/v1/jobs"),
                client.post(f"/v1/jobs/{job['id']}/cancel"),
            ):
                assert refused.status_code == 503, refused.text
                assert refused.json()["code"] == "database_unavailable"
                assert int(refused.headers["retry-after"]) >= 1
                assert "127.0.0.1" not in refused.text
        assert client.get("/healthz").status_code == 200
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert unready.json()["dependencies"]["postgres"]["status"] == "down"
        assert unready.json()["dependencies"]["redis"]["status"] == "up"

        postgres.start()
        wait_until(
            lambda: client.post("/v1/jobs", json=NOOP).status_code == 202,
            timeout_seconds=10,
            what="a job to be accepted",
        )
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.post("/v1/jobs", json=NOOP).status_code, range(60)))
        assert set(answers) == {202}
        assert client.get("/readyz").json()["status"] == "ready"
        assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
        stream.wait_for_end()
        assert stream.types == ["job.queued", "job.cancelled"]


def test_what_answers_and_takes_no_writes_is_said_to_be_read_only(
    mortal_api: RunningApi, postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    def readiness() -> tuple[str, dict[str, str]]:
        answer = client.get("/readyz")
        assert answer.status_code == 200, answer.text
        return answer.json()["status"], {name: each["status"] for name, each in answer.json()["dependencies"].items()}

    with (
        mortal_api.client() as client,
        psycopg.connect(postgres.url, autocommit=True) as server,
        Redis.from_url(valkey.url) as redis,
    ):
        assert readiness() == ("ready", {"postgres": "up", "redis": "up"})
        server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        server.execute("SELECT pg_reload_conf()")
        redis.config_set("maxmemory", 1)
        wait_until(
            lambda: readiness() == ("degraded", {"postgres": "read_only", "redis": "read_only"}),
            timeout_seconds=10,
            what="both to be found read-only",
        )
        redis.config_set("maxmemory", 0)
        server.execute("SET default_transaction_read_only = off")
        server.execute("ALTER SYSTEM RESET default_transaction_read_only")
        server.execute("SELECT pg_reload_conf()")
        wait_until(lambda: readiness()[0] == "ready", timeout_seconds=10, what="readiness")


def test_an_api_that_starts_before_its_dependencies_serves_when_they_come(
    settings: Settings, postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    changed = settings.model_copy(update={"database_url": SecretStr(postgres.url)})
    with running_api(changed) as first:
        key = first.key
    postgres.stop()
    valkey.stop()
    api = start_api(changed, key=key)
    try:
        with api.client() as client:
            assert client.get("/healthz").status_code == 200
            assert client.post("/v1/jobs", json=NOOP).status_code == 503
            postgres.start()
            wait_until(
                lambda: client.post("/v1/jobs", json=NOOP).status_code == 202, timeout_seconds=10, what="acceptance"
            )
            valkey.start()
            wait_until(lambda: client.get("/readyz").json()["status"] == "ready", timeout_seconds=10, what="readiness")
    finally:
        api.stop()


def test_requests_in_flight_are_finished_when_the_server_stops(fresh_api: RunningApi) -> None:
    with fresh_api.client() as client, ThreadPoolExecutor(2) as pool:
        job = client.post("/v1/jobs", json=NOOP).json()
        poll = pool.submit(client.get, f"/v1/jobs/{job['id']}?wait=30")
        wait_until(lambda: bool(fresh_api.runtime.hub._confirmed), timeout_seconds=5, what="the poll to wait")
        began = time.monotonic()
        fresh_api.stop()
        answer: httpx.Response = poll.result(5)
        assert answer.status_code == 200
        assert answer.json()["state"] == "queued"
        assert time.monotonic() - began < 5


def test_a_failure_of_ours_says_only_how_to_find_it(
    mortal_api: RunningApi, postgres: EmbeddedPostgres, capfd: pytest.CaptureFixture[str]
) -> None:
    with mortal_api.client() as client, psycopg.connect(postgres.url, autocommit=True) as connection:
        client.post("/v1/jobs", json=NOOP).raise_for_status()
        connection.execute("ALTER TABLE jobs RENAME TO hidden_jobs")
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        failed = client.get("/v1/jobs", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
        connection.execute("ALTER TABLE hidden_jobs RENAME TO jobs")
        assert failed.status_code == 500
        assert failed.headers["content-type"] == "application/problem+json"
        assert failed.json()["code"] == "internal_error"
        assert failed.json()["trace_id"] == trace_id == failed.headers["x-request-id"]
        for secret in ("jobs", "relation", "psycopg", "SELECT", "Undefined"):
            assert secret not in failed.json()["detail"]
        assert client.get("/v1/jobs").status_code == 200
    logged = [line for line in capfd.readouterr().err.splitlines() if "request_failed" in line]
    assert len(logged) == 1
    assert trace_id in logged[0]
    assert "UndefinedTable" in logged[0]
