"""The cost and the duration of the job, from its own row."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from core.capability import JobContext
from core.kit.money import cost_words, to_money

_FIGURES = text("""
SELECT cost_usd + below_usd AS cost_usd, usage_is_priced(usage) AND below_priced AS is_priced,
  extract(epoch FROM clock_timestamp() - created_at) AS seconds,
  clock_timestamp() AS at
FROM jobs CROSS JOIN LATERAL jobs_costs_below(id) AS below
WHERE id = :id AND organization_id = :organization_id AND project_id = :project_id
""")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a job. `cost_usd` includes child jobs, and is complete only if `is_priced`.

    `seconds` are from the submission to `at`, waiting included.
    """

    cost_usd: Decimal
    is_priced: bool
    seconds: float
    at: datetime

    @property
    def cost_text(self) -> str:
        """The cost, for people."""
        return f"USD {cost_words(self.cost_usd, priced=self.is_priced)}"


def read_figures(ctx: JobContext) -> Figures:
    """The figures of the running job, by the database's clock."""
    with ctx.transaction() as session:
        row = session.execute(
            _FIGURES, {"id": ctx.job_id, "organization_id": ctx.organization_id, "project_id": ctx.project_id}
        ).one()
    return Figures(to_money(row.cost_usd), row.is_priced, float(row.seconds), row.at)
