"""Roll-ups hold every job and every charge exactly once, whenever it comes and whichever task is killed in between."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import text

from core.capability import LeaseLost, ModelRef, ModelUsage
from core.jobs.conditions import ENDED_EVENT
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from core.ledger import service as ledger
from core.ledger.records import CallIdentity
from core.ledger.reports.records import Reach
from core.rollups import repository
from core.rollups.collect import collect_once, count_backlog, floor_to, maintain_partitions
from core.rollups.records import Grain
from core.rollups.repository import Dimension, Figures, Selection
from tests.factories.attempts import attempt
from tests.factories.calls import Caller
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.waiting import wait_until

pytestmark = pytest.mark.own_database
MODEL = ModelRef("openai-compatible", "gauge", "gauge@3")


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@pytest.fixture
def caller(settings: Settings, tenant: Tenant) -> Caller:
    made = Caller(tenant, settings)
    made.price("gauge")
    return made


def run(tenant: Tenant, settings: Settings, *, calls: int = 0, outcome: str = "succeed") -> CallIdentity:
    """One job with some calls of 100 tokens in and 10 out, ended; returns the identity of its last call."""
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as driven:
        for _ in range(calls):
            with driven.context.call_model(MODEL, {"input_tokens": 200, "output_tokens": 100}) as call:
                call.report(ModelUsage("gauge", {"input_tokens": 100, "output_tokens": 10}))
        driven.context.wait_settled()
        driven.succeed(done=True) if outcome == "succeed" else driven.fail("no_luck")
    return CallIdentity(job_id, 1, calls)


def collect(tenant: Tenant) -> None:
    """Add up all that has ended: transactions of other tests' connections may hold the horizon back for a moment."""

    def is_behind() -> bool:
        with tenant.database.system() as session:
            return bool(
                session.execute(
                    text(
                        "SELECT EXISTS (SELECT FROM job_events AS event JOIN event_cursors ON reader = 'rollups'"
                        f" WHERE {ENDED_EVENT} AND event.position > event_cursors.position)"
                    )
                ).scalar_one()
            )

    def done() -> bool:
        collect_once(tenant.database, most=3)
        return not is_behind()

    wait_until(done, timeout_seconds=60, what="all jobs to be added up")


def figures(
    tenant: Tenant, grain: Grain = Grain.HOUR, dimension: Dimension | None = None
) -> dict[tuple[object, ...], Figures]:
    now = datetime.now(UTC)
    reach = Reach(tenant.principal.organization_id, None)
    selection = Selection(reach, grain, now - timedelta(days=2), now + timedelta(days=1))
    single = tenant.database.single_tenant(reach.organization_id)
    return repository.by_group(repository.read(single, selection, dimension))


@pytest.mark.parametrize("grain", Grain)
def test_every_grain_holds_every_job_and_every_charge_once(
    settings: Settings, tenant: Tenant, caller: Caller, grain: Grain
) -> None:
    for number in range(7):
        run(tenant, settings, calls=number % 3, outcome="fail" if number == 4 else "succeed")
    collect(tenant)
    collect_once(tenant.database)
    [total] = figures(tenant, grain).values()
    assert total.jobs == {"succeeded": 6, "failed": 1}
    assert total.calls == 6
    assert total.quantities == {"input_tokens": 600, "output_tokens": 60}
    assert total.amount_usd == Decimal("0.72")
    assert total.unpriced_calls == 0
    assert sum(total.wait.values()) == 7
    assert sum(total.duration.values()) == 6, "durations are those of successes"
    assert sum(total.call_duration.values()) == 6
    assert figures(tenant, grain, Dimension.MODEL).keys() == {("openai-compatible", "gauge", "gauge@3")}
    assert figures(tenant, grain, Dimension.CAPABILITY).keys() == {("probe.act",)}


def test_what_is_added_up_equals_the_ledger_after_late_calls_and_corrections(
    settings: Settings, tenant: Tenant, caller: Caller
) -> None:
    call = run(tenant, settings, calls=1)
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as driven:
        # A worker that is lost in the middle of a call: the job ends, and the sweep settles the call later.
        opened = driven.context.call_model(MODEL, {"input_tokens": 200, "output_tokens": 100})
        opened.__enter__()
        driven.fail("worker_lost")
        collect(tenant)
        [before] = figures(tenant).values()
        assert before.jobs == {"succeeded": 1, "failed": 1}
        assert before.calls == 1, "a call that is not settled has no cost yet"
        opened.__exit__(None, None, None)
        with pytest.raises(LeaseLost):
            driven.context.wait_settled()
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        ledger.correct(session, call, Decimal("-0.05"), "the provider credited it")
    collect(tenant)
    collect_once(tenant.database)
    [after] = figures(tenant).values()
    assert after.calls == 2
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        charged = session.execute(text("SELECT sum(amount_usd) FROM ledger_entries")).scalar_one()
        assert session.execute(text("SELECT count(*) FROM rollup_pending")).scalar_one() == 0
    assert after.amount_usd == charged


def test_jobs_of_a_transaction_that_is_still_open_are_not_skipped(settings: Settings, tenant: Tenant) -> None:
    assert settings.database_url is not None
    early, late = tenant.submit(), tenant.submit()
    with psycopg.connect(settings.database_url.get_secret_value()) as open_:
        open_.execute("SELECT pg_current_xact_id()")
        tenant.cancel(late)
        collect_once(tenant.database)
        assert figures(tenant) == {}, "an older transaction could still bring an earlier event"
    tenant.cancel(early)
    collect(tenant)
    [total] = figures(tenant).values()
    assert total.jobs == {"cancelled": 2}


def test_two_that_add_up_at_once_add_nothing_twice(settings: Settings, tenant: Tenant) -> None:
    run(tenant, settings)
    with tenant.database.system() as session:
        session.execute(text("SELECT FROM event_cursors FOR UPDATE"))
        assert collect_once(tenant.database) == 0
    collect(tenant)
    [total] = figures(tenant).values()
    assert total.jobs == {"succeeded": 1}


def test_tenants_see_their_own_only(settings: Settings, tenant: Tenant) -> None:
    other = new_tenant(settings)
    run(other, settings)
    tenant.submit()
    collect(tenant)
    count_backlog(tenant.database)
    assert figures(tenant) == {}
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        for table in ("job_rollups", "call_rollups", "job_cost_rollups"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    reach = Reach(tenant.principal.organization_id, tenant.principal.project_id)
    [waiting] = repository.backlog(tenant.database.single_tenant(reach.organization_id), reach)
    assert (waiting.capability, waiting.state, waiting.jobs) == ("probe.act", "queued", 1)
    tenant.cancel(tenant.submitted[-1])
    count_backlog(tenant.database)
    assert repository.backlog(tenant.database.single_tenant(reach.organization_id), reach) == []
    other.close()


def test_partitions_past_ninety_days_go_and_those_to_come_are_made(tenant: Tenant) -> None:
    maintain_partitions(tenant.database)
    assert maintain_partitions(tenant.database) == 0
    with tenant.database.system() as session:
        names = set(
            session.execute(text("SELECT relid::text FROM pg_partition_tree('job_rollups') WHERE isleaf")).scalars()
        )
    now = datetime.now(UTC)
    assert f"job_rollups_{now:%Y%m}" in names
    assert f"job_rollups_{(floor_to(Grain.DAY, now).replace(day=1) + timedelta(days=40)):%Y%m}" in names
    assert f"job_rollups_{(now - timedelta(days=125)):%Y%m}" not in names


def test_nothing_that_a_job_carries_is_in_roll_ups(settings: Settings, tenant: Tenant, caller: Caller) -> None:
    canary = "4929 1234 5678 9012 jane@canary.example"
    job_id = tenant.submit(text=canary, metadata={"end_user": canary})
    with attempt(settings, encode(JOB, job_id)) as driven:
        with driven.context.call_model(MODEL, {"input_tokens": 200}) as call:
            call.report(ModelUsage("gauge", {"input_tokens": 100}))
        driven.context.wait_settled()
        driven.succeed(answer=canary)
    collect(tenant)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        stored = [
            str(row)
            for table in ("job_rollups", "call_rollups", "job_cost_rollups", "job_backlog")
            for row in session.execute(text(f"SELECT * FROM {table}"))
        ]
    assert len(stored) > 10
    assert not [row for row in stored if "canary" in row or "4929" in row]


def test_a_call_from_before_all_that_is_kept_does_not_stop_the_others(settings: Settings, tenant: Tenant) -> None:
    """A job that waited for months ends now, and its first call belongs to a partition that is gone."""
    assert settings.database_url is not None
    job_id, scope = tenant.submit(), tenant.principal
    with psycopg.connect(settings.database_url.get_secret_value()) as owner:
        for entry, kind in ((0, "intent"), (1, "settlement")):
            owner.execute(
                "INSERT INTO ledger_entries (job_id, attempt, call, entry, organization_id, project_id, root_job_id,"
                " kind, capability, provider, model, bound_usd, amount_usd, recorded_at)"
                " VALUES (%s, 1, 1, %s, %s, %s, %s, %s, 'probe.act', 'p', 'm', 0, 0, now() - interval '200 days')",
                (job_id, entry, scope.organization_id, scope.project_id, job_id, kind),
            )
    tenant.cancel(job_id)
    run(tenant, settings)
    collect(tenant)
    [total] = figures(tenant).values()
    assert total.jobs == {"cancelled": 1, "succeeded": 1}
    assert total.calls == 0
