"""Uploaded files, uploads in parts, and what jobs leave behind."""

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE files (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  name text NOT NULL,
  content_type text NOT NULL,
  size_bytes bigint NOT NULL CONSTRAINT files_size CHECK (size_bytes > 0),
  sha256 text NOT NULL,
  blob_key text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz
);
CREATE INDEX files_project ON files (project_id, id);
CREATE INDEX files_expired ON files (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE file_uploads (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  name text NOT NULL,
  content_type text NOT NULL,
  size_bytes bigint NOT NULL,
  sha256 text,
  received_bytes bigint NOT NULL DEFAULT 0
    CONSTRAINT file_uploads_received CHECK (received_bytes BETWEEN 0 AND size_bytes),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX file_uploads_expired ON file_uploads (expires_at);

-- Rows go with their job's payload, so the table need not be partitioned.
CREATE TABLE job_artifacts (
  job_id uuid NOT NULL,
  name text NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  attempt int NOT NULL,
  content_type text NOT NULL,
  size_bytes bigint NOT NULL,
  sha256 text NOT NULL,
  blob_key text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, name)
);
"""
_FENCED = ("files", "file_uploads", "job_artifacts")


def upgrade() -> None:
    """Create the tables."""
    op.execute(_TABLES)
    for table in _FENCED:
        fence_tenant(table)


def downgrade() -> None:
    """Remove them."""
    op.execute(f"DROP TABLE {', '.join(_FENCED)}")
