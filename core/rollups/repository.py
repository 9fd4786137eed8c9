"""The SQL that reads roll-ups. Every statement names the organization; sketches are added up in Postgres."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.kit.db import Executor, execute_all
from core.kit.money import ZERO
from core.ledger.reports.records import Reach
from core.rollups.records import Grain


class Dimension(StrEnum):
    """By what roll-ups can be grouped. Jobs have no model and no key of their own: their calls have."""

    CAPABILITY = "capability"
    PROJECT = "project"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Selection:
    """Buckets of one grain from `begins` on and before `ends`."""

    reach: Reach
    grain: Grain
    begins: datetime
    ends: datetime


# A group's values, and the bucket's beginning in a series (None in a total).
Place = tuple[tuple[Any, ...], datetime | None]


@dataclass(slots=True)
class Figures:
    """What a group's jobs and calls add up to. `wait`, `duration` and `call_duration` are sketches of seconds."""

    jobs: dict[str, int]
    failures: int
    outages: int
    wait: dict[int, int]
    duration: dict[int, int]
    calls: int
    estimated_calls: int
    lost_calls: int
    unpriced_calls: int
    amount_usd: Decimal
    quantities: dict[str, int]
    call_duration: dict[int, int]

    @classmethod
    def empty(cls) -> "Figures":
        """Of nothing."""
        return cls({}, 0, 0, {}, {}, 0, 0, 0, 0, ZERO, {}, {})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs of a project and capability that have not ended, as counted at `counted_at`."""

    project_id: UUID
    capability: str
    state: str
    jobs: int
    oldest_at: datetime
    counted_at: datetime


_COLUMNS = {
    Dimension.CAPABILITY: ("capability",),
    Dimension.PROJECT: ("project_id",),
    Dimension.MODEL: ("provider", "model", "model_version"),
    Dimension.KEY: ("key_id",),
}
OF_CALLS_ONLY = frozenset({Dimension.MODEL, Dimension.KEY})
_WHERE = (
    "organization_id = :organization_id AND grain = :grain AND bucket >= :begins AND bucket < :ends"
    " AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)"
)
_BACKLOG = text("""
SELECT project_id, capability, state::text, jobs, oldest_at, counted_at FROM job_backlog
WHERE organization_id = :organization_id AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)
ORDER BY capability, project_id, state
""")
_AS_OF = text("SELECT advanced_at FROM rollup_cursor")


def read(
    executor: Executor, selection: Selection, dimension: Dimension | None, *, series: bool
) -> dict[Place, Figures]:
    """The figures of each group, or with `series` of each group and bucket. Buckets without anything are left out."""
    of_jobs = dimension not in OF_CALLS_ONLY
    statements = _statements(dimension, series=series)
    wanted = statements if of_jobs else statements[2:]
    parameters = _parameters(selection)
    results = execute_all(executor, [(text(statement), parameters) for statement in wanted])
    found: dict[Place, Figures] = defaultdict(Figures.empty)
    width = len(_COLUMNS[dimension]) if dimension else 0
    if of_jobs:
        for row in results[0]:
            figures = found[_place(row, width, series=series)]
            figures.jobs[row.state] = row.jobs
            figures.failures += row.failures
            figures.outages += row.outages
        for row in results[1]:
            figures = found[_place(row, width, series=series)]
            getattr(figures, row.sketch)[row.number] = row.count
    calls, parts = results[-2:]
    for row in calls:
        if not row.calls and not row.amount_usd:  # a sum over nothing is a row, too
            continue
        figures = found[_place(row, width, series=series)]
        figures.calls, figures.estimated_calls, figures.lost_calls = row.calls, row.estimated_calls, row.lost_calls
        figures.unpriced_calls, figures.amount_usd = row.unpriced_calls, row.amount_usd
    for row in parts:
        figures = found[_place(row, width, series=series)]
        if row.part == "duration":
            figures.call_duration[int(row.name)] = int(row.total)
        else:
            figures.quantities[row.name] = int(row.total)
    return dict(found)


def backlog(executor: Executor, reach: Reach) -> list[Waiting]:
    """Jobs that have not ended, as they were last counted."""
    values = {"organization_id": reach.organization_id, "project_id": reach.project_id}
    return [Waiting(*tuple(row)) for row in executor.execute(_BACKLOG, values)]


def _statements(dimension: Dimension | None, *, series: bool) -> tuple[str, str, str, str]:
    columns = [*(_COLUMNS[dimension] if dimension else ()), *(("bucket",) if series else ())]
    named = "".join(f"{column}, " for column in columns)
    by = ", ".join([*columns])
    group = f" GROUP BY {by}" if by else ""
    also = f" GROUP BY {named}"
    return (
        (
            f"SELECT {named}state, sum(jobs)::bigint AS jobs, sum(failures)::bigint AS failures,"
            f" sum(outages)::bigint AS outages FROM job_rollups WHERE {_WHERE}{also}state"
        ),
        # What failed quickly was not fast: durations are those of successes.
        (
            f"SELECT {named}sketch, key::int AS number, sum(value::bigint)::bigint AS count FROM job_rollups"
            " CROSS JOIN LATERAL (SELECT 'wait' AS sketch, * FROM jsonb_each_text(wait) UNION ALL"
            " SELECT 'duration', * FROM jsonb_each_text(duration) WHERE state = 'succeeded')"
            " AS part (sketch, key, value)"
            f" WHERE {_WHERE}{also}sketch, key"
        ),
        (
            f"SELECT {named}coalesce(sum(calls), 0)::bigint AS calls,"
            " coalesce(sum(estimated_calls), 0)::bigint AS estimated_calls,"
            " coalesce(sum(lost_calls), 0)::bigint AS lost_calls,"
            " coalesce(sum(unpriced_calls), 0)::bigint AS unpriced_calls, coalesce(sum(amount_usd), 0) AS amount_usd"
            f" FROM call_rollups WHERE {_WHERE}{group}"
        ),
        (
            f"SELECT {named}part, key AS name, sum(value::numeric) AS total FROM call_rollups"
            " CROSS JOIN LATERAL (SELECT 'duration' AS part, * FROM jsonb_each_text(duration) UNION ALL"
            " SELECT 'quantities', * FROM jsonb_each_text(quantities)) AS each (part, key, value)"
            f" WHERE {_WHERE}{also}part, key"
        ),
    )


def _parameters(selection: Selection) -> dict[str, Any]:
    return {
        "organization_id": selection.reach.organization_id,
        "project_id": selection.reach.project_id,
        "grain": selection.grain.value,
        "begins": selection.begins,
        "ends": selection.ends,
    }


def _place(row: Any, width: int, *, series: bool) -> Place:
    values = tuple(row)
    return values[:width], values[width] if series else None


def as_of(executor: Executor) -> datetime:
    """When jobs were last added up."""
    moment: datetime = executor.execute(_AS_OF, {}).scalar_one()
    return moment


def columns_of(dimension: Dimension | None) -> Sequence[str]:
    """The columns of a group."""
    return _COLUMNS[dimension] if dimension else ()
