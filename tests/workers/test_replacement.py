"""A job that crashes or outgrows its process, on real processes: the others end well, and the pool lives."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from core.jobs.states import JobState
from core.kit.settings import Settings
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, pool_of, settings_of
from workers.supervisor import pause_after

pytestmark = pytest.mark.timeout(240)


def brisk(settings: Settings) -> Settings:
    """Settings under which a lost lease is found quickly."""
    return settings_of(settings, lease_seconds=1.5, heartbeat_seconds=0.4, redispatch_after_seconds=1.0)


def logged(output: str, event: str) -> list[dict[str, object]]:
    """The lines of a log with that event."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def all_succeeded(tenant: Tenant, job_ids: list[UUID]) -> None:
    for job in tenant.wait(*job_ids, timeout_seconds=120):
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)


@pytest.mark.survive("C4")
def test_a_job_that_crashes_its_process_costs_the_others_no_more_than_an_attempt(
    settings: Settings, tenant: Tenant
) -> None:
    quick = brisk(settings)
    with dispatcher(quick), pool_of(quick, concurrency=3) as process:
        others = [tenant.submit("sleep", seconds=0.4, max_attempts=2) for _ in range(5)]
        bad = tenant.submit("exit", max_attempts=2)
        others += [tenant.submit("sleep", seconds=0.4, max_attempts=2) for _ in range(5)]
        all_succeeded(tenant, others)
        [job] = tenant.wait(bad, timeout_seconds=60)
        assert (job.state, job.reason, job.failures) == (JobState.FAILED, "worker_lost", 2)
        assert job.error is not None
        assert "crashes its process" in job.error["message"]
        all_succeeded(tenant, [tenant.submit()])
        assert process.exit_code is None
        # The process that others shared was lost once; after that the job had one to itself.
        assert [line["ended"] for line in logged(process.output(), "worker_lost")] == ["11"]
        assert [line["exit_code"] for line in logged(process.output(), "isolated_job_lost")] == [11]


@pytest.mark.slow(30)
def test_a_job_that_grows_without_end_ends_in_isolation(settings: Settings, tenant: Tenant) -> None:
    quick = brisk(settings)
    bound = json.dumps({"probe": 250})
    with dispatcher(quick), pool_of(quick, concurrency=3, WAYBILL_WORKER_MEMORY_MB=bound) as process:
        bad = tenant.submit("grow", megabytes=2_000, max_attempts=2)
        others = [tenant.submit("sleep", seconds=0.4, max_attempts=2) for _ in range(10)]
        all_succeeded(tenant, others)
        [job] = tenant.wait(bad, timeout_seconds=60)
        assert (job.state, job.reason) == (JobState.FAILED, "worker_lost")
        all_succeeded(tenant, [tenant.submit()])
        assert [line["cause"] for line in logged(process.output(), "worker_retires")][:1] == ["memory"]
        assert logged(process.output(), "worker_too_large")


def test_a_worker_that_has_grown_finishes_what_it_runs_and_is_replaced(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    quick, release = brisk(settings), tmp_path / "release"
    bound = json.dumps({"probe": 250})
    with dispatcher(quick), pool_of(quick, concurrency=2, WAYBILL_WORKER_MEMORY_MB=bound) as process:
        large = tenant.submit("grow", megabytes=200, release=str(release))
        tenant.wait_for_state(large, JobState.RUNNING)
        process.wait_for('"worker_retires"')
        others = [tenant.submit("sleep", seconds=0.1) for _ in range(4)]
        all_succeeded(tenant, others)
        assert tenant.job(large).state is JobState.RUNNING, "others went on beside it, in the successor"
        release.touch()
        all_succeeded(tenant, [large])
        assert {tenant.job(job_id).failures for job_id in (large, *others)} == {0}
        assert tenant.job(large).attempt == 1
        process.wait_for('"worker_retired"')
        assert logged(process.output(), "worker_lost") == []


def test_a_worker_is_replaced_after_its_number_of_jobs(settings: Settings, tenant: Tenant) -> None:
    quick = brisk(settings)
    with dispatcher(quick), pool_of(quick, concurrency=2, WAYBILL_WORKER_MAX_JOBS="3") as process:
        jobs = [tenant.submit("sleep", seconds=0.2) for _ in range(8)]
        all_succeeded(tenant, jobs)
        assert {(tenant.job(job_id).failures, tenant.job(job_id).attempt) for job_id in jobs} == {(0, 1)}
        assert {line["cause"] for line in logged(process.output(), "worker_retires")} == {"jobs"}


def test_a_worker_that_cannot_start_is_not_started_for_ever(settings: Settings) -> None:
    from tests.factories.processes import start

    process = start(settings, "workers", "pool", "probe", "2", REDIS_URL="nonsense://")
    try:
        assert process.wait(30) == 1
    finally:
        process.kill()


def test_pauses_double_up_to_half_a_minute() -> None:
    assert [pause_after(crashes) for crashes in (1, 2, 3, 7, 8, 10_000)] == [0.5, 1.0, 2.0, 30.0, 30.0, 30.0]
