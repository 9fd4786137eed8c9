"""The SQL that reads roll-ups. Every statement names the organization."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from core.kit.db import Executor, execute_all
from core.kit.money import ZERO
from core.ledger.reports.records import Reach
from core.rollups.records import ALL_PROJECTS, Grain
from core.rollups.sketch import from_json


class Dimension(StrEnum):
    """The dimensions of roll-ups. Model and key belong to calls, not to jobs."""

    CAPABILITY = "capability"
    PROJECT = "project"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Selection:
    """Buckets of one grain at or after `begins` and before `ends`."""

    reach: Reach
    grain: Grain
    begins: datetime
    ends: datetime


# A group's values, and the bucket's start.
Place = tuple[tuple[Any, ...], datetime]


@dataclass(slots=True)
class Figures:
    """The sums of a group's jobs and calls. `wait`, `duration` and `call_duration` are sketches of seconds."""

    jobs: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    outages: int = 0
    wait: Counter[int] = field(default_factory=Counter)
    duration: Counter[int] = field(default_factory=Counter)
    calls: int = 0
    estimated_calls: int = 0
    lost_calls: int = 0
    unpriced_calls: int = 0
    amount_usd: Decimal = ZERO
    quantities: Counter[str] = field(default_factory=Counter)
    call_duration: Counter[int] = field(default_factory=Counter)

    def add_jobs(self, row: Row[Any]) -> None:
        """Add a row of ``job_rollups``."""
        self.jobs[row.state] += row.jobs
        self.failures += row.failures
        self.outages += row.outages
        self.wait.update(from_json(row.wait))
        self.duration.update(from_json(row.duration))

    def add_calls(self, row: Row[Any]) -> None:
        """Add a row of ``call_rollups``."""
        self.calls += row.calls
        self.estimated_calls += row.estimated_calls
        self.lost_calls += row.lost_calls
        self.unpriced_calls += row.unpriced_calls
        self.amount_usd += row.amount_usd
        self.quantities.update(row.quantities)
        self.call_duration.update(from_json(row.duration))

    def add(self, other: "Figures") -> None:
        """Add the figures of another group or bucket."""
        for name in self.__dataclass_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, name, mine + theirs)


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
    " AND project_id {projects} :project_id"
)
_BACKLOG = text("""
SELECT project_id, capability, state::text, jobs, oldest_at, counted_at FROM job_backlog
WHERE organization_id = :organization_id AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)
ORDER BY capability, project_id, state
""")
_AS_OF = text("SELECT moved_at FROM event_cursors WHERE reader = 'rollups'")


def read(executor: Executor, selection: Selection, dimension: Dimension | None) -> dict[Place, Figures]:
    """The figures of each group and bucket. Empty buckets are left out."""
    # Grouped by project, each project is read, not their sum.
    is_by_project = dimension is Dimension.PROJECT and selection.reach.project_id is None
    jobs, calls = _statements(dimension, "<>" if is_by_project else "=")
    steps = [(text(calls), _parameters(selection))]
    if dimension not in OF_CALLS_ONLY:
        steps.append((text(jobs), _parameters(selection)))
    found: dict[Place, Figures] = defaultdict(Figures)
    width = len(_COLUMNS[dimension]) if dimension else 0
    of_calls, *of_jobs = execute_all(executor, steps)
    for row in of_calls:
        found[_place(row, width)].add_calls(row)
    for result in of_jobs:
        for row in result:
            found[_place(row, width)].add_jobs(row)
    return dict(found)


def by_group(found: Mapping[Place, Figures]) -> dict[tuple[Any, ...], Figures]:
    """The figures of each group over all buckets."""
    totals: dict[tuple[Any, ...], Figures] = defaultdict(Figures)
    for (values, _), figures in found.items():
        totals[values].add(figures)
    return dict(totals)


def total(found: Mapping[Place, Figures]) -> Figures:
    """The figures of everything."""
    whole = Figures()
    for figures in found.values():
        whole.add(figures)
    return whole


def backlog(executor: Executor, reach: Reach) -> list[Waiting]:
    """Jobs that have not ended, as last counted."""
    values = {"organization_id": reach.organization_id, "project_id": reach.project_id}
    return [Waiting(*tuple(row)) for row in executor.execute(_BACKLOG, values)]


def _statements(dimension: Dimension | None, projects: str) -> tuple[str, str]:
    """Statements of jobs and of calls, unsummed: Postgres takes ten times as long as this process to add sketches."""
    where = _WHERE.format(projects=projects)
    by = "".join(f"{column}, " for column in (_COLUMNS[dimension] if dimension else ()))
    return (
        f"SELECT {by}bucket, state, jobs, failures, outages, wait, duration FROM job_rollups WHERE {where}",
        (
            f"SELECT {by}bucket, calls, estimated_calls, lost_calls, unpriced_calls, amount_usd, quantities, duration"
            f" FROM call_rollups WHERE {where}"
        ),
    )


def _parameters(selection: Selection) -> dict[str, Any]:
    return {
        "organization_id": selection.reach.organization_id,
        "project_id": selection.reach.project_id or ALL_PROJECTS,
        "grain": selection.grain.value,
        "begins": selection.begins,
        "ends": selection.ends,
    }


def _place(row: Any, width: int) -> Place:
    values = tuple(row)
    return values[:width], values[width]


def as_of(executor: Executor) -> datetime:
    """When jobs were last added up."""
    moment: datetime = executor.execute(_AS_OF, {}).scalar_one()
    return moment


def columns_of(dimension: Dimension | None) -> Sequence[str]:
    """The columns of a group."""
    return _COLUMNS[dimension] if dimension else ()
