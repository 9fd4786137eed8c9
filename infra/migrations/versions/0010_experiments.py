"""Experiments, their arms and exposures; what people thought of results."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "experiments.sql"
_TABLES = ("experiments", "experiment_arms", "experiment_allocations", "experiment_exposures", "job_feedback")


def upgrade() -> None:
    """Create the tables. What was promised before there were data, and who was exposed, is never rewritten."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
    op.execute("REVOKE UPDATE ON experiment_allocations, experiment_exposures FROM waybill_app, waybill_system")
    op.execute("REVOKE DELETE ON experiments, experiment_arms, experiment_allocations FROM waybill_app, waybill_system")
    op.execute("REVOKE DELETE ON experiment_exposures FROM waybill_app")
    # The weights of arms change until the experiment ends; which version an arm is never does.
    op.execute("REVOKE UPDATE ON experiment_arms FROM waybill_app, waybill_system")
    op.execute("GRANT UPDATE (weight) ON experiment_arms TO waybill_app, waybill_system")


def downgrade() -> None:
    """Remove them."""
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")
