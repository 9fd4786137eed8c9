"""Saved views of the web console."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "console_views.sql"


def upgrade() -> None:
    """Create the table."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    fence_tenant("console_views")
    op.execute("CREATE POLICY backup ON console_views FOR SELECT TO waybill_backup USING (true)")


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE console_views")
