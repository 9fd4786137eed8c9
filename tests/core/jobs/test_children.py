"""Children at the database: one for each key, no wake-up lost, no cap passed, no reservation twice."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from core.capability import ChildCall, JobCancelled, JobSuspended
from core.jobs.receipts import repository as waybill
from core.jobs.retention.repository import blank
from core.jobs.states import SUSPEND, JobState
from core.jobs.trail import digest_of
from core.kit.errors import CapabilityFailure
from core.kit.settings import Settings
from core.ledger import service as ledger
from core.ledger.errors import BudgetExhausted
from core.ledger.invariants import check_invariants
from core.ledger.records import CallIdentity, Settlement
from tests.factories.api import issue_key, probe_capabilities, revoke_key
from tests.factories.attempts import Attempt, worker_services
from tests.factories.jobs import Tenant, new_tenant

pytestmark = pytest.mark.own_database

Run = Callable[[UUID], Attempt]


@pytest.fixture(autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    made = new_tenant(settings)
    yield made
    made.close()


@pytest.fixture
def run(settings: Settings, tenant: Tenant) -> Iterator[Run]:
    with worker_services(settings) as services:
        yield lambda job_id: Attempt(services, job_id)


def calls(*keys: str, cap_usd: str | None = None) -> list[ChildCall]:
    cap = None if cap_usd is None else Decimal(cap_usd)
    return [ChildCall(key, "probe.act", {"act": "noop"}, max_cost_usd=cap) for key in keys]


def start(attempt: Attempt, *keys: str, cap_usd: str | None = None) -> None:
    with pytest.raises(JobSuspended):
        attempt.context.call_all(calls(*keys, cap_usd=cap_usd))


def suspend(attempt: Attempt) -> None:
    attempt.context.end(SUSPEND, "job.waiting", {"reason": "children"}, reason="children")


def children_of(tenant: Tenant, parent_id: UUID) -> list[UUID]:
    with tenant.database.system() as session:
        rows = session.execute(
            text("SELECT child_id FROM job_children WHERE parent_id = :id ORDER BY position"), {"id": parent_id}
        )
        return list(rows.scalars())


def test_a_key_becomes_one_child_for_concurrent_callers(tenant: Tenant, run: Run) -> None:
    attempt = run(tenant.submit())
    together = threading.Barrier(8)

    def call(_: int) -> None:
        together.wait(30)
        start(attempt, "a", "b", "c")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))
    with tenant.database.system() as session:
        found = session.execute(
            text("SELECT count(*) FROM jobs WHERE parent_id = :id"), {"id": attempt.context.job_id}
        ).scalar_one()
    assert found == 3
    assert len(children_of(tenant, attempt.context.job_id)) == 3


def test_no_wake_up_is_lost_when_the_last_child_ends_as_its_parent_steps_aside(tenant: Tenant, run: Run) -> None:
    for _ in range(25):
        parent = run(tenant.submit())
        start(parent, "only")
        child = run(children_of(tenant, parent.context.job_id)[0])
        together = threading.Barrier(2)

        def end(attempt: Attempt, together: threading.Barrier = together, parent: Attempt = parent) -> None:
            together.wait(30)
            if attempt is parent:
                suspend(attempt)
            else:
                attempt.succeed(attempt=1)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(end, (parent, child)))
        job = tenant.job(parent.context.job_id)
        assert (job.state, job.reason) == (JobState.QUEUED, None)
        reported = [event for event in tenant.events(job.id) if event.type == "child.finished"]
        assert [event.data["state"] for event in reported] == ["succeeded"]


def test_children_that_all_end_at_once_wake_their_parent_once(tenant: Tenant, run: Run) -> None:
    parent = run(tenant.submit())
    keys = [f"child-{number}" for number in range(12)]
    start(parent, *keys)
    attempts = [run(child) for child in children_of(tenant, parent.context.job_id)]
    suspend(parent)
    together = threading.Barrier(len(attempts))

    def end(attempt: Attempt) -> None:
        together.wait(30)
        attempt.succeed(attempt=1)

    with ThreadPoolExecutor(len(attempts)) as pool:
        list(pool.map(end, attempts))
    types = [event.type for event in tenant.events(parent.context.job_id)]
    assert types == ["job.queued", "job.started", "job.waiting", *["child.finished"] * 12, "job.queued"]


def test_no_more_children_and_no_deeper_than_allowed(settings: Settings, tenant: Tenant, run: Run) -> None:
    parent = run(tenant.submit())
    with pytest.raises(CapabilityFailure) as refusal:
        parent.context.call_all(calls(*(f"child-{number}" for number in range(settings.job_children_max + 1))))
    assert refusal.value.code == "too_many_children"
    assert children_of(tenant, parent.context.job_id) == [], "all of them or none"
    for _ in range(settings.job_depth_max):
        start(parent, "below")
        parent = run(children_of(tenant, parent.context.job_id)[0])
    with pytest.raises(CapabilityFailure) as refusal:
        parent.context.call_all(calls("below"))
    assert refusal.value.code == "too_deep"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (ChildCall("x", "probe.act", {"act": "no such act"}), "invalid_child"),
        (ChildCall("x", "nobody.knows", {}), "capability_unknown"),
    ],
)
def test_a_call_that_cannot_be_submitted_fails_its_parent(tenant: Tenant, run: Run, call: ChildCall, code: str) -> None:
    with pytest.raises(CapabilityFailure) as refusal:
        run(tenant.submit()).context.call_all([call])
    assert refusal.value.code == code


def test_a_parent_that_was_asked_to_stop_starts_nothing(tenant: Tenant, run: Run) -> None:
    parent = run(tenant.submit())
    tenant.cancel(parent.context.job_id)
    with pytest.raises(JobCancelled):
        parent.context.call_all(calls("late"))


def test_nothing_is_started_below_a_job_whose_key_was_revoked(settings: Settings, tenant: Tenant, run: Run) -> None:
    key = issue_key(settings, organization=f"org-{tenant.principal.organization_id}", project="p")
    assert key.project_id == tenant.principal.project_id
    tenant.principal = replace(tenant.principal, key_id=key.id)
    first, second = run(tenant.submit()), run(tenant.submit())
    start(first, "a")
    revoke_key(settings, key)
    with pytest.raises(CapabilityFailure) as refusal:
        second.context.call_all(calls("a"))
    assert refusal.value.code == "key_revoked"
    assert children_of(tenant, second.context.job_id) == []


def test_children_inherit_deadline_labels_and_trace(tenant: Tenant, run: Run) -> None:
    parent = run(tenant.submit(deadline_seconds=60, metadata={"centre": "4711"}))
    start(parent, "a")
    [child] = [tenant.job(child) for child in children_of(tenant, parent.context.job_id)]
    job = tenant.job(parent.context.job_id)
    assert child.deadline_at == job.deadline_at
    assert (child.parent_id, child.root_id, child.metadata) == (job.id, job.id, {"centre": "4711"})


def spend(tenant: Tenant, attempt: Attempt, number: int, bound_usd: str, cost_usd: str | None = None) -> None:
    """One model call; left open when it has no cost."""
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    call = CallIdentity(attempt.context.job_id, attempt.context.attempt, number)
    ledger.begin_call(single, call, bound_usd=Decimal(bound_usd), provider="p", model="m", version=None, step=None)
    if cost_usd is not None:
        settlement = Settlement(Decimal(cost_usd), {}, {}, (), estimated=False, reason=None)
        ledger.settle_call(single, call, settlement, {})


def reservations(tenant: Tenant) -> list[tuple[UUID, Decimal]]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return [tuple(row) for row in session.execute(text("SELECT root_job_id, held_usd FROM reservations"))]


def test_a_tree_spends_from_one_reservation_and_never_more_than_its_root_may(tenant: Tenant, run: Run) -> None:
    parent = run(tenant.submit(reserve_usd=Decimal("1.00"), max_cost_usd=Decimal("1.00")))
    start(parent, "a", "b")
    first, second = (run(child) for child in children_of(tenant, parent.context.job_id))
    assert reservations(tenant) == [(parent.context.job_id, Decimal("1.00"))], "the children reserve nothing"
    spend(tenant, first, 1, "0.60", "0.50")
    spend(tenant, second, 1, "0.40")
    with pytest.raises(BudgetExhausted):
        spend(tenant, first, 2, "0.20")
    assert tenant.job(parent.context.job_id).children_cost_usd == Decimal("0.50")
    with tenant.database.system() as session:
        assert check_invariants(session) == []


def test_a_child_may_not_pass_its_own_cap_nor_what_its_parent_has_left(tenant: Tenant, run: Run) -> None:
    parent = run(tenant.submit(reserve_usd=Decimal("1.00"), max_cost_usd=Decimal("1.00")))
    spend(tenant, parent, 1, "0.30", "0.30")
    start(parent, "a", cap_usd="5.00")
    [child_id] = children_of(tenant, parent.context.job_id)
    assert tenant.job(child_id).max_cost_usd == Decimal("0.70")
    child = run(child_id)
    start(child, "below", cap_usd="0.20")
    [below_id] = children_of(tenant, child_id)
    below = run(below_id)
    spend(tenant, below, 1, "0.15", "0.15")
    with pytest.raises(BudgetExhausted):
        spend(tenant, below, 2, "0.06")
    spend(tenant, child, 1, "0.55", "0.55")
    with pytest.raises(BudgetExhausted):
        spend(tenant, below, 2, "0.01")


def test_what_a_tree_spent_counts_after_its_root_gave_back_its_reservation(tenant: Tenant, run: Run) -> None:
    root_id = tenant.submit(reserve_usd=Decimal("1.00"), max_cost_usd=Decimal("1.00"))
    parent = run(root_id)
    start(parent, "a")
    child = run(children_of(tenant, root_id)[0])
    spend(tenant, child, 1, "0.90", "0.90")
    child.succeed(attempt=1)
    parent.context.end(SUSPEND, "job.waiting", {"reason": "input"}, reason="input")
    assert reservations(tenant) == [], "a job that waits for a person holds nothing"
    with tenant.database.system() as session:
        session.execute(
            text("UPDATE jobs SET state = 'queued', reason = NULL, dispatched_at = NULL WHERE id = :id"),
            {"id": root_id},
        )
    again = run(root_id)
    with pytest.raises(BudgetExhausted):
        spend(tenant, again, 1, "0.20")
    spend(tenant, again, 1, "0.10", "0.10")
    with tenant.database.system() as session:
        assert check_invariants(session) == []


def test_the_waybill_of_a_parent_names_its_children(tenant: Tenant, run: Run) -> None:
    parent = run(tenant.submit())
    start(parent, "a", "b")
    first, _ = children_of(tenant, parent.context.job_id)
    run(first).succeed(attempt=1, said="yes")
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        facts = waybill.children(session, tenant.principal, parent.context.job_id)
    assert [(fact.key, fact.state, fact.result_digest) for fact in facts] == [
        ("a", "succeeded", digest_of({"attempt": 1, "said": "yes"})),
        ("b", "queued", None),
    ]
    assert facts[0].input_digest == digest_of({"act": "noop"})


def test_questions_and_answers_go_with_the_payloads(tenant: Tenant, run: Run) -> None:
    attempt = run(tenant.submit())
    with pytest.raises(JobSuspended):
        attempt.context.ask("secret", "What is your account number?", {"type": "string"})
    attempt.fail("given_up")
    with tenant.database.system() as session:
        blank(session, [attempt.context.job_id])
        left = session.execute(
            text("SELECT count(*) FROM job_questions WHERE job_id = :id"), {"id": attempt.context.job_id}
        ).scalar_one()
    assert left == 0
