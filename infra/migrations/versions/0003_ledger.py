"""Budgets, reservations and the append-only ledger."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their functions."""


def downgrade() -> None:
    """Remove them."""
