"""How many jobs run at once, per key, project and organisation: queued beyond that, and no slot is ever lost."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from core.jobs import queue
from core.jobs.states import JobState
from core.kit.settings import Settings
from tests.factories.api import issue_key
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.limits import set_limit
from tests.factories.processes import dispatcher, start, worker
from tests.factories.waiting import wait_until


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    """A project with two keys; `principal` is that of the first."""
    first = issue_key(settings, organization="org", project="p")
    opened = new_tenant(settings)
    opened.principal = replace(
        opened.principal, organization_id=first.organization_id, project_id=first.project_id, key_id=first.id
    )
    yield opened
    with opened.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM limits"))
    opened.close()


def with_key(tenant: Tenant, key_id: UUID) -> Tenant:
    return replace(tenant, principal=replace(tenant.principal, key_id=key_id), submitted=[])


def most_at_once(tenant: Tenant, column: str, value: UUID) -> int:
    """The most jobs of whom `column` names that ran together, watched until the tenant's jobs have ended."""
    most = 0
    while tenant.open_jobs(tenant.submitted):
        with tenant.database.system() as session:
            counted = session.execute(
                text(f"SELECT count(*) FROM jobs WHERE {column} = :value AND state = 'running'"), {"value": value}
            ).scalar_one()
        most = max(most, counted)
        time.sleep(0.01)
    return most


@pytest.mark.parametrize("scope", ["organization", "project", "key"])
@pytest.mark.survive("C12")
def test_no_more_run_at_once_than_may_and_all_run(settings: Settings, tenant: Tenant, scope: str) -> None:
    column = f"{scope}_id"
    value = getattr(tenant.principal, column)
    set_limit(settings, tenant, "concurrent_jobs", 2, scope=scope, scope_id=value)  # type: ignore[arg-type]
    with dispatcher(settings), worker(settings, concurrency=6), worker(settings, "other", 3):
        for index in range(14):
            tenant.submit("sleep", seconds=0.15, capability="other.act" if index % 3 == 0 else "probe.act")
        assert most_at_once(tenant, column, value) == 2
    assert {job.state for job in tenant.wait()} == {JobState.SUCCEEDED}


def test_a_key_at_its_limit_does_not_hold_back_its_neighbours(settings: Settings, tenant: Tenant) -> None:
    second = issue_key(settings, organization="org", project="p")
    third = issue_key(settings, organization="org", project="p")
    set_limit(settings, tenant, "concurrent_jobs", 1, scope="key", scope_id=tenant.principal.key_id)
    set_limit(settings, tenant, "concurrent_jobs", 0, scope="key", scope_id=third.id)
    stopped, neighbour = with_key(tenant, third.id), with_key(tenant, second.id)
    with dispatcher(settings), worker(settings, concurrency=4):
        stopped.submit()
        for _ in range(30):
            tenant.submit("sleep", seconds=20)
        wait_until(lambda: tenant.job(tenant.submitted[0]).state is JobState.RUNNING, timeout_seconds=20, what="one")
        [job] = neighbour.wait(neighbour.submit(), timeout_seconds=10)
        assert job.state is JobState.SUCCEEDED
        assert tenant.open_jobs(tenant.submitted) == 30
        assert stopped.job(stopped.submitted[0]).state is JobState.QUEUED
        for one in (tenant, stopped):
            for job_id in one.submitted:
                one.cancel(job_id)
        tenant.wait()


@pytest.mark.survive("P4")
def test_a_slot_comes_back_when_its_worker_is_killed(
    settings: Settings, tenant: Tenant, record_property: Callable[[str, object], None]
) -> None:
    set_limit(settings, tenant, "concurrent_jobs", 1, scope="key", scope_id=tenant.principal.key_id)
    with dispatcher(settings):
        process = start(settings, "workers", "worker", "probe", "2")
        process.wait_for("worker_ready")
        held = tenant.submit("sleep", seconds=60, until_attempt=1)
        waiting = tenant.submit()
        tenant.wait_for_state(held, JobState.RUNNING)
        assert tenant.job(waiting).dispatched_at is None
        process.kill()
        killed = time.monotonic()
        with worker(settings, concurrency=2):
            tenant.wait(held, waiting, timeout_seconds=30)
        record_property("figure", f"both ended {time.monotonic() - killed:.1f} s after the kill")
    with tenant.database.system() as session:
        flying = queue.open_round(session, with_limits=False).in_flight
    assert flying.of_scope[tenant.principal.project_id] == 0
