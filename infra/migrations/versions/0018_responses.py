"""Webhooks in OpenAI's shape about the responses of its dialect."""

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "responses.sql"


def upgrade() -> None:
    """Tell endpoints that ask for it of a response's end."""
    op.execute(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    """Tell them no more. What was chosen by name is chosen no more either: an empty choice would mean everything."""
    op.execute("DROP TRIGGER webhook_response_ended ON jobs")
    op.execute("DROP FUNCTION webhook_response_ended")
    op.execute(
        "DELETE FROM webhook_endpoints WHERE events <> '{}'"
        " AND NOT EXISTS (SELECT FROM unnest(events) AS event WHERE event NOT LIKE 'response.%')"
    )
    op.execute(
        "UPDATE webhook_endpoints SET events ="
        " (SELECT array_agg(event) FROM unnest(events) AS event WHERE event NOT LIKE 'response.%')"
        " WHERE EXISTS (SELECT FROM unnest(events) AS event WHERE event LIKE 'response.%')"
    )
