"""The price book: dated prices, never edited in place."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their functions."""


def downgrade() -> None:
    """Remove them."""
