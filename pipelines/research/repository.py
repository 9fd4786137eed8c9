"""What the job has cost and how long it has taken, from its own row."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from core.capability import JobContext
from core.kit.money import to_money

_FIGURES = text("""
SELECT cost_usd + jobs_cost_below(id) AS cost_usd, extract(epoch FROM clock_timestamp() - created_at) AS seconds,
  clock_timestamp() AS at
FROM jobs WHERE id = :id AND organization_id = :organization_id AND project_id = :project_id
""")


@dataclass(frozen=True, slots=True)
class Figures:
    """`cost_usd` counts child jobs too; `seconds` are from the submission to `at`, waiting included."""

    cost_usd: Decimal
    seconds: float
    at: datetime


def read_figures(ctx: JobContext) -> Figures:
    """The figures of the running job, by the database's clock."""
    with ctx.transaction() as session:
        row = session.execute(
            _FIGURES, {"id": ctx.job_id, "organization_id": ctx.organization_id, "project_id": ctx.project_id}
        ).one()
    return Figures(to_money(row.cost_usd), float(row.seconds), row.at)
