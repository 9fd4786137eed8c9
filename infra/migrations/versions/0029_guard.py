"""Guard policies, and what people said about findings."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "guard.sql"
_TABLES = ("guard_policies", "guard_reviews")


def upgrade() -> None:
    """Create the tables. Of what is in them, only a reviewed value is ever taken away."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
        op.execute(f"CREATE POLICY backup ON {table} FOR SELECT TO waybill_backup USING (true)")
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM waybill_app, waybill_system")
    op.execute("GRANT UPDATE (value) ON guard_reviews TO waybill_app, waybill_system")


def downgrade() -> None:
    """Remove them."""
    op.execute(f"DROP TABLE {', '.join(reversed(_TABLES))}")
