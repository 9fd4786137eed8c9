"""Webhook endpoints, deliveries and attempts."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "webhooks.sql"
_PARTITIONED = ("webhook_deliveries", "webhook_attempts")
_TABLES = ("webhook_endpoints", "webhook_secrets", *_PARTITIONED, "webhook_notices")
_TRIGGERS = {
    "webhook_job_changed": "jobs",
    "webhook_job_erased": "jobs",
    "webhook_budget_alerted": "budget_alerts",
    "webhook_experiment_decided": "experiments",
}


def upgrade() -> None:
    """Create the tables, and the triggers that write a delivery in the transaction it tells about."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
    for table in _PARTITIONED:
        partition_by_month(table)
    op.execute("REVOKE UPDATE, DELETE ON webhook_attempts FROM waybill_app, waybill_system")


def downgrade() -> None:
    """Remove them."""
    for trigger, table in _TRIGGERS.items():
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
        op.execute(f"DROP FUNCTION {trigger}")
    op.execute("ALTER TABLE jobs DROP COLUMN webhook")
    for table in _PARTITIONED:
        op.execute(f"DELETE FROM partitioned_tables WHERE name = '{table}'")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION webhook_announce_keys, webhook_tell, webhook_body, webhook_time")
