"""Estimates the cost of a job from the costs of similar jobs."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import text

from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.money import to_money
from core.rollups.sketch import USD, Sketch, add, from_json

# With this many jobs, the share below their 90th percentile is 0.90 with a standard error of 0.042.
JOBS_MIN = 50
DAYS = 30
_CELLS = text("""
SELECT project_id = :project_id AS is_own, size_band, jobs, cost FROM job_cost_rollups
WHERE organization_id = :organization_id AND capability = :capability
  AND bucket > now() - make_interval(days => :days)
  AND (CAST(:model AS text) IS NULL OR model = :model)
""")
# The least that any hard budget of the caller has left: no job can cost more.
_LEAST_ROOM = text("""
SELECT budgets.id, budgets.name,
  greatest(0, budgets.limit_usd - coalesce(balance.spent_usd, 0) - coalesce(balance.reserved_usd, 0)) AS room_usd
FROM budgets LEFT JOIN budget_balances AS balance
  ON balance.budget_id = budgets.id AND balance.period_start = ledger_period_start(budgets.period, now())
WHERE budgets.organization_id = :organization_id AND budgets.archived_at IS NULL AND budgets.hard
  AND budgets.scope_id IN (:organization_id, :project_id, CAST(:key_id AS uuid))
ORDER BY room_usd, budgets.id LIMIT 1
""")


class Basis(StrEnum):
    """The jobs that a quote is based on: the most specific group with enough jobs."""

    PROJECT_AND_SIZE = "project_and_size"
    ORGANIZATION_AND_SIZE = "organization_and_size"
    PROJECT = "project"
    ORGANIZATION = "organization"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Cell:
    """Jobs of one size: whether they belong to the caller's project, and a sketch of their costs in US dollars."""

    is_own: bool
    size_band: int
    jobs: int
    cost: Sketch


@dataclass(frozen=True, slots=True)
class Quote:
    """`p50_usd` and `p90_usd`: half, and nine in ten, of the jobs it is based on cost no more. None: too few jobs.

    `cap_usd` is an upper bound: the job's own cap, or what a hard budget has left (then `capped_by` names it).
    """

    jobs: int
    basis: Basis
    p50_usd: Decimal | None
    p90_usd: Decimal | None
    cap_usd: Decimal | None
    capped_by: str | None


def quote(
    executor: Executor,
    principal: Principal,
    *,
    capability: str,
    band: int,
    model: str | None,
    max_cost_usd: Decimal | None,
) -> Quote:
    """A quote for a job whose input is of the size `band` (`core.rollups.collect.size_band`)."""
    scope = {"organization_id": principal.organization_id, "project_id": principal.project_id}
    rows = executor.execute(_CELLS, {**scope, "capability": capability, "model": model, "days": DAYS})
    cells = [Cell(row.is_own, row.size_band, row.jobs, from_json(row.cost)) for row in rows]
    basis, sketch = choose(cells, band)
    room = executor.execute(_LEAST_ROOM, {**scope, "key_id": principal.key_id}).one_or_none()
    cap, by = max_cost_usd, "max_cost_usd" if max_cost_usd is not None else None
    if room is not None and (cap is None or room.room_usd < cap):
        cap, by = room.room_usd, room.name
    return Quote(sum(sketch.values()), basis, at_most(sketch, 0.5), at_most(sketch, 0.9), cap, by)


def choose(cells: Iterable[Cell], band: int) -> tuple[Basis, Sketch]:
    """The closest group with at least `JOBS_MIN` jobs: same project and about the same size, then wider."""
    found = list(cells)
    same = [cell for cell in found if cell.size_band == band]
    near = [cell for cell in found if abs(cell.size_band - band) <= 1]
    kinds = (
        (Basis.PROJECT_AND_SIZE, [cell for cell in same if cell.is_own]),
        (Basis.PROJECT_AND_SIZE, [cell for cell in near if cell.is_own]),
        (Basis.ORGANIZATION_AND_SIZE, same),
        (Basis.ORGANIZATION_AND_SIZE, near),
        (Basis.PROJECT, [cell for cell in found if cell.is_own]),
        (Basis.ORGANIZATION, found),
    )
    for basis, chosen in kinds:
        if sum(cell.jobs for cell in chosen) >= JOBS_MIN:
            return basis, add(cell.cost for cell in chosen)
    return Basis.NONE, {}


def at_most(sketch: Sketch, share: float) -> Decimal | None:
    """The cost that `share` of the jobs did not exceed; a future job does not exceed it with the same probability.

    With n jobs that is the one of rank ⌈(n + 1) · share⌉, not ⌈n · share⌉: the next job may itself be the most
    expensive (the order statistics of split conformal prediction; Vovk, Gammerman and Shafer 2005).
    """
    jobs = sum(sketch.values())
    if not jobs:
        return None
    bound = USD.upper_bound(sketch, min(1.0, share * (jobs + 1) / jobs))
    return to_money(Decimal(f"{bound or 0.0:.4g}"))
