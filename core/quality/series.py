"""Series and summaries of signals, from their hourly sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.ledger.reports.records import GROUPS_MAX, Reach, Window
from core.quality.signals import DEFINITIONS, Signal
from core.quality.statistics.intervals import interval_of
from core.registry.experiments.statistics.means import Interval
from core.registry.experiments.statistics.moments import Moments


class Step(StrEnum):
    """Length of an interval. Days are UTC days."""

    HOUR = "hour"
    DAY = "day"


class Group(StrEnum):
    """The dimensions of lines, in addition to capability and signal."""

    MODEL_VERSION = "model_version"
    PROMPT_VERSION = "prompt_version"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs to include: by owner, end time, capabilities and versions; None or empty: all."""

    reach: Reach
    window: Window
    capabilities: Sequence[str] | None = None
    signals: Sequence[Signal] = ()
    model_version: str | None = None
    prompt_version: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A signal over some jobs. Dimensions that are not grouped by are None, and so is `start` of a summary.

    `model_name` and `model_number` are those of the registry's version, if it is one.
    """

    capability: str
    signal: Signal
    model_version: str | None
    model_name: str | None
    model_number: int | None
    prompt_version: str | None
    project_id: UUID | None
    start: datetime | None
    interval: Interval


_COLUMNS = {Group.MODEL_VERSION: "model_version", Group.PROMPT_VERSION: "prompt_version", Group.PROJECT: "project_id"}


def summarize(session: Executor, selection: Selection, groups: Sequence[Group]) -> list[Point]:
    """One point for each signal, capability and group, over the whole window. Raises the same error as `series`."""
    return _read(session, selection, groups, None)


def series(session: Executor, selection: Selection, groups: Sequence[Group], step: Step) -> list[Point]:
    """Points in the order of capability, signal, group and time.

    Raises `Unprocessable` (``report_too_large``) when there are more than 10,000.
    """
    return _read(session, selection, groups, step)


def _read(session: Executor, selection: Selection, groups: Sequence[Group], step: Step | None) -> list[Point]:
    parameters = {
        "organization_id": selection.reach.organization_id,
        "project_id": selection.reach.project_id,
        "begins": selection.window.begins,
        "ends": selection.window.ends,
        "capabilities": None if selection.capabilities is None else list(selection.capabilities),
        "signals": [each.value for each in selection.signals] or None,
        "model_version": selection.model_version,
        "prompt_version": selection.prompt_version,
        "limit": GROUPS_MAX + 1,
    }
    rows = list(session.execute(_statement(frozenset(groups), step), parameters))
    if len(rows) > GROUPS_MAX:
        message = f"that makes more than {GROUPS_MAX:,} points; ask for a shorter time, a longer step, or one signal"
        problem = {"path": "query.from", "code": "report_too_large", "message": message}
        raise Unprocessable(f"query.from: {message}", code="report_too_large", errors=[problem])
    return [_to_point(row) for row in rows]


def _statement(groups: frozenset[Group], step: Step | None) -> TextClause:
    """The names in it come only from the closed lists above."""
    of_group = {group: _COLUMNS[group] if group in groups else "NULL" for group in Group}
    start = "NULL::timestamptz" if step is None else f"date_trunc('{step.value}', hour, 'UTC')"
    return text(f"""
WITH summed AS (
  SELECT capability, signal, {of_group[Group.MODEL_VERSION]}::text AS model_version,
    {of_group[Group.PROMPT_VERSION]}::text AS prompt_version, {of_group[Group.PROJECT]}::uuid AS project_id,
    {start} AS start, sum(jobs)::bigint AS jobs, sum(denominators) AS denominators, sum(numerators) AS numerators,
    sum(numerators_squared) AS numerators_squared, sum(products) AS products,
    sum(denominators_squared) AS denominators_squared
  FROM quality_hours
  WHERE organization_id = :organization_id AND hour < CAST(:ends AS timestamptz)
    AND hour >= date_trunc('hour', CAST(:begins AS timestamptz), 'UTC')
    AND (CAST(:project_id AS uuid) IS NULL OR project_id = CAST(:project_id AS uuid))
    AND (CAST(:capabilities AS text[]) IS NULL OR capability = ANY(CAST(:capabilities AS text[])))
    AND (CAST(:signals AS text[]) IS NULL OR signal = ANY(CAST(:signals AS text[])))
    AND (CAST(:model_version AS text) IS NULL OR model_version = CAST(:model_version AS text))
    AND (CAST(:prompt_version AS text) IS NULL OR prompt_version = CAST(:prompt_version AS text))
  GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(jobs) > 0
)
SELECT summed.*, model.name AS model_name, version.number AS model_number FROM summed
LEFT JOIN model_versions AS version ON typeid('mver', version.id) = summed.model_version
LEFT JOIN models AS model ON model.id = version.model_id
ORDER BY capability, signal, model_version, prompt_version, summed.project_id, start LIMIT :limit
""")


def _to_point(row: Row[Any]) -> Point:
    moments = Moments(
        row.jobs,
        row.denominators,
        row.numerators,
        row.numerators_squared,
        row.products,
        row.denominators_squared,
    )
    signal = Signal(row.signal)
    return Point(
        row.capability,
        signal,
        row.model_version,
        row.model_name,
        row.model_number,
        row.prompt_version,
        row.project_id,
        row.start,
        interval_of(DEFINITIONS[signal].kind, moments),
    )
