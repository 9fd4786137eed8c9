"""Money and attempts: whatever is killed, cancelled or short of budget, the ledger says what was spent, once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.audit.actions import AuditAction
from core.jobs.states import JobState
from core.kit.ids import JOB, encode, new_id
from core.kit.settings import Settings
from core.ledger.errors import BudgetExhausted
from core.ledger.invariants import check_invariants
from tests.factories.capabilities import SPENDING_MODEL
from tests.factories.crashing_worker import POINTS
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.processes import dispatcher, running, worker
from tests.factories.waiting import wait_until

TOKEN_USD = Decimal("0.001")
# A hundred tokens, and what the price book adds so that rounding the parts can never pass the bound.
BOUND_USD = 100 * TOKEN_USD + Decimal("0.000000002")


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    with opened.database.system() as session:
        session.execute(
            text(
                "INSERT INTO prices (id, organization_id, provider, model, unit, usd_per_unit, valid_from, source)"
                " VALUES (:id, :organization, 'local', :model, 'output_tokens', :price, now(), 'operator')"
            ),
            {
                "id": new_id(),
                "organization": opened.principal.organization_id,
                "model": SPENDING_MODEL,
                "price": TOKEN_USD,
            },
        )
    yield opened
    opened.close()


def set_budget(tenant: Tenant, limit_usd: str, *, on_exhaustion: str = "fail", hard: bool = True) -> UUID:
    budget_id = new_id()
    with tenant.database.system() as session:
        session.execute(
            text(
                "INSERT INTO budgets"
                " (id, organization_id, name, scope, scope_id, period, limit_usd, hard, on_exhaustion)"
                " VALUES (:id, :organization, 'all of it', 'organization', :organization, 'month', :limit, :hard,"
                " :on_exhaustion)"
            ),
            {
                "id": budget_id,
                "organization": tenant.principal.organization_id,
                "limit": limit_usd,
                "hard": hard,
                "on_exhaustion": on_exhaustion,
            },
        )
    return budget_id


def balance(tenant: Tenant) -> tuple[Decimal, Decimal]:
    """Reserved and spent."""
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        row = session.execute(text("SELECT reserved_usd, spent_usd FROM budget_balances")).one()
        return row.reserved_usd, row.spent_usd


def settlements(tenant: Tenant, job_id: UUID) -> list[tuple[int, int, Decimal, bool, str | None]]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        rows = session.execute(
            text(
                "SELECT attempt, call, amount_usd, estimated, reason FROM ledger_entries"
                " WHERE job_id = :id AND kind = 'settlement' ORDER BY attempt, call"
            ),
            {"id": job_id},
        )
        return [tuple(row) for row in rows]


def violations(tenant: Tenant) -> list[str]:
    with tenant.database.system() as session:
        return [str(violation) for violation in check_invariants(session)]


def money_is_at_rest(tenant: Tenant) -> bool:
    with tenant.database.system() as session:
        open_rows = session.execute(
            text("SELECT (SELECT count(*) FROM open_calls) + (SELECT count(*) FROM reservations)")
        ).scalar_one()
    return bool(open_rows == 0)


@pytest.mark.survive("P1")
@pytest.mark.survive("P10")
def test_a_burst_of_submissions_gets_exactly_what_the_budget_has_room_for(tenant: Tenant) -> None:
    set_budget(tenant, "1.00")
    together = threading.Barrier(50)
    outcomes: list[object] = []

    def submit(number: int) -> None:
        if number < together.parties:
            together.wait(30)
        try:
            outcomes.append(tenant.submit("noop", reserve_usd=Decimal("0.10")))
        except BudgetExhausted as refusal:
            outcomes.append(refusal)

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(submit, range(200)))
    refusals = [outcome for outcome in outcomes if isinstance(outcome, BudgetExhausted)]
    assert (len(outcomes), len(refusals)) == (200, 190)
    said = refusals[0]
    assert said.extra["name"] == "all of it"
    assert Decimal(said.extra["limit"]) == 1
    assert Decimal(said.extra["reserved"]) == 1
    assert Decimal(said.extra["spent"]) == 0
    assert balance(tenant) == (Decimal(1), Decimal(0))
    for job_id in tenant.submitted:
        tenant.cancel(job_id)
    assert balance(tenant) == (Decimal(0), Decimal(0))
    assert violations(tenant) == []


@pytest.mark.survive("P2")
@pytest.mark.survive("P7")
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_leaves_no_money_behind_and_none_is_settled_twice(
    settings: Settings, tenant: Tenant, point: str
) -> None:
    set_budget(tenant, "100.00")
    job_id = tenant.submit("spend", calls=2, bound_tokens=100, used_tokens=40, reserve_usd=Decimal("0.05"))
    with dispatcher(settings):
        with running(settings, "tests.factories.crashing_worker", point, until="worker_ready") as dying:
            wait_until(lambda: dying.exit_code is not None, timeout_seconds=30, what="the worker to die")
        with worker(settings):
            (job,) = tenant.wait(job_id)
            wait_until(lambda: money_is_at_rest(tenant), timeout_seconds=20, what="the sweep")
    assert job.state is JobState.SUCCEEDED
    lines = settlements(tenant, job_id)
    honest = [line for line in lines if line[4] is None]
    lost = [line for line in lines if line[4] is not None]
    assert len({line[:2] for line in lines}) == len(lines)
    assert all(line[2] == 40 * TOKEN_USD for line in honest)
    assert all(line[2] == BOUND_USD and line[3] for line in lost)
    # Only a call that was open when the worker died is taken to have cost its bound.
    assert len(lost) == (point in {"intent_written", "answered"})
    spent = sum(line[2] for line in lines)
    assert balance(tenant) == (Decimal(0), spent)
    assert tenant.job(job_id).cost_usd == spent
    assert len(records(tenant, job_id, AuditAction.MODEL_CALL)) == len(lines)
    assert violations(tenant) == []


@pytest.mark.survive("P5")
def test_a_cancelled_job_pays_for_what_it_used(settings: Settings, tenant: Tenant) -> None:
    set_budget(tenant, "100.00")
    job_id = tenant.submit("spend", bound_tokens=100, used_tokens=7, seconds=30)
    with dispatcher(settings), worker(settings):
        tenant.wait_for_state(job_id, JobState.RUNNING)
        wait_until(lambda: balance_or_none(tenant) == BOUND_USD, timeout_seconds=20, what="the call to be open")
        tenant.cancel(job_id)
        (job,) = tenant.wait(job_id)
    assert job.state is JobState.CANCELLED
    assert [line[2:] for line in settlements(tenant, job_id)] == [(7 * TOKEN_USD, False, None)]
    assert balance(tenant) == (Decimal(0), 7 * TOKEN_USD)
    assert job.cost_usd == 7 * TOKEN_USD
    assert violations(tenant) == []


def records(tenant: Tenant, job_id: UUID, action: AuditAction) -> list[dict[str, Any]]:
    """The details of the job's audit records of one action, oldest first."""
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        rows = session.execute(
            text("SELECT detail FROM audit_log WHERE subject_id = :job AND action = :action ORDER BY id"),
            {"job": encode(JOB, job_id), "action": action},
        )
        return list(rows.scalars())


def balance_or_none(tenant: Tenant) -> Decimal | None:
    """What is reserved, or None before the first reservation."""
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return session.execute(text("SELECT reserved_usd FROM budget_balances")).scalar_one_or_none()


@pytest.mark.survive("P11")
def test_a_budget_stops_a_job_half_way_and_pays_what_was_used(settings: Settings, tenant: Tenant) -> None:
    set_budget(tenant, "0.25")
    job_id = tenant.submit("spend", calls=5, bound_tokens=100, used_tokens=100)
    with dispatcher(settings), worker(settings):
        (job,) = tenant.wait(job_id)
    assert (job.state, job.reason) == (JobState.FAILED, "budget_exhausted")
    assert job.error is not None
    assert "all of it" in job.error["message"]
    assert balance(tenant) == (Decimal(0), Decimal("0.2"))
    calls = records(tenant, job_id, AuditAction.MODEL_CALL)
    assert [(call["call"], call["model"], call["quantities"]) for call in calls] == [
        (1, SPENDING_MODEL, {"output_tokens": 100}),
        (2, SPENDING_MODEL, {"output_tokens": 100}),
    ]
    (decision,) = records(tenant, job_id, AuditAction.POLICY_DECIDE)
    assert (decision["policy"], decision["decision"], decision["call"]) == ("budget", "fail", 3)
    assert (decision["limit"], decision["spent"]) == ("0.25", "0.20")
    assert violations(tenant) == []


@pytest.mark.survive("P11")
def test_a_budget_that_pauses_lets_the_job_go_on_when_it_is_topped_up(settings: Settings, tenant: Tenant) -> None:
    budget_id = set_budget(tenant, "0.25", on_exhaustion="pause")
    job_id = tenant.submit("spend", calls=3, bound_tokens=100, used_tokens=100)
    with dispatcher(settings), worker(settings):
        waiting = tenant.wait_for_state(job_id, JobState.WAITING)
        assert waiting.reason == "budget"
        assert waiting.error is not None
        assert waiting.error["code"] == "budget_exhausted"
        assert balance(tenant) == (Decimal(0), Decimal("0.2"))
        with tenant.database.system() as session:
            session.execute(text("UPDATE budgets SET limit_usd = 5 WHERE id = :id"), {"id": budget_id})
        (job,) = tenant.wait(job_id)
    assert job.state is JobState.SUCCEEDED
    assert (job.attempt, job.failures) == (2, 0)
    # The probe keeps no checkpoint, so that its second attempt makes all three calls.
    assert balance(tenant) == (Decimal(0), Decimal("0.5"))
    assert violations(tenant) == []


@pytest.mark.survive("P11")
def test_a_paused_agent_goes_on_after_its_last_finished_step_and_pays_for_none_twice(
    settings: Settings, tenant: Tenant
) -> None:
    budget_id = set_budget(tenant, "0.25", on_exhaustion="pause")
    job_id = tenant.submit(capability="agent.act", bound_tokens=100, used_tokens=100)
    with dispatcher(settings), worker(settings, "agent"):
        tenant.wait_for_state(job_id, JobState.WAITING)
        assert balance(tenant) == (Decimal(0), Decimal("0.2"))
        with tenant.database.system() as session:
            session.execute(text("UPDATE budgets SET limit_usd = 5 WHERE id = :id"), {"id": budget_id})
        (job,) = tenant.wait(job_id)
    assert job.state is JobState.SUCCEEDED
    result = tenant.result(job_id)
    assert result is not None
    assert result["said"] == "plan on attempt 1, write on attempt 1, review on attempt 2"
    assert [line[:2] for line in settlements(tenant, job_id)] == [(1, 1), (1, 2), (2, 1)]
    assert balance(tenant) == (Decimal(0), Decimal("0.3"))
    assert violations(tenant) == []


@pytest.mark.survive("P11")
def test_a_paused_job_is_not_resumed_by_what_it_gives_back_itself(settings: Settings, tenant: Tenant) -> None:
    set_budget(tenant, "0.12", on_exhaustion="pause")
    # The second call needs 0.04 beyond what the first one has left; waiting, the job gives that back.
    job_id = tenant.submit("spend", calls=2, bound_tokens=100, used_tokens=40)
    with dispatcher(settings), worker(settings):
        tenant.wait_for_state(job_id, JobState.WAITING)
        assert balance(tenant) == (Decimal(0), 40 * TOKEN_USD)
        # Time for several sweeps.
        tenant.wait(tenant.submit("sleep", seconds=3))
        job = tenant.job(job_id)
    assert (job.state, job.attempt) == (JobState.WAITING, 1)
    assert violations(tenant) == []


def test_a_job_never_costs_more_than_it_may(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit("spend", calls=5, bound_tokens=100, used_tokens=100, max_cost_usd=Decimal("0.35"))
    with dispatcher(settings), worker(settings):
        (job,) = tenant.wait(job_id)
    assert (job.state, job.reason) == (JobState.FAILED, "budget_exhausted")
    assert job.cost_usd == Decimal("0.3")
    assert violations(tenant) == []


@pytest.mark.survive("P6")
def test_polling_changes_no_cost(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit("spend", calls=2, bound_tokens=100, used_tokens=10)
    with dispatcher(settings), worker(settings):
        tenant.wait(job_id)
    assert {tenant.job(job_id).cost_usd for _ in range(100)} == {20 * TOKEN_USD}
    assert len(settlements(tenant, job_id)) == 2
