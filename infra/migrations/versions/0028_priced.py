"""Costs that count other jobs say whether all of it had a price: of children, of batches, in events and webhooks.

And an index for the sweep that stops jobs, which read the whole backlog of its pool.
"""

from pathlib import Path

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"
_END = "END $$;"


def upgrade() -> None:
    """Add the columns and functions, and mark the settled lines of batches whose jobs were not priced."""
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute((_SQL / "priced.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Put the functions back as they were, and drop what they do not use."""
    op.execute("DROP INDEX jobs_stopping")
    op.execute(_definition("suspension", "jobs_tell_parent"))
    op.execute(_definition("verbatim", "webhook_job_changed"))
    op.execute(_definition("batches", "batch_ended"))
    op.execute("ALTER TABLE batch_lines DROP COLUMN priced")
    op.execute("ALTER TABLE batches DROP COLUMN priced")
    op.execute("DROP FUNCTION jobs_costs_below, cost_text, usage_is_priced")


def _definition(file: str, function: str) -> str:
    script = (_SQL / f"{file}.sql").read_text(encoding="utf-8")
    body = script[script.index(f"FUNCTION {function}(") :]
    return f"CREATE OR REPLACE {body[: body.index(_END) + len(_END)]}"
