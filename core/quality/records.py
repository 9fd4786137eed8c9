"""Ended jobs as the collection reads them, and their context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.jobs.states import JobState


@dataclass(frozen=True, slots=True)
class Context:
    """The dimensions of a job's signals. `model_version` is a version's id, or a name; empty without a model call.

    `prompt_version` is a digest; empty when the result names no prompt. Shadow jobs are left out of series and alerts.
    """

    job_id: UUID
    organization_id: UUID
    project_id: UUID
    capability: str
    model_version: str
    prompt_version: str
    arm_id: UUID | None
    is_shadow: bool
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class EndedJob:
    """An ended job, with the facts that signals are derived from. Payloads are None once they are erased."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    capability: str
    state: JobState
    failures: int
    outages: int
    started_at: datetime | None
    finished_at: datetime
    is_shadow: bool
    arm_id: UUID | None
    model: str | None
    model_version: str | None
    input: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    tools_called: int
    tools_finished: int
    has_findings: bool
    answers: Sequence[Any]
    feedback: float | None
    labeled_good: float | None
    judged_good: float | None
