"""Budgets, reservations and the append-only ledger."""

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ENTRIES = """
CREATE TABLE ledger_entries (
  job_id uuid NOT NULL,
  attempt int NOT NULL,
  call int NOT NULL,
  entry smallint NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  key_id uuid,
  root_job_id uuid NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL,
  capability text NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  model_version text,
  price_ids uuid[] NOT NULL DEFAULT '{}',
  quantities jsonb NOT NULL DEFAULT '{}',
  amounts jsonb NOT NULL DEFAULT '{}',
  bound_usd numeric(18, 9) NOT NULL DEFAULT 0,
  amount_usd numeric(18, 9) NOT NULL DEFAULT 0,
  estimated boolean NOT NULL DEFAULT false,
  reason text,
  balance_ids uuid[] NOT NULL DEFAULT '{}',
  step text,
  labels jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (job_id, attempt, call, entry)
) PARTITION BY RANGE (job_id);
"""


def upgrade() -> None:
    """Create the tables and their functions."""
    op.execute(_ENTRIES)
    fence_tenant("ledger_entries")
    partition_by_month("ledger_entries")


def downgrade() -> None:
    """Remove them."""
    op.execute("DELETE FROM partitioned_tables WHERE name = 'ledger_entries'")
    op.execute("DROP TABLE ledger_entries")
