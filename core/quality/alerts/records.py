"""Alerts as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from core.quality.signals import Signal


class AlertState(StrEnum):
    """The state of an alert. Until it is closed, its signal raises no other alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Direction(StrEnum):
    """The direction in which a signal moved. For a distribution, only drift is known."""

    LOWER = "lower"
    HIGHER = "higher"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlert:
    """A detected change. `is_worse` is False for a drift, which may be harmless.

    Means are those of the signal, or None for a distribution. `job_ids`: at most ten jobs that moved furthest.
    `evidence` reached `threshold`; its kind depends on the signal's test.
    """

    organization_id: UUID
    capability: str
    model_version: str
    signal: Signal
    direction: Direction
    is_worse: bool
    baseline_version: str
    baseline_mean: float | None
    baseline_jobs: int
    observed_mean: float | None
    observed_jobs: int
    evidence: float
    threshold: float
    began_at: datetime
    job_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(NewAlert):
    """A stored alert. `model_name` and `model_number` are those of the registry's version, if it is one."""

    id: UUID
    state: AlertState
    raised_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None
    reason: str | None
    model_name: str | None
    model_number: int | None
