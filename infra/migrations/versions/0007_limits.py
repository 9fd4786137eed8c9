"""Rates, quotas and concurrency, per organisation, project and key."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their functions."""


def downgrade() -> None:
    """Remove them."""
