"""What was intended in systems outside, and what became of it."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "effects.sql"


def upgrade() -> None:
    """Create the table."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    fence_tenant("job_effects")
    op.execute("CREATE POLICY backup ON job_effects FOR SELECT TO waybill_backup USING (true)")
    partition_by_month("job_effects")


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE job_effects")
    op.execute("DELETE FROM partitioned_tables WHERE name = 'job_effects'")
