"""What says that a machine generated a job's result, beside the result and in the webhooks about it."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_LINKS = "'links', jsonb_build_object('self', '/v1/jobs/' || shown_id))"
_MARKED = f"""{_LINKS}
    || CASE WHEN NEW.disclosure IS NULL THEN '{{}}' ELSE jsonb_build_object('disclosure', NEW.disclosure) END"""


def upgrade() -> None:
    """Add the column, and have webhooks carry it."""
    op.execute("ALTER TABLE jobs ADD COLUMN disclosure jsonb")
    _rewrite(_LINKS, _MARKED)


def downgrade() -> None:
    """Take both away."""
    _rewrite(_MARKED, _LINKS)
    op.execute("ALTER TABLE jobs DROP COLUMN disclosure")


def _rewrite(before: str, after: str) -> None:
    """Replace a part of the function that writes webhooks, whatever else other migrations have made of it."""
    op.execute(f"""
    DO $rewrite$
    DECLARE body text := pg_get_functiondef('webhook_job_changed'::regproc);
    BEGIN
      IF strpos(body, $part${before}$part$) = 0 THEN
        RAISE EXCEPTION 'webhook_job_changed is not as this migration knows it';
      END IF;
      EXECUTE replace(body, $part${before}$part$, $part${after}$part$);
    END $rewrite$
    """)
