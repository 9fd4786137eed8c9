"""Annotations and labels as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

LABELS_MAX = 5
NOTE_MAX = 4000


class How(StrEnum):
    """How a job was chosen for the queue."""

    RANDOM = "random"
    UNCERTAIN = "uncertain"
    NAMED = "named"


class Verdict(StrEnum):
    """A person's verdict on a result."""

    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Label:
    """A label by a person or key; with `is_judge`, by a model.

    `expected` is the correct result. Like the note, it is deleted with the job's payload.
    """

    job_id: UUID
    labeler: str
    is_judge: bool
    verdict: Verdict
    expected: dict[str, Any] | None
    note: str | None
    labeled_at: datetime


@dataclass(frozen=True, slots=True)
class Annotation:
    """A job in the queue of its project. It leaves the queue with its `labels_wanted`-th label."""

    job_id: UUID
    capability: str
    how: How
    labels_wanted: int
    labels: int
    created_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether it needs more labels."""
        return self.labels < self.labels_wanted


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of two labelers on the jobs that both labeled: the share, and Cohen's kappa with 95 % bounds.

    `kappa` is None when both give every job the same label, so that chance alone makes them agree.
    """

    labelers: tuple[str, str]
    jobs: int
    share: float
    kappa: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of jobs to label: `count` of a capability that ended since then."""

    capability: str
    count: int
    how: How
    since: datetime
    labels_wanted: int = 1
    model_version: str | None = None
    job_ids: Sequence[UUID] = ()
