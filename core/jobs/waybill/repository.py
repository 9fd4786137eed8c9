"""What a waybill reads of a job beyond its record: digests, and the events that tell its story."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.keys.principal import Principal
from core.kit.db import Executor

# A job of more steps than this has a waybill that says how many it leaves out.
EVENTS_MOST = 5_000

_DIGESTS = text("SELECT input_digest, result_digest, now() AS at FROM jobs WHERE id = :id AND project_id = :project_id")
_STORY = text(
    "SELECT type, attempt, data, created_at FROM job_events WHERE job_id = :id AND organization_id = :organization_id"
    " AND (type LIKE 'step.%' OR type IN ('job.queued', 'job.started', 'job.waiting', 'job.succeeded', 'job.failed',"
    " 'job.cancelled', 'job.expired', 'job.rejected')) ORDER BY id LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the job's story."""

    type: str
    attempt: int
    data: dict[str, Any]
    at: datetime


def digests(session: Executor, principal: Principal, job_id: UUID) -> tuple[bytes | None, bytes | None, datetime]:
    """SHA-256 of the job's input and of its result, where they are known, and the database's time."""
    return tuple(session.execute(_DIGESTS, {"id": job_id, "project_id": principal.project_id}).one())


def story(session: Executor, principal: Principal, job_id: UUID) -> list[Moment]:
    """Starts, ends and steps of the job's attempts, in order; at most one more than `EVENTS_MOST`."""
    scope = {"id": job_id, "organization_id": principal.organization_id, "most": EVENTS_MOST + 1}
    return [Moment(*tuple(row)) for row in session.execute(_STORY, scope)]
