"""Events of a project in one order."""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "project_events.sql"


def upgrade() -> None:
    """Give every kept event a position, and remember what retention drops."""
    op.execute(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    """Take them away."""
    op.execute("DROP TRIGGER job_events_take_position ON job_events")
    op.execute("DROP TABLE job_events_dropped")
    op.execute("ALTER TABLE job_events DROP COLUMN position")
    op.execute(
        "DROP FUNCTION job_events_take_position, events_last_position, events_restart, events_horizon, events_epoch"
    )
