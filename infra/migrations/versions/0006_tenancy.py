"""Projects, members and roles; keys that rotate."""

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PROJECTS = """
ALTER TABLE projects
  ADD COLUMN cost_centre text,
  ADD COLUMN owner text,
  ADD COLUMN labels jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN archived_at timestamptz,
  ADD CONSTRAINT projects_organization_id UNIQUE (organization_id, id);
"""

_MEMBERS = """
CREATE TABLE members (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  issuer text NOT NULL,
  subject text NOT NULL,
  email text,
  role text NOT NULL CONSTRAINT members_role CHECK (role IN ('owner', 'admin', 'developer', 'operator', 'auditor')),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT members_subject UNIQUE (organization_id, issuer, subject)
);
"""

# Foreign keys are checked without row-level security: only one that names the organisation keeps a key of one tenant
# out of another's project.
_KEYS = """
ALTER TABLE api_keys
  ADD COLUMN last_used_at timestamptz,
  ADD COLUMN replaced_by uuid REFERENCES api_keys,
  ADD CONSTRAINT api_keys_project_of_organization
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id);
CREATE INDEX api_keys_organization ON api_keys (organization_id, id);
"""


def upgrade() -> None:
    """Create the table and the columns."""
    op.execute(_PROJECTS)
    op.execute(_MEMBERS)
    op.execute(_KEYS)
    fence_tenant("members")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP INDEX api_keys_organization")
    op.execute(
        "ALTER TABLE api_keys DROP CONSTRAINT api_keys_project_of_organization, DROP COLUMN replaced_by,"
        " DROP COLUMN last_used_at"
    )
    op.execute("DROP TABLE members")
    op.execute(
        "ALTER TABLE projects DROP CONSTRAINT projects_organization_id, DROP COLUMN archived_at, DROP COLUMN labels,"
        " DROP COLUMN owner, DROP COLUMN cost_centre"
    )
