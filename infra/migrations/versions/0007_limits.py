"""Rates, quotas and concurrency per key, project and organisation."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "limits.sql"
_FUNCTIONS = (
    "limits_open",
    "limits_count_entry",
    "limits_tokens",
    "limits_spend",
    "limits_admit",
    "limits_lock",
    "limits_level",
    "limits_period_end",
    "limits_period_start",
    "limits_period",
)
_IN_FLIGHT = "WHERE state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)"


def upgrade() -> None:
    """Create the tables and the functions through which alone usage is counted."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    fence_tenant("limits")
    fence_tenant("quota_usage")
    op.execute("REVOKE INSERT, UPDATE, DELETE ON quota_usage FROM waybill_app")
    op.execute("REVOKE INSERT, UPDATE ON quota_usage FROM waybill_system")
    # Concurrency is counted by organisation and key too; the index must hold them, or each count visits the table.
    op.execute("DROP INDEX jobs_in_flight")
    op.execute(f"CREATE INDEX jobs_in_flight ON jobs (pool, project_id, organization_id, key_id) {_IN_FLIGHT}")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP INDEX jobs_in_flight")
    op.execute(f"CREATE INDEX jobs_in_flight ON jobs (pool, project_id) {_IN_FLIGHT}")
    op.execute("DROP TRIGGER ledger_entries_count ON ledger_entries")
    op.execute("DROP FUNCTION limits_in_scope")
    for function in _FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP TABLE quota_usage")
    op.execute("DROP TABLE limits")
