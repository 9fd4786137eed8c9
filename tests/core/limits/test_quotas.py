"""Quotas on a real Postgres: exact under concurrency, counted once, no deadlock, nothing written without one."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from core.jobs import leases, queue
from core.jobs.records import NewJob
from core.kit.errors import RateLimited, WaybillError
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.ledger import service as ledger
from core.ledger.errors import BudgetExhausted
from core.ledger.records import CallIdentity, Settlement, Unit
from core.limits import repository
from core.limits.errors import QuotaExceeded
from core.limits.records import LimitKind
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.limits import set_limit, used
from tests.factories.tenancy import watch_single_statements
from waybill.stack.valkey import EmbeddedValkey

pytestmark = pytest.mark.own_database


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


def submit(tenant: Tenant, key: UUID | None = None, reserve_usd: str = "0") -> UUID:
    """Submit without telling Redis."""
    principal = replace(tenant.principal, key_id=key)
    new = NewJob(capability="probe.act", pool="probe", input={"act": "noop"}, reserve_usd=Decimal(reserve_usd))
    return tenant.service.submit(tenant.database.single_tenant(principal.organization_id), principal, new).id


def spend(tenant: Tenant, job_id: UUID, tokens: int, cost_usd: str, number: int = 1) -> CallIdentity:
    """One model call of a running attempt of the job."""
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    if number == 1:
        with tenant.database.system() as session:
            queue.mark_dispatched(session, [job_id])
        assert leases.claim(tenant.database.single_system(), job_id, "w", 60.0) is not None
    call = CallIdentity(job_id, 1, number)
    ledger.begin_call(single, call, bound_usd=Decimal(cost_usd), provider="p", model="m")
    settle(tenant, call, tokens, cost_usd)
    return call


def settle(tenant: Tenant, call: CallIdentity, tokens: int, cost_usd: str) -> None:
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    quantities = {Unit.INPUT_TOKENS: tokens - 1, Unit.OUTPUT_TOKENS: 1, Unit.WORKER_SECOND: 7}
    ledger.settle_call(single, call, Settlement(amount_usd=Decimal(cost_usd), quantities=quantities), {})


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """The outcomes, refusals included, of `act` in `count` threads that begin together."""
    together = threading.Barrier(count)

    def one(number: int) -> object:
        together.wait(30)
        try:
            return act(number)
        except WaybillError as refusal:
            return refusal

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def rows(tenant: Tenant) -> int:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return int(session.execute(text("SELECT count(*) FROM quota_usage")).scalar_one())


def test_parallel_submissions_get_exactly_what_the_quota_has_room_for(settings: Settings, tenant: Tenant) -> None:
    set_limit(settings, tenant, "jobs_per_day", 10)
    outcomes = at_once(60, lambda _: submit(tenant))
    assert sum(isinstance(outcome, UUID) for outcome in outcomes) == 10
    refusals = [outcome for outcome in outcomes if isinstance(outcome, QuotaExceeded)]
    assert len(refusals) == 50
    assert refusals[0].extra["used"] == 10
    assert refusals[0].extra["limit"]["scope"] == "project"
    assert used(tenant, "jobs_per_day") == 10


def test_submissions_of_many_keys_never_deadlock_in_a_fresh_period(settings: Settings, tenant: Tenant) -> None:
    keys = [new_id() for _ in range(6)]
    with tenant.database.system() as session:
        for key in keys:
            session.execute(
                text(
                    "INSERT INTO limits (organization_id, scope, scope_id, kind, value)"
                    " VALUES (:organization, 'key', :key, 'jobs_per_day', 1000),"
                    " (:organization, 'key', :key, 'jobs_per_month', 1000)"
                ),
                {"organization": tenant.principal.organization_id, "key": key},
            )
        for kind in ("jobs_per_day", "jobs_per_month"):
            session.execute(
                text(
                    "INSERT INTO limits (organization_id, scope, scope_id, kind, value)"
                    " VALUES (:organization, 'organization', :organization, :kind, 1000)"
                ),
                {"organization": tenant.principal.organization_id, "kind": kind},
            )
    assert rows(tenant) == 0
    outcomes = at_once(48, lambda number: submit(tenant, keys[number % 6]))
    assert all(isinstance(outcome, UUID) for outcome in outcomes), outcomes
    assert rows(tenant) == 14
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        counted = session.execute(text("SELECT sum(used) FROM quota_usage")).scalar_one()
    assert counted == 48 * 4


def test_without_a_quota_nothing_is_asked_or_written(
    settings: Settings, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limit(settings, tenant, "requests_per_minute", 5)
    set_limit(settings, tenant, "concurrent_jobs", 5)
    submit(tenant)
    asked = watch_single_statements(tenant.database, monkeypatch, "limits")
    job_id = submit(tenant)
    assert asked == []
    spend(tenant, job_id, 100, "0.5")
    assert rows(tenant) == 0


def test_tokens_and_money_count_once_for_every_writer_of_the_line(settings: Settings, tenant: Tenant) -> None:
    for kind, value in (("tokens_per_day", 1000), ("tokens_per_month", 5000), ("cost_per_month", "2.00")):
        set_limit(settings, tenant, kind, value)
    job_id = submit(tenant)
    call = spend(tenant, job_id, 400, "0.5")
    settle(tenant, call, 400, "0.5")
    assert (used(tenant, "tokens_per_day"), used(tenant, "cost_per_month")) == (Decimal(400), Decimal("0.5"))
    # The second call's worker is lost: the sweep settles it at its bound.
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    ledger.begin_call(single, CallIdentity(job_id, 1, 2), bound_usd=Decimal("0.25"), provider="p", model="m")
    with tenant.database.system() as session:
        session.execute(
            text("UPDATE jobs SET state = 'queued', lease_expires_at = NULL WHERE id = :id"), {"id": job_id}
        )
    assert ledger.sweep(tenant.database, grace_seconds=0) == 1
    assert used(tenant, "cost_per_month") == Decimal("0.75")
    with tenant.database.system() as session:
        ledger.correct(session, call, Decimal("-0.1"), "billed twice")
    assert used(tenant, "cost_per_month") == Decimal("0.65")
    assert (used(tenant, "tokens_per_day"), used(tenant, "tokens_per_month")) == (Decimal(400), Decimal(400))


def test_a_spent_quota_refuses_the_next_job_and_a_raised_one_lets_it_in(settings: Settings, tenant: Tenant) -> None:
    set_limit(settings, tenant, "tokens_per_day", 100, scope="organization")
    job_id = submit(tenant)
    spend(tenant, job_id, 90, "0")
    second = submit(tenant)
    spend(tenant, second, 500, "0")
    with pytest.raises(QuotaExceeded, match="590") as refused:
        submit(tenant)
    assert refused.value.extra["limit"]["kind"] == "tokens_per_day"
    set_limit(settings, tenant, "tokens_per_day", 1000, scope="organization")
    submit(tenant)


def test_a_quota_counts_what_its_period_saw_before_it_was_set(settings: Settings, tenant: Tenant) -> None:
    job_id = submit(tenant)
    submit(tenant)
    spend(tenant, job_id, 300, "0.75")
    for kind, value in (("jobs_per_month", 5), ("tokens_per_month", 5000), ("cost_per_day", "0.50")):
        set_limit(settings, tenant, kind, value)
    assert [used(tenant, kind) for kind in ("jobs_per_month", "tokens_per_month", "cost_per_day")] == [
        2,
        300,
        Decimal("0.75"),
    ]
    with pytest.raises(QuotaExceeded, match="US dollars per day"):
        submit(tenant)


def test_tokens_a_minute_may_run_into_debt_which_is_paid_off_at_the_rate(settings: Settings, tenant: Tenant) -> None:
    set_limit(settings, tenant, "tokens_per_minute", 600)
    job_id = submit(tenant)
    spend(tenant, job_id, 900, "0")
    with pytest.raises(RateLimited) as refused:
        submit(tenant)
    # 300 above the limit, at 10 a second.
    assert 25 <= (refused.value.retry_after_seconds or 0) <= 30
    assert refused.value.extra["limit"]["kind"] == "tokens_per_minute"
    with tenant.database.engine.begin() as connection:
        connection.execute(text("UPDATE quota_usage SET updated_at = updated_at - interval '31 seconds'"))
    submit(tenant)
    level = used(tenant, "tokens_per_minute")
    assert level is not None
    assert 500 < level <= 590


def test_settlements_and_submissions_of_one_project_get_along(settings: Settings, tenant: Tenant) -> None:
    for kind in ("jobs_per_day", "jobs_per_month", "tokens_per_minute", "tokens_per_day"):
        set_limit(settings, tenant, kind, 1_000_000)
    set_limit(settings, tenant, "cost_per_day", "1000", scope="organization")
    running = [submit(tenant) for _ in range(8)]
    outcomes = at_once(16, lambda n: submit(tenant) if n % 2 else spend(tenant, running[n // 2], 10, "0.01"))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert (used(tenant, "jobs_per_day"), used(tenant, "tokens_per_day")) == (Decimal(16), Decimal(80))


@pytest.mark.survive("P3")
def test_money_is_exact_while_redis_is_unavailable(settings: Settings, tenant: Tenant, valkey: EmbeddedValkey) -> None:
    with tenant.database.system() as session:
        session.execute(
            text(
                "INSERT INTO budgets (organization_id, name, scope, scope_id, period, limit_usd)"
                " VALUES (:organization, 'all', 'organization', :organization, 'day', 1)"
            ),
            {"organization": tenant.principal.organization_id},
        )
    set_limit(settings, tenant, "jobs_per_day", 50)
    valkey.stop()
    outcomes = at_once(40, lambda _: submit(tenant, reserve_usd="0.1"))
    assert sum(isinstance(outcome, UUID) for outcome in outcomes) == 10
    assert sum(isinstance(outcome, BudgetExhausted) for outcome in outcomes) == 30
    assert used(tenant, "jobs_per_day") == 10, "what the budget refused was not counted"


def test_another_organization_cannot_count_or_read(settings: Settings, tenant: Tenant) -> None:
    set_limit(settings, tenant, "jobs_per_day", 1)
    stranger = new_tenant(settings)
    try:
        foreign = replace(stranger.principal, project_id=tenant.principal.project_id)
        single = stranger.database.single_tenant(foreign.organization_id)
        statement, parameters = repository.admission(foreign)
        single.execute(statement, parameters)
        with pytest.raises(Exception, match="may not touch"):
            single.execute(statement, {**parameters, "organization": tenant.principal.organization_id})
        assert repository.in_scope(single, foreign) == []
        organization = tenant.principal.organization_id
        assert repository.get_limit(single, organization, tenant.principal.project_id, LimitKind.JOBS_PER_DAY) is None
    finally:
        stranger.close()
    assert used(tenant, "jobs_per_day") == 0


def test_usage_of_long_past_periods_is_deleted(settings: Settings, tenant: Tenant) -> None:
    set_limit(settings, tenant, "jobs_per_day", 5)
    set_limit(settings, tenant, "jobs_per_month", 5)
    with tenant.database.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE quota_usage SET period_start = period_start - interval '401 days'"
                " WHERE kind = 'jobs_per_month' AND organization_id = :organization"
            ),
            {"organization": tenant.principal.organization_id},
        )
    with tenant.database.system() as session:
        assert repository.delete_usage(session) == 1
    assert rows(tenant) == 1
