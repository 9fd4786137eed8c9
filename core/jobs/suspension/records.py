"""Questions and children as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.jobs.states import TERMINAL, JobState
from core.kit.data_classes import DataClass


@dataclass(frozen=True, slots=True)
class Question:
    """A job's question to a person. It is open until it is answered or times out."""

    job_id: UUID
    key: str
    question: str
    schema: Mapping[str, Any]
    details: Mapping[str, Any] | None
    asked_at: datetime
    due_at: datetime
    value: Any
    answered_by: str | None
    answered_at: datetime | None
    timed_out_at: datetime | None
    # The effect that the answer permits: `write` or `money`; None for a question that is not an approval.
    approves: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can still be answered."""
        return self.answered_at is None and self.timed_out_at is None


@dataclass(frozen=True, slots=True)
class Parent:
    """What a running job passes on to its children, read under the lock of its row; `depth` is 0 for a root."""

    root_id: UUID
    key_id: UUID | None
    submitted_by: str | None
    grants: list[str] | None
    standing: Mapping[str, Any] | None
    priority: int
    deadline_at: datetime | None
    metadata: Mapping[str, str]
    is_cancelled: bool
    now: datetime
    depth: int
    left_usd: Decimal | None
    data_class: DataClass


@dataclass(frozen=True, slots=True)
class Child:
    """A child as its parent sees it. `cost_usd` includes the jobs below it; incomplete unless `is_priced`."""

    key: str
    job_id: UUID
    capability: str
    state: JobState
    reason: str | None
    error: Mapping[str, Any] | None
    result: dict[str, Any] | None
    result_ref: str | None
    cost_usd: Decimal
    is_priced: bool
    is_reported: bool
    data_class: DataClass

    @property
    def has_ended(self) -> bool:
        """Whether it will never change again."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class Node:
    """One job of a tree; `key` is the name under which its parent called it, None at the top."""

    id: UUID
    parent_id: UUID | None
    key: str | None
    depth: int
    capability: str
    state: JobState
    reason: str | None
    cost_usd: Decimal
    is_priced: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
