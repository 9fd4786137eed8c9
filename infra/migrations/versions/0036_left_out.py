"""What the reader of a document left out of its text, kept with the document."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; null for documents that were read before."""
    op.execute("ALTER TABLE documents ADD COLUMN left_out json")


def downgrade() -> None:
    """Remove it."""
    op.execute("ALTER TABLE documents DROP COLUMN left_out")
