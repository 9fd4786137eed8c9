"""How long each kind of data is kept, per project."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "retention.sql"


def upgrade() -> None:
    """Create the policies, what is carried over, and the functions that drop partitions."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    fence_tenant("retention_policies")
    fence_tenant("ledger_carried")
    op.execute("REVOKE INSERT, UPDATE, DELETE ON ledger_carried FROM waybill_app, waybill_system")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP FUNCTION drop_partition, partitions_before, retention_clocks")
    op.execute("DROP TABLE ledger_retired, ledger_carried, retention_policies")
    op.execute("DROP INDEX jobs_with_payload")
    op.execute("ALTER TABLE jobs DROP COLUMN payload_erased_at")
