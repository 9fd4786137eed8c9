"""Policies and reviews as services pass them around."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Verdict = Literal["false_positive", "correct"]


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A version of an organization's policy, or of a project's. `document` is that of `core.guard.policy.GuardPolicy`.

    Where none was ever set, it is version 0, without an id, and its document is that of the template ``off``.
    """

    organization_id: UUID
    project_id: UUID | None
    version: int
    document: dict[str, Any]
    id: UUID | None = None
    created_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A person's review of a finding. `box` holds the text that it was about, sealed; None once it is erased."""

    id: UUID
    project_id: UUID | None
    job_id: UUID | None
    kind: str
    box: bytes | None
    verdict: Verdict
    is_allowed: bool
    reviewed_by: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewReview:
    """A caller's review of a finding of `kind`: the text that was found, and whether to allow it."""

    kind: str
    value: str
    verdict: Verdict
    job_id: UUID | None = None
    allow: bool = False
