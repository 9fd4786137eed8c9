"""Audit: the inbox that every domain writes to in its own transaction, and the sealed record."""

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INBOX = """
CREATE TABLE audit_inbox (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid NOT NULL,
  project_id uuid,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  action text NOT NULL,
  subject_id text NOT NULL,
  actor_kind text NOT NULL,
  actor_id text,
  attempt int,
  payload_digest bytea,
  detail jsonb NOT NULL DEFAULT '{}'
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(_INBOX)
    fence_tenant("audit_inbox")
    op.execute("REVOKE UPDATE, DELETE ON audit_inbox FROM waybill_app")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP TABLE audit_inbox")
