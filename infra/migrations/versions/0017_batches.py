"""Batches and their lines."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "batches.sql"
_TABLES = ("batches", "batch_lines")


def upgrade() -> None:
    """Create the tables, the message at a batch's end, and what keeps its cost true after a correction."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)


def downgrade() -> None:
    """Remove them. Jobs that were made for lines stay, as jobs like others."""
    op.execute("DROP TRIGGER webhook_job_changed ON jobs")
    op.execute(
        "CREATE TRIGGER webhook_job_changed AFTER UPDATE OF state ON jobs FOR EACH ROW"
        " WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state NOT IN ('queued', 'running')"
        " AND NEW.shadow_arm_id IS NULL)"
        " EXECUTE FUNCTION webhook_job_changed()"
    )
    op.execute("DROP TRIGGER batch_job_corrected ON jobs")
    op.execute("DROP FUNCTION batch_job_corrected")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION batch_ended")
    op.execute("ALTER TABLE jobs DROP COLUMN batch_id")
