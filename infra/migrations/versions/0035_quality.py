"""Signals of quality, their sums by the hour, and alerts."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "quality.sql"
_PARTITIONED = ("quality_signals", "quality_inputs")
_TABLES = (
    *_PARTITIONED,
    "quality_hours",
    "quality_pending",
    "quality_streams",
    "quality_alerts",
    "quality_annotations",
    "quality_labels",
    "quality_runs",
    "quality_gates",
)


def upgrade() -> None:
    """Create the tables and the triggers."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
        op.execute(f"CREATE POLICY backup ON {table} FOR SELECT TO waybill_backup USING (true)")
    for table in _PARTITIONED:
        partition_by_month(table)


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP TRIGGER quality_note_feedback ON job_feedback")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("DELETE FROM partitioned_tables WHERE name LIKE 'quality_%'")
    op.execute("DROP FUNCTION quality_note_feedback, quality_alert_announce")
    op.execute("DELETE FROM webhook_endpoints WHERE events <> '{}' AND array_remove(events, 'quality.alert') = '{}'")
    op.execute("UPDATE webhook_endpoints SET events = array_remove(events, 'quality.alert')")
