"""Claim, fence, end and sweep on a real database, without any process around them."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from core.capability import LeaseLost
from core.jobs import leases, queue
from core.jobs.records import Claim, Event
from core.jobs.states import FAIL, RETRY, SUCCEED, SUSPEND, JobState
from core.jobs.trail import actor_parameters
from core.kit.clock import utc_now
from core.kit.errors import NotFound
from core.kit.settings import Settings
from tests.factories.jobs import Tenant, final_events, new_tenant

pytestmark = pytest.mark.own_database
UNCLAIMED_SECONDS = 5.0


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    made = new_tenant(settings)
    yield made
    made.close()


def dispatch(tenant: Tenant, job_id: UUID) -> None:
    with tenant.database.system() as session:
        assert queue.mark_dispatched(session, [job_id]) == [job_id]


def claim(tenant: Tenant, job_id: UUID, lease_seconds: float = 15, *, isolated: bool = False) -> Claim | None:
    return leases.claim(tenant.database.single_system(), job_id, "worker-1", lease_seconds, isolated=isolated)


def claimed(tenant: Tenant, job_id: UUID, lease_seconds: float = 15, *, isolated: bool = False) -> Claim:
    dispatch(tenant, job_id)
    found = claim(tenant, job_id, lease_seconds, isolated=isolated)
    assert found is not None
    return found


def end_event(held: Claim, kind: str, offset: int = 1) -> Event:
    return Event(held.job.id, held.event_id + offset, held.event_id, kind, held.job.attempt, {}, utc_now())


def sweep(tenant: Tenant) -> list[str]:
    busy = queue.pools_to_sweep(tenant.database.single_system(), ["other", "probe"], UNCLAIMED_SECONDS)
    with tenant.database.system() as session:
        events = [event.type for event in queue.sweep(session, "probe")]
    assert not events or "probe" in busy
    return events


def test_a_job_runs_through_its_life_with_chained_events(tenant: Tenant) -> None:
    job_id = tenant.submit()
    held = claimed(tenant, job_id)
    leases.end(
        tenant.database.single_tenant(tenant.principal.organization_id),
        SUCCEED,
        end_event(held, "job.succeeded"),
        result={"x": 1},
    )
    job = tenant.job(job_id)
    assert job.state is JobState.SUCCEEDED
    assert job.finished_at is not None
    events = tenant.events(job_id)
    assert [event.type for event in events] == ["job.queued", "job.started", "job.succeeded"]
    assert [event.previous for event in events] == [0, *[event.id for event in events[:-1]]]


def test_only_a_dispatched_job_can_be_claimed_and_only_once(tenant: Tenant) -> None:
    job_id = tenant.submit()
    assert claim(tenant, job_id) is None
    dispatch(tenant, job_id)
    assert claim(tenant, job_id) is not None
    assert claim(tenant, job_id) is None


def test_an_attempt_that_lost_its_lease_can_change_nothing(tenant: Tenant) -> None:
    job_id = tenant.submit()
    first = claimed(tenant, job_id, lease_seconds=0)
    assert sweep(tenant) == ["job.queued"]
    second = claimed(tenant, job_id, isolated=True)
    assert second.job.attempt == first.job.attempt + 1
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    with pytest.raises(LeaseLost):
        leases.end(single, SUCCEED, end_event(first, "job.succeeded"), result={})
    with pytest.raises(LeaseLost):
        leases.persist_events(single, job_id, first.job.attempt, [end_event(first, "step.started")])
    with pytest.raises(LeaseLost):
        leases.more_event_ids(single, job_id, first.job.attempt)
    assert leases.renew(tenant.database.single_system(), [(job_id, first.job.attempt)], 15) == []
    assert tenant.job(job_id).state is JobState.RUNNING


def test_a_job_that_lost_its_worker_is_only_for_an_isolated_process(tenant: Tenant) -> None:
    job_id = tenant.submit()
    single = tenant.database.single_system()
    claimed(tenant, job_id, lease_seconds=0)
    assert leases.pool_if_lost(single, job_id) is None
    assert sweep(tenant) == ["job.queued"]
    dispatch(tenant, job_id)
    assert claim(tenant, job_id) is None
    assert leases.pool_if_lost(single, job_id) == "probe"
    found = claim(tenant, job_id, isolated=True)
    assert found is not None
    assert found.job.attempt == 2


def test_a_job_whose_worker_is_lost_every_time_fails(tenant: Tenant) -> None:
    job_id = tenant.submit(max_attempts=2)
    claimed(tenant, job_id, lease_seconds=0)
    assert sweep(tenant) == ["job.queued"]
    claimed(tenant, job_id, lease_seconds=0, isolated=True)
    assert sweep(tenant) == ["job.failed"]
    job = tenant.job(job_id)
    assert (job.state, job.reason, job.failures) == (JobState.FAILED, "worker_lost", 2)
    assert sweep(tenant) == []


def test_a_deadline_ends_a_job_wherever_it_is(tenant: Tenant) -> None:
    queued = tenant.submit(deadline_seconds=0)
    running = tenant.submit(deadline_seconds=30)
    held = claimed(tenant, running)
    with tenant.database.system() as session:
        session.execute(text("UPDATE jobs SET deadline_at = now() - interval '1 s' WHERE id = :id"), {"id": running})
    assert sorted(sweep(tenant)) == ["job.expired", "job.expired"]
    assert {tenant.job(queued).state, tenant.job(running).state} == {JobState.EXPIRED}
    with pytest.raises(LeaseLost):
        leases.end(
            tenant.database.single_tenant(tenant.principal.organization_id), SUCCEED, end_event(held, "job.succeeded")
        )


def test_a_cancelled_job_whose_worker_died_is_cancelled_not_run_again(tenant: Tenant) -> None:
    job_id = tenant.submit()
    claimed(tenant, job_id, lease_seconds=0)
    assert tenant.cancel(job_id).state is JobState.RUNNING
    assert sweep(tenant) == ["job.cancelled"]
    assert tenant.job(job_id).state is JobState.CANCELLED


def test_a_retry_is_due_later_and_shows_no_final_error(tenant: Tenant) -> None:
    job_id = tenant.submit()
    held = claimed(tenant, job_id)
    leases.end(
        tenant.database.single_tenant(tenant.principal.organization_id),
        RETRY,
        end_event(held, "job.queued"),
        reason="retry",
        counts_as_failure=True,
        delay_seconds=60,
    )
    job = tenant.job(job_id)
    assert (job.state, job.error, job.failures, job.dispatched_at) == (JobState.QUEUED, None, 1, None)
    with tenant.database.system() as session:
        assert job_id not in {due.id for due in queue.due(session, "probe", 100)}


def test_pools_with_nothing_to_dispatch_are_told_apart(tenant: Tenant) -> None:
    system, pools = tenant.database.single_system(), ["other", "probe"]
    with tenant.database.system() as session:
        session.execute(text("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE state = 'queued'"))
    assert queue.pools_with_due(system, pools) == set()
    job_id = tenant.submit()
    assert queue.pools_with_due(system, pools) == {"probe"}
    dispatch(tenant, job_id)
    assert queue.pools_with_due(system, pools) == set()


def test_only_pools_in_which_something_may_have_run_out_of_time_are_swept(tenant: Tenant) -> None:
    system, pools = tenant.database.single_system(), ["other", "probe"]
    with tenant.database.system() as session:
        session.execute(
            text(
                "UPDATE jobs SET state = 'cancelled', reason = NULL, finished_at = now(), lease_expires_at = NULL,"
                " worker = NULL WHERE finished_at IS NULL"
            )
        )
    job_id = tenant.submit()
    assert queue.pools_to_sweep(system, pools, UNCLAIMED_SECONDS) == set()
    reasons = [
        ("dispatched_at = now() - interval '6 s'", "dispatched_at = now()"),
        ("cancel_requested_at = now()", "cancel_requested_at = NULL"),
        ("deadline_at = now() - interval '1 s'", "deadline_at = now() + interval '1 h'"),
        ("parent_id = uuidv7()", "parent_id = NULL"),
    ]
    for change, undone in reasons:
        for statement, found in ((change, {"probe"}), (undone, set())):
            with tenant.database.system() as session:
                session.execute(text(f"UPDATE jobs SET {statement} WHERE id = :id"), {"id": job_id})
            assert queue.pools_to_sweep(system, pools, UNCLAIMED_SECONDS) == found, statement
    with tenant.database.system() as session:
        session.execute(text("UPDATE jobs SET dispatched_at = NULL WHERE id = :id"), {"id": job_id})
    held = claimed(tenant, job_id)
    assert queue.pools_to_sweep(system, pools, UNCLAIMED_SECONDS) == set()
    for lease, found in (("now() - interval '1 s'", {"probe"}), ("now() + interval '1 h'", set())):
        with tenant.database.system() as session:
            session.execute(text(f"UPDATE jobs SET lease_expires_at = {lease} WHERE id = :id"), {"id": job_id})
        assert queue.pools_to_sweep(system, pools, UNCLAIMED_SECONDS) == found
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    leases.end(single, SUSPEND, end_event(held, "job.waiting"), reason="budget")
    assert queue.pools_to_sweep(system, pools, UNCLAIMED_SECONDS) == {"probe"}


def test_a_suspended_job_frees_its_worker_and_comes_back(tenant: Tenant) -> None:
    job_id = tenant.submit()
    held = claimed(tenant, job_id)
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    leases.end(single, SUSPEND, end_event(held, "job.waiting"), reason="input")
    assert tenant.job(job_id).state is JobState.WAITING
    actor = actor_parameters(tenant.principal)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        assert not leases.resume(session, job_id, "children", actor)
        assert leases.resume(session, job_id, "input", actor)
    again = claimed(tenant, job_id)
    assert again.job.attempt == held.job.attempt + 1
    assert again.job.failures == 0


def test_the_database_itself_refuses_what_no_rule_allows(tenant: Tenant) -> None:
    job_id = tenant.submit()
    tenant.cancel(job_id)
    with (
        pytest.raises(IntegrityError, match="may not go from cancelled to queued"),
        tenant.database.system() as session,
    ):
        session.execute(text("UPDATE jobs SET state = 'queued', finished_at = NULL WHERE id = :id"), {"id": job_id})
    other = tenant.submit()
    with pytest.raises(IntegrityError, match="jobs_running_has_lease"), tenant.database.system() as session:
        session.execute(text("UPDATE jobs SET state = 'running' WHERE id = :id"), {"id": other})


def test_cancelling_twice_or_after_the_end_changes_nothing(tenant: Tenant) -> None:
    job_id = tenant.submit()
    first = tenant.cancel(job_id)
    second = tenant.cancel(job_id)
    assert first == second
    assert final_events(tenant.events(job_id)) == {"job.cancelled": 1}


def test_another_organisation_sees_nothing_even_by_raw_sql(tenant: Tenant, settings: Settings) -> None:
    job_id = tenant.submit()
    stranger = new_tenant(settings)
    try:
        with pytest.raises(NotFound):
            stranger.job(job_id)
        with stranger.database.tenant(stranger.principal.organization_id) as session:
            assert session.execute(text("SELECT count(*) FROM jobs WHERE id = :id"), {"id": job_id}).scalar_one() == 0
            assert session.execute(text("SELECT count(*) FROM job_events")).scalar_one() == 0
            changed = session.execute(text("UPDATE jobs SET priority = 0 WHERE id = :id"), {"id": job_id})
            assert changed.rowcount == 0  # type: ignore[attr-defined]
    finally:
        stranger.close()


def test_an_input_over_the_inline_limit_goes_to_the_blob_store(tenant: Tenant) -> None:
    note = "long " * 40_000
    job_id = tenant.submit(note=note)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        row = session.execute(text("SELECT input, input_ref FROM jobs WHERE id = :id"), {"id": job_id}).one()
        assert row.input is None
        assert row.input_ref is not None
        given = tenant.service.get_with_payloads(session, tenant.principal, job_id)[1]
    assert given is not None
    assert given["note"] == note


def test_a_failed_job_must_say_why(tenant: Tenant) -> None:
    held = claimed(tenant, tenant.submit())
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    with pytest.raises(Exception, match="jobs_failed_reason"):
        leases.end(single, FAIL, end_event(held, "job.failed"))


def test_partitions_for_the_coming_months_exist_and_are_closed_to_direct_access(tenant: Tenant) -> None:
    with tenant.database.system() as session:
        assert queue.ensure_partitions(session) == 0
        assert queue.ensure_partitions(session, months_ahead=4) == 2 * 13
    # Row-level security of the parent does not protect a partition that is named directly.
    with pytest.raises(ProgrammingError, match="permission denied"), tenant.database.system() as session:
        session.execute(text("SELECT count(*) FROM jobs_default"))
