"""How sensitive data is: labels of projects, knowledge bases and files, the class of a job, the clearance of a key."""

from pathlib import Path

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_WEBHOOK = (Path(__file__).parents[1] / "sql" / "priced.sql").read_text(encoding="utf-8")
_BEGIN, _END = "CREATE OR REPLACE FUNCTION webhook_job_changed()", "END $$;"

# An enum and not a text with a CHECK: it has an order, so that `greatest` finds the class that counts, and adding the
# column reads no row. A project's label is the least class of its jobs; `public` asks for nothing.
_UPGRADE = """
CREATE TYPE data_class AS ENUM ('public', 'internal', 'confidential', 'restricted');
ALTER TABLE jobs ADD COLUMN data_class data_class NOT NULL DEFAULT 'internal', ADD COLUMN declared_class data_class;
ALTER TABLE projects ADD COLUMN data_class data_class NOT NULL DEFAULT 'public';
ALTER TABLE knowledge_bases ADD COLUMN data_class data_class NOT NULL DEFAULT 'internal';
ALTER TABLE files ADD COLUMN data_class data_class NOT NULL DEFAULT 'internal';
ALTER TABLE file_uploads ADD COLUMN data_class data_class NOT NULL DEFAULT 'internal';
ALTER TABLE api_keys ADD COLUMN clearance data_class NOT NULL DEFAULT 'restricted';
"""
_CLEARED = """ AND NEW.data_class <= coalesce((SELECT clearance FROM api_keys
        WHERE id = NEW.key_id AND organization_id = NEW.organization_id), 'restricted')"""
_CHANGES = (
    ("'capability', NEW.capability,", "'capability', NEW.capability,\n    'data_class', NEW.data_class,"),
    ("(NEW.webhook->>'include_result')::boolean\n", f"(NEW.webhook->>'include_result')::boolean{_CLEARED}\n"),
)
_DOWNGRADE = """
ALTER TABLE api_keys DROP COLUMN clearance;
ALTER TABLE file_uploads DROP COLUMN data_class;
ALTER TABLE files DROP COLUMN data_class;
ALTER TABLE knowledge_bases DROP COLUMN data_class;
ALTER TABLE projects DROP COLUMN data_class;
ALTER TABLE jobs DROP COLUMN data_class, DROP COLUMN declared_class;
DROP TYPE data_class;
"""


def upgrade() -> None:
    """Add the labels. Webhooks of jobs carry theirs, and hand a key nothing that it may not read."""
    op.execute(_UPGRADE)
    body = _webhook()
    for before, after in _CHANGES:
        body = body.replace(before, after)
    op.execute(body)


def downgrade() -> None:
    """Take the labels away."""
    op.execute(_webhook())
    op.execute(_DOWNGRADE)


def _webhook() -> str:
    body = _WEBHOOK[_WEBHOOK.index(_BEGIN) :]
    return body[: body.index(_END) + len(_END)]
