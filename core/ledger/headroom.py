"""What budgets have left across all organizations, for operators' monitoring."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text

from core.kit.db import Executor

# As when money is set aside: reserved money does not count as left.
_HEADROOM = """
headroom AS (
  SELECT budgets.organization_id, budgets.hard, CASE WHEN budgets.limit_usd > 0
    THEN 1 - coalesce(balance.spent_usd + balance.reserved_usd, 0) / budgets.limit_usd ELSE 0 END AS ratio
  FROM budgets JOIN (SELECT name, ledger_period_start(name, now()) AS start
    FROM unnest(ARRAY['day', 'month', 'total']) AS name) AS period ON period.name = budgets.period
  LEFT JOIN budget_balances AS balance ON balance.budget_id = budgets.id AND balance.period_start = period.start
  WHERE budgets.archived_at IS NULL
)"""
_BANDS = text(f"""
WITH {_HEADROOM}
SELECT hard, CASE WHEN ratio <= 0 THEN 'exhausted' WHEN ratio < 0.2 THEN 'under_20' WHEN ratio < 0.5 THEN 'under_50'
  ELSE 'ample' END AS band, count(*) AS budgets
FROM headroom GROUP BY 1, 2
""")
_LEAST = text(f"""
WITH {_HEADROOM}
SELECT organization_id, greatest(min(ratio), 0) AS ratio FROM headroom
WHERE organization_id = ANY(CAST(:organizations AS uuid[])) GROUP BY organization_id
""")
_RESERVED = text("SELECT count(*) AS trees, coalesce(sum(held_usd), 0) AS held_usd FROM reservations")


@dataclass(frozen=True, slots=True)
class Reserved:
    """Job trees for which money is set aside, and how much of it is not settled."""

    trees: int
    held_usd: float


@dataclass(frozen=True, slots=True)
class Headroom:
    """The number of budgets by band of what is left and whether they are hard, and the least share by organization."""

    bands: Counter[tuple[str, bool]] = field(default_factory=Counter)
    least: dict[UUID, float] = field(default_factory=dict)


def read_headroom(session: Executor, organizations: Collection[UUID]) -> Headroom:
    """What the budgets in force have left in their periods; the least share, 0 to 1, of `organizations` only."""
    found = Headroom()
    for row in session.execute(_BANDS, {}):
        found.bands[row.band, row.hard] = row.budgets
    if organizations:
        for row in session.execute(_LEAST, {"organizations": sorted(organizations)}):
            found.least[row.organization_id] = float(row.ratio)
    return found


def read_reserved(session: Executor) -> Reserved:
    """The money that is set aside now."""
    row = session.execute(_RESERVED, {}).one()
    return Reserved(int(row.trees), float(row.held_usd))
