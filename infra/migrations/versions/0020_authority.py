"""Who asked for a job, and what an answer approves."""

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0021"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "authority.sql"


def upgrade() -> None:
    """Remember the caller of jobs and batches, the maker of keys, and what a question approves."""
    op.execute(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    """Forget them."""
    op.execute("DROP FUNCTION caller_standing")
    op.execute("ALTER TABLE job_questions DROP COLUMN approves")
    op.execute("ALTER TABLE api_keys DROP COLUMN created_by")
    op.execute("ALTER TABLE batches DROP COLUMN submitted_by, DROP COLUMN grants")
    op.execute("ALTER TABLE jobs DROP COLUMN submitted_by, DROP COLUMN grants")
