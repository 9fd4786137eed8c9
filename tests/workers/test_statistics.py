"""What a dispatcher reports of Postgres is what is there, and nothing once another one does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from core.kit.db import Database
from core.kit.ids import ORGANIZATION, encode, new_id
from core.kit.metrics.money import name_organizations
from core.kit.settings import Settings
from tests.factories import rollups
from tests.factories.jobs import Tenant
from tests.factories.webhooks import LOOPBACK, new_hooks
from workers.statistics import Statistics

pytestmark = pytest.mark.own_database


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
def statistics(settings: Settings, tenant: Tenant) -> Iterator[Statistics]:
    known = settings.model_copy(update={"metrics_organizations": [tenant.principal.organization_id]})
    name_organizations(known.metrics_organizations)
    database = Database(known, application_name="test-statistics", pool_size=1)
    yield Statistics(known, database)
    database.close()
    name_organizations([])


def budget(
    tenant: Tenant, limit: str, spent: str, reserved: str = "0", *, hard: bool = True, period: str = "month"
) -> None:
    # As the owner: only functions move money.
    with tenant.database.engine.begin() as session:
        budget_id = session.execute(
            text(
                "INSERT INTO budgets (organization_id, name, scope, scope_id, period, limit_usd, hard) VALUES"
                " (:organization, :name, 'organization', :organization, :period, :limit, :hard) RETURNING id"
            ),
            {
                "organization": tenant.principal.organization_id,
                "name": f"{limit} {spent}",
                "period": period,
                "limit": Decimal(limit),
                "hard": hard,
            },
        ).scalar_one()
        session.execute(
            text(
                "INSERT INTO budget_balances (id, budget_id, organization_id, period_start, spent_usd, reserved_usd)"
                " VALUES (:id, :budget, :organization, ledger_period_start(:period, now()), :spent, :reserved)"
            ),
            {
                "id": new_id(),
                "budget": budget_id,
                "period": period,
                "organization": tenant.principal.organization_id,
                "spent": Decimal(spent),
                "reserved": Decimal(reserved),
            },
        )


def test_queues_audit_inbox_and_webhooks_are_reported(
    settings: Settings, tenant: Tenant, statistics: Statistics
) -> None:
    hooks = new_hooks(settings.model_copy(update=LOOPBACK), tenant)
    active, _ = hooks.add("http://127.0.0.1:9/active")
    paused, _ = hooks.add("http://127.0.0.1:9/paused")
    with tenant.database.system() as session:
        session.execute(text("UPDATE webhook_endpoints SET state = 'paused' WHERE id = :id"), {"id": paused.id})
    hooks.make_deliveries(active, 1)
    hooks.round()
    hooks.move(timedelta(seconds=-300))
    tenant.submit()
    with tenant.database.system() as session:
        session.execute(
            text("UPDATE webhook_deliveries SET next_attempt_at = now() - interval '40 s' WHERE endpoint_id = :id"),
            {"id": active.id},
        )
        waiting = session.execute(text("SELECT count(*) FROM audit_inbox")).scalar_one()
    statistics.read()
    assert value("waybill_queue_depth", pool="probe", state="queued") == 1
    assert value("waybill_audit_inbox") == waiting > 0
    assert (value("waybill_audit_oldest_unsealed_seconds") or 0) > 0
    assert value("waybill_webhook_backlog", state="due") == 1
    assert value("waybill_webhook_backlog", state="paused") == 1
    assert 40 <= (value("waybill_webhook_oldest_due_seconds") or 0) < 400
    assert (value("waybill_statistics_timestamp_seconds") or 0) > 0
    hooks.deliverer.close()

    statistics.clear()
    for name in ("waybill_audit_inbox", "waybill_webhook_oldest_due_seconds", "waybill_statistics_timestamp_seconds"):
        assert value(name) == 0
    assert value("waybill_queue_depth", pool="probe", state="queued") == 0


def test_budgets_reservations_and_tables_are_reported(tenant: Tenant, statistics: Statistics) -> None:
    budget(tenant, "10", "4")
    budget(tenant, "10", "6", "3")
    budget(tenant, "5", "6", hard=False)
    budget(tenant, "0", "0", hard=False)
    with tenant.database.engine.begin() as session:
        session.execute(
            text(
                "INSERT INTO reservations (root_job_id, organization_id, project_id, balance_ids, held_usd)"
                " VALUES (:job, :organization, :project, '{}', 2.5)"
            ),
            {
                "job": new_id(),
                "organization": tenant.principal.organization_id,
                "project": tenant.principal.project_id,
            },
        )
    statistics.read()
    statistics.read_slowly()
    assert value("waybill_budgets", band="ample", hard="true") == 1
    assert value("waybill_budgets", band="under_20", hard="true") == 1
    assert value("waybill_budgets", band="exhausted", hard="false") == 2
    label = encode(ORGANIZATION, tenant.principal.organization_id)
    assert value("waybill_organization_budget_headroom_ratio", organization=label) == 0
    assert value("waybill_reservations_open") == 1
    assert value("waybill_reserved_usd") == 2.5
    assert (value("waybill_table_size_bytes", table="jobs") or 0) > 0
    assert (value("waybill_table_partitions", table="jobs") or 0) >= 3
    assert value("waybill_table_rows", table="jobs", state="dead") is not None
    assert value("waybill_table_size_bytes", table="jobs_default") is None, "partitions are part of their table"


def test_budgets_that_will_be_used_up_within_a_day_are_counted(
    settings: Settings, statistics: Statistics, tenant: Tenant
) -> None:
    organization, project = tenant.principal.organization_id, tenant.principal.project_id
    begin = datetime.now(UTC).replace(minute=30) - timedelta(hours=48)
    moments = rollups.every(timedelta(hours=1), begin, 48)
    rollups.add(settings, calls=[rollups.settled(organization, project, at, "1") for at in moments])
    budget(tenant, "60", "48", period="total")
    budget(tenant, "1000", "47", period="total")
    budget(tenant, "61", "46", period="total", hard=False)
    budget(tenant, "45", "45", period="total")
    statistics.read_slowly()
    assert value("waybill_budgets_exhausting_soon") == 1
    statistics.clear()
    assert value("waybill_budgets_exhausting_soon") == 0
