"""The values behind the tokens that models see."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "pseudonyms.sql"


def upgrade() -> None:
    """Create the table."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    fence_tenant("guard_pseudonyms")
    op.execute("CREATE POLICY backup ON guard_pseudonyms FOR SELECT TO waybill_backup USING (true)")


def downgrade() -> None:
    """Remove it. Tokens in stored texts stay as they are."""
    op.execute("DROP TABLE guard_pseudonyms")
