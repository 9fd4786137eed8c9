"""Response schemas of the quality routes."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.kit.clock import isoformat
from core.kit.ids import JOB, PROJECT, QUALITY_ALERT, encode
from core.ledger.reports.records import Window
from core.quality.alerts.records import Alert as AlertRecord
from core.quality.alerts.records import AlertState, Direction
from core.quality.alerts.service import REASON_MAX
from core.quality.series import Point as PointRecord
from core.quality.series import Step
from core.quality.signals import DEFINITIONS, Kind, Signal, Worse


class Interval(BaseModel):
    """An estimate with its 95 % interval: Wilson's for a rate, a confidence sequence for a score or mean."""

    estimate: float
    low: float | None = Field(description="Null while there is no bound: a mean of fewer than 50 jobs.")
    high: float | None
    jobs: int = Field(description="Number of jobs with the signal.")


class Line(BaseModel):
    """One signal of one group of jobs. Dimensions that are not grouped by are null."""

    capability: str
    signal: Signal
    kind: Kind
    worse: Worse = Field(description="The direction of a change for the worse.")
    unit: str = Field(description="Empty for rates and scores.")
    model_version: str | None = Field(
        description="Id of the version in the registry, or the model's name if it has none. Empty: no model call."
    )
    model: str | None = Field(description="Name of the model in the registry.")
    version: int | None = Field(description="Version number.")
    prompt_version: str | None = Field(description="Digest of the prompt, or of all prompts of the result together.")
    project_id: str | None


class Summary(Line, Interval):
    """A signal over the whole window."""


class QualityReport(BaseModel):
    """Signals of jobs that ended within the window."""

    begins: datetime
    ends: datetime
    data: list[Summary]


class Point(Interval):
    """A signal over the jobs that ended in one hour or day."""

    start: datetime


class Series(Line):
    """A signal over time, without points where no job ended."""

    points: list[Point]


class QualitySeries(BaseModel):
    """The series of the window."""

    begins: datetime
    ends: datetime
    step: Step
    data: list[Series]


class Level(BaseModel):
    """The value of a signal."""

    mean: float | None = Field(description="Null for a distribution. For lengths and times: a geometric mean.")
    jobs: int


class BaselineLevel(Level):
    """The value of the comparison."""

    model_version: str = Field(description="The version that the baseline was learned from, often the previous one.")


class QualityAlert(BaseModel):
    """A change of a version's signal."""

    id: str
    capability: str
    model_version: str = Field(description="Empty for input drift, which is independent of versions.")
    model: str | None
    version: int | None
    signal: Signal
    direction: Direction
    is_worse: bool = Field(description="False for a drift, which may be harmless.")
    state: AlertState
    baseline: BaselineLevel
    observed: Level = Field(description="Of the jobs since `began_at`.")
    evidence: float
    threshold: float
    began_at: datetime = Field(description="Estimated start of the change.")
    raised_at: datetime
    job_ids: list[str] = Field(description="At most ten affected jobs, the most extreme first.")
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None
    reason: str | None


class QualityAlertPage(BaseModel):
    """A page of alerts."""

    data: list[QualityAlert]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class CloseAlert(BaseModel):
    """The reason for closing an alert."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Rolled back to version 3."}]})

    reason: str | None = Field(None, min_length=1, max_length=REASON_MAX)
    is_new_normal: bool = Field(
        False, description="Learn a new baseline from future jobs instead of using the old one."
    )


def to_report(window: Window, points: Sequence[PointRecord]) -> dict[str, Any]:
    """The wire form of a summary."""
    return {**_window(window), "data": [{**_line(each), **_interval(each)} for each in points]}


def to_series(window: Window, step: Step, points: Sequence[PointRecord]) -> dict[str, Any]:
    """The wire form of series; points of one series follow each other."""
    data: list[dict[str, Any]] = []
    for each in points:
        assert each.start is not None
        line = _line(each)
        if not data or any(data[-1][name] != value for name, value in line.items()):
            data.append({**line, "points": []})
        data[-1]["points"].append({"start": isoformat(each.start), **_interval(each)})
    return {**_window(window), "step": step.value, "data": data}


def to_alert(alert: AlertRecord) -> dict[str, Any]:
    """The wire form of an alert."""
    return {
        "id": encode(QUALITY_ALERT, alert.id),
        "capability": alert.capability,
        "model_version": alert.model_version,
        "model": alert.model_name,
        "version": alert.model_number,
        "signal": alert.signal.value,
        "direction": alert.direction.value,
        "is_worse": alert.is_worse,
        "state": alert.state.value,
        "baseline": {
            "model_version": alert.baseline_version,
            "mean": alert.baseline_mean,
            "jobs": alert.baseline_jobs,
        },
        "observed": {"mean": alert.observed_mean, "jobs": alert.observed_jobs},
        "evidence": alert.evidence,
        "threshold": alert.threshold,
        "began_at": isoformat(alert.began_at),
        "raised_at": isoformat(alert.raised_at),
        "job_ids": [encode(JOB, job_id) for job_id in alert.job_ids],
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_at": None if alert.acknowledged_at is None else isoformat(alert.acknowledged_at),
        "closed_by": alert.closed_by,
        "closed_at": None if alert.closed_at is None else isoformat(alert.closed_at),
        "reason": alert.reason,
    }


def _window(window: Window) -> dict[str, Any]:
    return {"begins": isoformat(window.begins), "ends": isoformat(window.ends)}


def _line(point: PointRecord) -> dict[str, Any]:
    definition = DEFINITIONS[point.signal]
    return {
        "capability": point.capability,
        "signal": point.signal.value,
        "kind": definition.kind.value,
        "worse": definition.worse.value,
        "unit": definition.unit,
        "model_version": point.model_version,
        "model": point.model_name,
        "version": point.model_number,
        "prompt_version": point.prompt_version,
        "project_id": None if point.project_id is None else encode(PROJECT, point.project_id),
    }


def _interval(point: PointRecord) -> dict[str, Any]:
    found = point.interval
    return {
        "estimate": found.estimate,
        "low": found.low if math.isfinite(found.low) else None,
        "high": found.high if math.isfinite(found.high) else None,
        "jobs": found.units,
    }
