"""Hours in which a key spent far more than usual, and what it spent it on.

An hour is compared with the same key's hours of two weeks before, by the modified z-score (Iglewicz and Hoaglin, "How
to Detect and Handle Outliers", 1993): the distance from the median in units of the median absolute deviation, which a
few extreme hours do not move.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from uuid import UUID

from sqlalchemy import text

from core.kit.db import Executor
from core.kit.money import to_money
from core.ledger.reports.records import Reach, Window
from core.rollups.records import ALL_PROJECTS

SCORE_MIN = 6.0
# Below it, or below one and a half times the most expensive earlier hour, an hour is ignored.
AMOUNT_MIN_USD = Decimal("0.10")
_TIMES_HIGHEST = 1.5
# With fewer earlier hours of spending, a key counts as new and is compared with all others.
_HOURS_MIN = 6
BEFORE = timedelta(days=14)
FOUND_MAX = 200
# 1 / the third quartile of the normal distribution: makes the median deviation comparable with a standard deviation.
_CONSISTENCY = 0.6745
# A key that always spends the same has no deviation; a tenth of the median replaces it.
_LEAST_DEVIATION = 0.1
_HOURS = text("""
SELECT bucket, key_id, project_id, capability, provider, model, sum(amount_usd) AS amount_usd FROM call_rollups
WHERE organization_id = :organization_id AND grain = 'hour' AND bucket >= :since AND bucket < :ends
  AND project_id <> :all_projects AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)
GROUP BY 1, 2, 3, 4, 5, 6
""")


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a key spends on."""

    project_id: UUID
    capability: str
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Spending:
    """A key's spending on one part in an hour."""

    at: datetime
    key_id: UUID | None
    part: Part
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class Cause:
    """A part of an hour's excess; `expected_usd` is the median of the hours before."""

    part: Part
    amount_usd: Decimal
    expected_usd: Decimal


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An anomalous hour of a key, with the largest causes first.

    `score` is None for a key that had hardly spent before: its hour was the most expensive of all keys.
    """

    at: datetime
    key_id: UUID | None
    amount_usd: Decimal
    expected_usd: Decimal
    highest_usd: Decimal
    score: float | None
    causes: tuple[Cause, ...]


def anomalies(executor: Executor, reach: Reach, window: Window) -> list[Anomaly]:
    """The anomalous hours of the window, the most expensive first; `FOUND_MAX` at most."""
    rows = executor.execute(
        _HOURS,
        {
            "organization_id": reach.organization_id,
            "project_id": reach.project_id,
            "all_projects": ALL_PROJECTS,
            "since": window.begins - BEFORE,
            "ends": window.ends,
        },
    )
    spendings = [
        Spending(row.bucket, row.key_id, Part(row.project_id, row.capability, row.provider, row.model), row.amount_usd)
        for row in rows
    ]
    return find(spendings, window)[:FOUND_MAX]


def find(spendings: Iterable[Spending], window: Window) -> list[Anomaly]:
    """The anomalous hours among `spendings`, the most expensive first."""
    of_key: dict[UUID | None, dict[datetime, dict[Part, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    for each in spendings:
        of_key[each.key_id][each.at][each.part] = each.amount_usd
    highest = {
        key_id: max((sum(parts.values(), Decimal(0)) for parts in hours.values()), default=Decimal(0))
        for key_id, hours in of_key.items()
    }
    found: list[Anomaly] = []
    for key_id, hours in of_key.items():
        others = max((amount for other, amount in highest.items() if other != key_id), default=None)
        judged = (judge(key_id, at, hours, others) for at in hours if window.begins <= at < window.ends)
        found.extend(anomaly for anomaly in judged if anomaly is not None)
    return sorted(found, key=lambda each: each.amount_usd - each.expected_usd, reverse=True)


def judge(
    key_id: UUID | None,
    at: datetime,
    hours: Mapping[datetime, Mapping[Part, Decimal]],
    others_usd: Decimal | None,
) -> Anomaly | None:
    """The hour `at` as an anomaly, if it is one compared with the hours of spending in the two weeks before it.

    `others_usd` is the most expensive hour of any other key, which a new key is compared with; None without others.
    """
    amount = sum(hours[at].values(), Decimal(0))
    if amount < AMOUNT_MIN_USD:
        return None
    active = {moment: parts for moment, parts in hours.items() if at - BEFORE <= moment < at}
    before = [float(sum(parts.values(), Decimal(0))) for parts in active.values()]
    middle = median(before) if before else 0.0
    highest = max(before, default=0.0)
    score = None
    if len(before) < _HOURS_MIN:
        if others_usd is None or amount <= others_usd:
            return None
    else:
        deviation = max(median(abs(each - middle) for each in before), middle * _LEAST_DEVIATION, 1e-9)
        score = round(_CONSISTENCY * (float(amount) - middle) / deviation, 1)
        if score < SCORE_MIN or float(amount) < _TIMES_HIGHEST * highest:
            return None
    expected, most = to_money(Decimal(str(middle))), to_money(Decimal(str(highest)))
    return Anomaly(at, key_id, amount, expected, most, score, _causes(hours[at], active))


def _causes(parts: Mapping[Part, Decimal], before: Mapping[datetime, Mapping[Part, Decimal]]) -> tuple[Cause, ...]:
    expected = {
        part: median(float(hour.get(part, Decimal(0))) for hour in before.values()) if before else 0.0 for part in parts
    }
    causes = [Cause(part, amount, to_money(Decimal(str(expected[part])))) for part, amount in parts.items()]
    return tuple(sorted(causes, key=lambda each: each.amount_usd - each.expected_usd, reverse=True)[:10])
