"""Audit: the inbox that every domain writes to in its own transaction, and the sealed record."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_GUARDS = Path(__file__).resolve().parents[1] / "sql" / "audit.sql"

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

# Partitioned on the key of the seal, not of the record: a partition holds whole seals, so that dropping one leaves no
# half of a tree behind.
_SEALED = """
CREATE TABLE audit_records (
  organization_id uuid NOT NULL,
  sequence bigint NOT NULL CONSTRAINT audit_records_sequence CHECK (sequence >= 1),
  seal_id uuid NOT NULL,
  id uuid NOT NULL,
  project_id uuid,
  recorded_at timestamptz NOT NULL,
  action text NOT NULL,
  subject_id text NOT NULL,
  actor_kind text NOT NULL,
  actor_id text,
  attempt int,
  payload_digest bytea,
  detail jsonb NOT NULL,
  leaf bytea NOT NULL,
  PRIMARY KEY (organization_id, sequence, seal_id)
) PARTITION BY RANGE (seal_id);
CREATE INDEX audit_records_id ON audit_records (organization_id, id);
CREATE INDEX audit_records_subject ON audit_records (organization_id, subject_id, id);
CREATE INDEX audit_records_actor ON audit_records (organization_id, actor_id, id);

CREATE TABLE audit_seals (
  organization_id uuid NOT NULL,
  number bigint NOT NULL CONSTRAINT audit_seals_number CHECK (number >= 1),
  id uuid NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  root bytea NOT NULL,
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL,
  signature bytea NOT NULL,
  key_id text NOT NULL,
  sealed_at timestamptz NOT NULL,
  PRIMARY KEY (organization_id, number),
  CONSTRAINT audit_seals_first UNIQUE (organization_id, first_sequence),
  CONSTRAINT audit_seals_range CHECK (first_sequence <= last_sequence)
);

CREATE TABLE audit_personal (
  organization_id uuid NOT NULL,
  digest bytea NOT NULL,
  data_subject text NOT NULL,
  field text NOT NULL,
  salt bytea NOT NULL,
  value text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (organization_id, digest)
);
CREATE INDEX audit_personal_subject ON audit_personal (organization_id, data_subject);

CREATE TABLE audit_exports (
  organization_id uuid NOT NULL,
  first_number bigint NOT NULL,
  last_number bigint NOT NULL,
  blob_key text NOT NULL,
  sha256 text NOT NULL,
  size_bytes bigint NOT NULL,
  exported_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, first_number)
);

CREATE TABLE audit_retirements (
  organization_id uuid NOT NULL,
  through_number bigint NOT NULL,
  seal_hash bytea NOT NULL,
  retired_at timestamptz NOT NULL,
  signature bytea NOT NULL,
  key_id text NOT NULL,
  PRIMARY KEY (organization_id, through_number)
);
"""

_FENCED = ("audit_inbox", "audit_records", "audit_seals", "audit_personal", "audit_exports", "audit_retirements")

_PRIVILEGES = """
REVOKE UPDATE, DELETE ON audit_inbox FROM waybill_app;
REVOKE UPDATE ON audit_inbox FROM waybill_system;
REVOKE INSERT, UPDATE, DELETE ON audit_records, audit_seals, audit_exports, audit_retirements FROM waybill_app;
REVOKE UPDATE, DELETE ON audit_records, audit_seals, audit_exports, audit_retirements FROM waybill_system;
REVOKE UPDATE ON audit_personal FROM waybill_app, waybill_system;
"""


def upgrade() -> None:
    """Create the tables, their guards and the view over inbox and records."""
    op.execute(_INBOX)
    op.execute(_SEALED)
    for table in _FENCED:
        fence_tenant(table)
    op.execute(_PRIVILEGES)
    op.execute(_GUARDS.read_text(encoding="utf-8"))
    partition_by_month("audit_records")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP VIEW audit_log")
    op.execute("DELETE FROM partitioned_tables WHERE name = 'audit_records'")
    for table in reversed(_FENCED):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION audit_immutable")
