"""Failures that users of Celery on Redis report, provoked on real processes. Long forms are marked slow."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import text

from core.jobs.live import channel, decode_event
from core.jobs.states import JobState
from core.kit.redis import connect
from core.kit.settings import Settings
from tests.factories.jobs import Tenant, final_events, new_tenant
from tests.factories.processes import dispatcher, settings_of, start, supervised_worker, worker
from tests.factories.waiting import wait_until
from waybill.stack.valkey import EmbeddedValkey

pytestmark = pytest.mark.timeout(240)
RecordProperty = Callable[[str, object], None]


def starts(marker: Path) -> list[str]:
    return marker.read_text(encoding="utf-8").splitlines() if marker.exists() else []


def ended_exactly_once(tenant: Tenant, job_ids: list[UUID]) -> None:
    for job_id in job_ids:
        assert sum(final_events(tenant.events(job_id)).values()) == 1


def celery_client(settings: Settings) -> Redis:
    return connect(settings)


def _holds(client: Redis, key: bytes, job_id: UUID) -> bool:
    """Whether a queue holds a message for the job."""
    if client.type(key) != b"list":
        return False
    return any(str(job_id) in str(message) for message in client.lrange(key, 0, -1))


@pytest.mark.survive("C1")
def test_a_job_that_runs_has_no_message_that_could_come_again(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    marker = tmp_path / "starts"
    # On a busy machine a claim may come so late that the dispatcher has sent the job's id again, which does no harm.
    patient = settings_of(settings, redispatch_after_seconds=60.0)
    with dispatcher(patient), celery_client(settings) as client:
        job_id = tenant.submit("sleep", seconds=4, marker=str(marker))

        def holding() -> list[bytes]:
            return [key for key in client.scan_iter() if _holds(client, key, job_id)]

        wait_until(lambda: bool(holding()), timeout_seconds=30, what="its message")
        with worker(patient), worker(patient):
            wait_until(lambda: bool(starts(marker)), timeout_seconds=30, what="the start")
            # kombu would note it as unacknowledged, and hand it out again after a visibility timeout.
            found = [key for key in client.scan_iter() if b"unacked" in key] + holding()
            [job] = tenant.wait(job_id, timeout_seconds=60)
    assert found == []
    assert job.state is JobState.SUCCEEDED
    assert starts(marker) == [f"{job_id} 1"]
    ended_exactly_once(tenant, [job_id])


@pytest.mark.survive("C2")
def test_a_worker_consumes_again_after_its_connections_were_cut(
    settings: Settings, tenant: Tenant, valkey: EmbeddedValkey, record_property: RecordProperty
) -> None:
    with dispatcher(settings), supervised_worker(settings):
        tenant.wait(tenant.submit())
        with Redis.from_url(valkey.url) as admin:
            for _ in range(3):
                admin.client_kill_filter(_type="normal", skipme=True)
                admin.client_kill_filter(_type="pubsub", skipme=True)
                time.sleep(0.3)
        cut = time.monotonic()
        [job] = tenant.wait(tenant.submit(), timeout_seconds=30)
        record_property("figure", f"consumed again after {time.monotonic() - cut:.1f} s")
        assert time.monotonic() - cut < 30
        assert job.state is JobState.SUCCEEDED


@pytest.mark.survive("C2")
def test_a_worker_that_stays_up_but_does_not_consume_ends_itself(settings: Settings, tenant: Tenant) -> None:
    impatient = settings_of(settings, consumption_timeout_seconds=2.0)
    process = start(impatient, "tests.factories.deaf_worker", "probe")
    try:
        process.wait_for("worker_ready")
        with dispatcher(impatient):
            tenant.submit()
            assert process.wait(30) == 75
        assert "worker_stopped_consuming" in process.output()
        with dispatcher(impatient), worker(impatient):
            tenant.wait()
    finally:
        process.kill()


def _terminate_at_random(settings: Settings, tenant: Tenant, rounds: int, jobs_per_round: int) -> None:
    chance = random.Random(4354)
    with dispatcher(settings):
        for _ in range(rounds):
            process = start(settings, "workers", "worker", "probe", "2")
            process.wait_for("worker_ready")
            for _ in range(jobs_per_round):
                tenant.submit("sleep", seconds=chance.uniform(0, 0.3))
            time.sleep(chance.uniform(0, 0.6))
            assert process.stop(30) == 0
        with worker(settings, concurrency=4):
            jobs = tenant.wait(timeout_seconds=120)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert {job.failures for job in jobs} == {0}
    ended_exactly_once(tenant, tenant.submitted)


@pytest.mark.survive("C3")
def test_sigterm_at_random_moments_loses_nothing(settings: Settings, tenant: Tenant) -> None:
    _terminate_at_random(settings, tenant, rounds=3, jobs_per_round=6)


@pytest.mark.slow(120)
@pytest.mark.survive("C3")
def test_sigterm_at_many_random_moments_loses_nothing(settings: Settings, tenant: Tenant) -> None:
    _terminate_at_random(settings, tenant, rounds=25, jobs_per_round=10)


@pytest.mark.survive("C3")
def test_a_long_job_goes_back_to_the_queue_when_its_worker_must_go(settings: Settings, tenant: Tenant) -> None:
    hurried = settings_of(settings, drain_seconds=0.5)
    with dispatcher(hurried):
        with worker(hurried) as process:
            job_id = tenant.submit("sleep", seconds=60, until_attempt=1)
            tenant.wait_for_state(job_id, JobState.RUNNING)
            assert process.stop(20) == 0
        job = tenant.job(job_id)
        assert (job.state, job.reason, job.failures) == (JobState.QUEUED, "worker_stopped", 0)
        with worker(hurried):
            [job] = tenant.wait(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


@pytest.mark.survive("C4")
def test_the_next_attempt_starts_within_lease_and_sweep_after_a_kill(
    settings: Settings, tenant: Tenant, record_property: RecordProperty
) -> None:
    with dispatcher(settings), worker(settings) as first:
        job_id = tenant.submit("sleep", seconds=60, until_attempt=1)
        tenant.wait_for_state(job_id, JobState.RUNNING)
        with worker(settings):
            first.kill()
            took = wait_until(lambda: tenant.job(job_id).attempt == 2, timeout_seconds=60, what="the second attempt")
            record_property("figure", f"second attempt after {took:.1f} s, lease {settings.lease_seconds} s")
            [job] = tenant.wait(job_id)
    assert (job.state, job.failures) == (JobState.SUCCEEDED, 1)


@pytest.mark.survive("C4")
def test_a_job_that_kills_its_worker_every_time_fails_as_worker_lost(settings: Settings, tenant: Tenant) -> None:
    brisk = settings_of(settings, lease_seconds=1.5, heartbeat_seconds=0.5)
    with dispatcher(brisk):
        job_id = tenant.submit("die", max_attempts=2)
        process = start(brisk, "workers", "worker", "probe", "1")
        try:
            assert process.wait(60) == -signal.SIGKILL, process.output()
        finally:
            process.kill()
        assert tenant.job(job_id).attempt == 1
        # What lost its worker once has its next one to itself.
        with worker(brisk, concurrency=1) as survivor:
            [job] = tenant.wait(job_id)
            assert survivor.exit_code is None
    assert (job.state, job.reason, job.failures) == (JobState.FAILED, "worker_lost", 2)
    assert job.error is not None
    assert job.error["code"] == "worker_lost"


@pytest.mark.survive("C5")
def test_a_job_cancelled_while_no_worker_runs_never_runs(settings: Settings, tenant: Tenant, tmp_path: Path) -> None:
    marker = tmp_path / "starts"
    with dispatcher(settings):
        job_id = tenant.submit(marker=str(marker))
        wait_until(lambda: tenant.job(job_id).dispatched_at is not None, timeout_seconds=10, what="its dispatch")
        assert tenant.cancel(job_id).state is JobState.CANCELLED
        with worker(settings):
            other = tenant.submit()
            tenant.wait(other)
    assert tenant.job(job_id).state is JobState.CANCELLED
    assert starts(marker) == []


@pytest.mark.survive("C5")
def test_a_running_job_stops_soon_after_it_is_cancelled(settings: Settings, tenant: Tenant) -> None:
    with dispatcher(settings), worker(settings):
        job_id = tenant.submit("sleep", seconds=60)
        tenant.wait_for_state(job_id, JobState.RUNNING)
        tenant.cancel(job_id)
        [job] = tenant.wait(job_id, timeout_seconds=10)
    assert (job.state, job.reason) == (JobState.CANCELLED, "cancelled_by_client")


def _lose_the_broker(settings: Settings, tenant: Tenant, valkey: EmbeddedValkey, jobs: int, blows: int) -> None:
    with dispatcher(settings), supervised_worker(settings, concurrency=4):
        for index in range(jobs):
            tenant.submit("sleep", seconds=0.02)
            if index % (jobs // blows) == jobs // blows - 1:
                valkey.flush()
            if index == jobs // 2:
                valkey.kill()
                tenant.submit()
                valkey.start()
        ended = tenant.wait(timeout_seconds=120)
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    ended_exactly_once(tenant, tenant.submitted)


@pytest.mark.survive("C6")
def test_flush_and_restart_of_redis_under_load_lose_no_job(
    settings: Settings, tenant: Tenant, valkey: EmbeddedValkey
) -> None:
    _lose_the_broker(settings, tenant, valkey, jobs=60, blows=3)


@pytest.mark.slow(60)
@pytest.mark.survive("C6")
def test_many_flushes_and_restarts_of_redis_lose_no_job(
    settings: Settings, tenant: Tenant, valkey: EmbeddedValkey
) -> None:
    _lose_the_broker(settings, tenant, valkey, jobs=1500, blows=15)


@pytest.mark.survive("C9")
def test_a_job_for_later_waits_in_postgres_not_in_the_broker(settings: Settings, tenant: Tenant) -> None:
    with dispatcher(settings), worker(settings):
        with tenant.database.system() as session:
            due = session.execute(text("SELECT now() + interval '4 seconds'")).scalar_one()
        later = tenant.submit(run_at=due)
        tenant.wait(tenant.submit())
        assert tenant.job(later).dispatched_at is None
        client = connect(settings)
        held = [client.dump(key) or b"" for key in client.scan_iter(settings.key("queue*"))]
        assert not any(str(later).encode() in body for body in held)
        [job] = tenant.wait(later)
    assert job.started_at is not None
    assert job.started_at >= due


def _count_keys(settings: Settings, tenant: Tenant, jobs: int) -> None:
    brief = settings_of(settings, event_stream_ttl_seconds=1)
    with dispatcher(brief), worker(brief, concurrency=4, WAYBILL_EVENT_STREAM_TTL_SECONDS="1"):
        client = connect(settings)
        tenant.wait(tenant.submit())
        time.sleep(2)
        before = sorted(client.scan_iter("*", count=1000))
        for _ in range(jobs):
            tenant.submit()
        tenant.wait(timeout_seconds=60 + jobs / 20)
        wait_until(
            lambda: len(list(client.scan_iter("*", count=1000))) <= len(before),
            timeout_seconds=15,
            what="keys to expire",
        )
    assert all(key.startswith(f"{{{settings.key_prefix}}}".encode()) for key in before)


@pytest.mark.survive("C10")
def test_redis_holds_no_more_keys_after_many_jobs_than_before(settings: Settings, valkey: EmbeddedValkey) -> None:
    brief = settings_of(settings, event_stream_ttl_seconds=1)
    tenant = new_tenant(brief)
    try:
        _count_keys(brief, tenant, jobs=200)
    finally:
        tenant.close()


@pytest.mark.slow(3000)
@pytest.mark.survive("C10")
@pytest.mark.timeout(3600)
def test_redis_holds_no_more_keys_after_a_hundred_thousand_jobs(settings: Settings, valkey: EmbeddedValkey) -> None:
    brief = settings_of(settings, event_stream_ttl_seconds=1)
    tenant = new_tenant(brief)
    try:
        _count_keys(brief, tenant, jobs=100_000)
    finally:
        tenant.close()


@pytest.mark.survive("C11")
def test_a_reader_never_sees_an_event_before_its_row_nor_a_retry_as_final(settings: Settings, tenant: Tenant) -> None:
    client = connect(settings)
    with dispatcher(settings), worker(settings), client.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
        listener.psubscribe(settings.key("live", "*"))
        listener.get_message(timeout=1)
        job_id = tenant.submit("fail", until_attempt=1, max_attempts=3)
        seen: list[str] = []
        while not seen or seen[-1] != "job.succeeded":
            message = listener.get_message(timeout=30)
            assert message is not None, seen
            if not message["data"]:
                # The activity signal: some job has had an event.
                continue
            event = decode_event(message["data"])
            assert message["channel"].decode() == channel(settings, job_id)
            if event.is_persisted:
                assert event.id in {kept.id for kept in tenant.events(job_id)}
            job = tenant.job(job_id)
            if event.is_final:
                assert job.is_terminal
            if not job.is_terminal:
                assert job.error is None
            seen.append(event.type)
    assert seen == ["job.queued", "job.started", "job.queued", "job.started", "job.succeeded"]


def test_every_way_an_attempt_ends_has_a_stable_code_and_no_foreign_text(settings: Settings, tenant: Tenant) -> None:
    with dispatcher(settings), worker(settings, concurrency=4) as process:
        crash = tenant.submit("crash", max_attempts=1)
        refuse = tenant.submit("fail", retryable=False)
        bad = tenant.submit("bad_output", max_attempts=1)
        large = tenant.submit("large")
        suspended = tenant.submit("suspend")
        jobs = {job.id: job for job in tenant.wait(crash, refuse, bad, large)}
        tenant.wait_for_state(suspended, JobState.WAITING)
        log = process.output()
    assert jobs[crash].reason == "capability_error"
    assert "hunter2" not in str(jobs[crash].error)
    assert (jobs[refuse].reason, jobs[refuse].attempt) == ("asked_to_fail", 1)
    assert jobs[bad].state is JobState.FAILED
    assert len((tenant.result(large) or {})["said"]) == 200_000
    assert '"outcome":"job.waiting"' in log


def test_a_standby_takes_over_from_a_killed_dispatcher(settings: Settings, tenant: Tenant) -> None:
    with dispatcher(settings) as owner, worker(settings):
        standby = start(settings, "workers", "dispatcher")
        try:
            standby.wait_for("dispatcher_started")
            assert '"pool":"probe"' not in standby.output().replace("dispatcher_started", "")
            owner.kill()
            took = wait_until(lambda: "pool_owned" in standby.output(), timeout_seconds=10, what="the standby")
            assert took < 10
            [job] = tenant.wait(tenant.submit())
            assert job.state is JobState.SUCCEEDED
        finally:
            standby.stop()


def test_a_worker_under_a_foreign_signal_leaves_no_process(settings: Settings) -> None:
    with worker(settings) as process:
        group = os.getpgid(process.pid)
        assert process.stop() == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
