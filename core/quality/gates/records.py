"""Runs and gates as plain data."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NewRun:
    """The reported result of a batch that ran a data set: `checked` cases had an expectation, `passed` met it."""

    batch_id: UUID
    dataset: str
    dataset_digest: str
    checked: int
    passed: int


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run. The version, and the number of `cases`, are those of the batch's jobs."""

    id: UUID
    batch_id: UUID
    dataset: str
    dataset_digest: str
    model_version: str
    cases: int
    checked: int
    passed: int
    recorded_by: str | None
    recorded_at: datetime

    @property
    def share(self) -> float:
        """The share of the checked cases that passed; 0 when none was checked."""
        return self.passed / self.checked if self.checked else 0.0


@dataclass(frozen=True, slots=True)
class Gate:
    """What a version's last run of `dataset` must show: enough checked cases, and a share that passed."""

    model_id: UUID
    dataset: str
    min_share: float
    min_cases: int
    set_by: str | None
    set_at: datetime
