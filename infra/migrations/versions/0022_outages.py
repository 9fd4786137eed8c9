"""How many attempts of a job ended because something it depends on was unavailable: those are given back."""

from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the count."""
    op.execute("ALTER TABLE jobs ADD COLUMN outages integer NOT NULL DEFAULT 0")


def downgrade() -> None:
    """Drop the count."""
    op.execute("ALTER TABLE jobs DROP COLUMN outages")
