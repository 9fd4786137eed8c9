"""When a budget will be used up, and how certain that is.

The future is drawn from the past: the hours of the last weeks are recombined `DRAWS` times, in blocks that keep related
hours (a working day, a night) together (the moving-block bootstrap; Künsch, "The jackknife and the bootstrap for
general stationary observations", Annals of Statistics 17, 1989). It models no growth and no seasonality beyond a week:
a forecast cannot know that tomorrow will be unlike the past.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

from sqlalchemy import text

from core.kit.db import Executor
from core.kit.money import to_money
from core.ledger.records import Budget
from core.rollups.records import ALL_PROJECTS

DRAWS = 400
PAST_DAYS = 28
# With fewer hours than this, draws would be mere chance.
HOURS_MIN = 24
_WEEK = 168
_DAY = 24
# The forecast horizon of a budget without periods.
_HORIZON = timedelta(days=90)
_HOURS = text("""
SELECT bucket, sum(amount_usd) AS amount_usd FROM call_rollups
WHERE organization_id = :organization_id AND grain = 'hour' AND bucket >= :since AND project_id = :project_id
  AND (CAST(:key_id AS uuid) IS NULL OR key_id = :key_id)
GROUP BY bucket
""")
_NOW = text("SELECT now()")


@dataclass(frozen=True, slots=True)
class Interval:
    """The median of the draws, and the bounds that contain four in five of them."""

    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of a budget as of `made_at`. Amounts are US dollars.

    `period_end` is None for a budget without periods. `burn_usd_per_day` is the mean of the last seven days.
    `projected_usd` is the expected spending at the period's end (90 days ahead without periods). `exhausted_at`:
    (early, middle, late), each None when it does not happen within that time; None as a whole with less than a day of
    history (`hours`).
    """

    made_at: datetime
    period_end: datetime | None
    hours: int
    burn_usd_per_day: Decimal
    projected_usd: Interval | None
    exhausted_at: tuple[datetime | None, datetime | None, datetime | None] | None
    probability: float | None


def forecast(executor: Executor, budget: Budget) -> Forecast:
    """The forecast of the current period of `budget`."""
    now: datetime = executor.execute(_NOW, {}).scalar_one()
    since = _floor(now) - timedelta(days=PAST_DAYS)
    values: dict[str, Any] = {
        "organization_id": budget.organization_id,
        "project_id": budget.scope_id if budget.scope == "project" else ALL_PROJECTS,
        "key_id": budget.scope_id if budget.scope == "key" else None,
        "since": since,
    }
    spent = {row.bucket: float(row.amount_usd) for row in executor.execute(_HOURS, values)}
    return project(budget, hours_of(spent, since, now), now)


def hours_of(spent: dict[datetime, float], since: datetime, now: datetime) -> list[float]:
    """The cost of each full hour since the first with any spending; the current hour is left out."""
    moments = [since + timedelta(hours=number) for number in range(int((_floor(now) - since) / timedelta(hours=1)))]
    series = [max(0.0, spent.get(moment, 0.0)) for moment in moments]
    first = next((number for number, amount in enumerate(series) if amount > 0), len(series))
    return series[first:]


def project(budget: Budget, hours: Sequence[float], now: datetime) -> Forecast:
    """Draw the rest of the period from `hours`, the newest last. The same hours give the same forecast."""
    end = period_end(budget, now)
    recent = hours[-_WEEK:]
    burn = to_money(Decimal(str(sum(recent) / len(recent) * _DAY))) if recent else to_money(Decimal(0))
    if len(hours) < HOURS_MIN:
        return Forecast(now, end, len(hours), burn, None, None, None)
    ahead = math.ceil(((end or now + _HORIZON) - now) / timedelta(hours=1))
    room = float(budget.limit_usd - budget.spent_usd)
    totals: list[float] = []
    times: list[float] = []
    # Not a secret: the same past must always give the same forecast.
    source = random.Random(20_261_130)  # noqa: S311
    for _ in range(DRAWS):
        path = list(accumulate(draw(hours, ahead, source)))
        totals.append(path[-1])
        times.append(_crossing(path, room))
    totals.sort()
    times.sort()
    spent = budget.spent_usd
    low, middle, high = (to_money(spent + Decimal(str(totals[int(DRAWS * share)]))) for share in (0.1, 0.5, 0.9))
    early, median, late = (_moment(now, times[int(DRAWS * share)]) for share in (0.1, 0.5, 0.9))
    reached = sum(math.isfinite(each) for each in times) / DRAWS
    return Forecast(now, end, len(hours), burn, Interval(low, middle, high), (early, median, late), reached)


def draw(hours: Sequence[float], ahead: int, source: random.Random) -> list[float]:
    """Draw `ahead` future hours from blocks of the past that start at the same hour of the day as their new place.

    The blocks are days when there is at least a week of history, else a few hours.
    """
    whole_days = len(hours) >= _WEEK
    block = _DAY if whole_days else max(1, len(hours) // 8)
    drawn: list[float] = []
    while len(drawn) < ahead:
        if whole_days:
            # The hour that follows the past has the position len(hours) % 24 in the day.
            phase = (len(hours) + len(drawn)) % _DAY
            starts = range(phase, len(hours) - block + 1, _DAY)
            start = source.choice(starts) if starts else 0
        else:
            start = source.randrange(len(hours) - block + 1)
        drawn.extend(hours[start : start + block])
    return drawn[:ahead]


def period_end(budget: Budget, now: datetime) -> datetime | None:
    """When the current period ends; None for a budget without periods."""
    if budget.period == "total":
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if budget.period == "day":
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


def _crossing(path: Sequence[float], room: float) -> float:
    """The hours until more than `room` is spent; infinite when it never is."""
    if room <= 0:
        return 0.0
    return next((number + 1.0 for number, total in enumerate(path) if total >= room), math.inf)


def _moment(now: datetime, hours: float) -> datetime | None:
    return now + timedelta(hours=hours) if math.isfinite(hours) else None


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
