"""How long payloads of a data class and above are kept, and an index by which those that are due are found."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "class_retention.sql"


def upgrade() -> None:
    """Create the table, the function that finds the shortest clock of each class, and the index."""
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute(_SQL.read_text(encoding="utf-8"))
    fence_tenant("retention_class_policies")
    op.execute("CREATE POLICY backup ON retention_class_policies FOR SELECT TO waybill_backup USING (true)")


def downgrade() -> None:
    """Remove them: payloads of all classes are kept equally long again."""
    op.execute(
        "CREATE INDEX jobs_with_payload ON jobs (project_id, id)"
        " WHERE finished_at IS NOT NULL AND payload_erased_at IS NULL"
    )
    op.execute("DROP INDEX jobs_with_payload_of_class")
    op.execute("DROP FUNCTION retention_payload_clocks")
    op.execute("DROP TABLE retention_class_policies")
