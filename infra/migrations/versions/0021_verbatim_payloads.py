"""Payloads as they came: columns that nothing searches become json, and webhooks carry the result word for word."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0018"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Turn the columns, which rewrites their tables: the usual bound on a statement's time does not hold here."""
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute((_SQL / "verbatim.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Turn them back: the order of names is lost."""
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute(
        "ALTER TABLE jobs ALTER COLUMN input TYPE jsonb USING input::jsonb,"
        " ALTER COLUMN result TYPE jsonb USING result::jsonb"
    )
    op.execute(
        "ALTER TABLE job_events ALTER COLUMN data DROP DEFAULT, ALTER COLUMN data TYPE jsonb USING data::jsonb,"
        " ALTER COLUMN data SET DEFAULT '{}'"
    )
    op.execute("ALTER TABLE batch_lines ALTER COLUMN input TYPE jsonb USING input::jsonb")
    op.execute(
        "ALTER TABLE job_questions ALTER COLUMN schema TYPE jsonb USING schema::jsonb,"
        " ALTER COLUMN details TYPE jsonb USING details::jsonb, ALTER COLUMN value TYPE jsonb USING value::jsonb"
    )
    webhooks = (_SQL / "webhooks.sql").read_text(encoding="utf-8")
    head, end = "FUNCTION webhook_job_changed() RETURNS trigger", "END $$;"
    body = webhooks[webhooks.index(head) :]
    op.execute(f"CREATE OR REPLACE {body[: body.index(end) + len(end)]}")
    op.execute("DROP FUNCTION webhook_body_with_result")
