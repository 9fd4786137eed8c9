"""Shadow arms of experiments, and the runs they make."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "shadows.sql"


def upgrade() -> None:
    """Create the table, and the trigger that samples a job in the statement that ends it."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    fence_tenant("shadow_runs")


def downgrade() -> None:
    """Remove them. Arms of that kind go with them: nothing served is touched."""
    op.execute("DROP TRIGGER webhook_job_changed ON jobs")
    op.execute(
        "CREATE TRIGGER webhook_job_changed AFTER UPDATE OF state ON jobs FOR EACH ROW"
        " WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state NOT IN ('queued', 'running'))"
        " EXECUTE FUNCTION webhook_job_changed()"
    )
    op.execute("DROP TRIGGER job_shadowed ON jobs")
    op.execute("DROP FUNCTION job_shadowed")
    op.execute("DROP FUNCTION shadow_place")
    op.execute("DROP TABLE shadow_runs")
    op.execute("DELETE FROM experiment_arms WHERE kind = 'shadow'")
    op.execute(
        "ALTER TABLE experiment_arms DROP CONSTRAINT experiment_arms_kind, DROP CONSTRAINT experiment_arms_weight,"
        " ADD CONSTRAINT experiment_arms_kind CHECK (kind IN ('control', 'treatment')),"
        " ADD CONSTRAINT experiment_arms_weight CHECK (weight > 0 AND weight < 1)"
    )
    op.execute("ALTER TABLE experiments DROP COLUMN shadow")
    op.execute("ALTER TABLE jobs DROP COLUMN shadow_arm_id")
