"""Roll-ups: what has happened, added up by minute, hour and day."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "rollups.sql"
_TABLES = ("job_rollups", "call_rollups", "job_cost_rollups", "job_backlog", "rollup_pending")


def upgrade() -> None:
    """Create the tables, the index by which ended jobs are found in order, and what notes a correction."""
    # The index reads every event once.
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
        op.execute(f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM waybill_app")
        op.execute(f"CREATE POLICY backup ON {table} FOR SELECT TO waybill_backup USING (true)")


def downgrade() -> None:
    """Remove them; nothing else is lost, since they are made of what is stored elsewhere."""
    op.execute("DROP TRIGGER ledger_correction_pending ON ledger_entries")
    op.execute("DROP FUNCTION ledger_correction_pending, rollup_partitions")
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP TABLE event_cursors")
    op.execute("DROP INDEX job_events_ended")
    op.execute("DROP FUNCTION rollup_add")
