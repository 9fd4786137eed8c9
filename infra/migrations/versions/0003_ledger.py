"""Budgets, reservations and the append-only ledger."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "ledger.sql"
_TABLES = ("budgets", "budget_balances", "budget_alerts", "reservations", "open_calls", "ledger_entries")
_FUNCTIONS = (
    "ledger_correct",
    "ledger_review",
    "ledger_sweep",
    "ledger_release",
    "ledger_settle_call",
    "ledger_begin_call",
    "ledger_reserve",
    "ledger_alert",
    "ledger_set_aside",
    "ledger_lock",
    "ledger_balances",
    "ledger_period_start",
    "ledger_require_tenant",
    "ledger_entries_immutable",
)


def upgrade() -> None:
    """Create the tables and the functions through which alone money moves."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
        if table != "budgets":
            op.execute(f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM waybill_app, waybill_system")
    op.execute("REVOKE DELETE ON budgets FROM waybill_app, waybill_system")
    partition_by_month("ledger_entries")


def downgrade() -> None:
    """Remove them."""
    op.execute("DELETE FROM partitioned_tables WHERE name = 'ledger_entries'")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table} CASCADE")
    for function in _FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
