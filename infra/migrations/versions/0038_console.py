"""What the web console needs: sessions, the links that open one, and failed jobs by their project."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "console.sql"


def upgrade() -> None:
    """Create the tables and the index."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in ("console_sessions", "console_links"):
        fence_tenant(table)
        op.execute(f"CREATE POLICY backup ON {table} FOR SELECT TO waybill_backup USING (true)")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP INDEX jobs_failed")
    op.execute("DROP TABLE console_links")
    op.execute("DROP TABLE console_sessions")
