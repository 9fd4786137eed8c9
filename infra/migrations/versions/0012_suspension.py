"""Questions to people and child jobs."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "suspension.sql"
_TABLES = ("job_questions", "job_children")
_TRIGGERS = {
    "jobs_child_ended": "jobs",
    "jobs_waits_for_children": "jobs",
    "open_calls_under_caps": "open_calls",
    "reservations_remember_tree": "reservations",
}


def upgrade() -> None:
    """Create the tables, and the triggers that wake a parent and keep a tree of jobs under its caps."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
        partition_by_month(table)


def downgrade() -> None:
    """Remove them."""
    for trigger, table in _TRIGGERS.items():
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    op.execute(
        "DROP FUNCTION jobs_child_ended, jobs_waits_for_children, jobs_tell_parent, ledger_check_caps,"
        " ledger_remember_tree, jobs_cost_below, jobs_below"
    )
    op.execute("DROP INDEX jobs_open_children")
    for table in reversed(_TABLES):
        op.execute(f"DELETE FROM partitioned_tables WHERE name = '{table}'")
        op.execute(f"DROP TABLE {table}")
