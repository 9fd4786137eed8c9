"""What a waybill reads of a job beyond its record: digests, and the events of its history."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.keys.principal import Principal
from core.kit.db import Executor

# The waybill of a job with more steps than this states how many it leaves out.
EVENTS_MAX = 5_000

_DIGESTS = text("SELECT input_digest, result_digest, now() AS at FROM jobs WHERE id = :id AND project_id = :project_id")
_STORY = text(
    "SELECT type, attempt, data, created_at FROM job_events WHERE job_id = :id AND organization_id = :organization_id"
    " AND (type LIKE 'step.%' OR type IN ('job.queued', 'job.started', 'job.waiting', 'job.succeeded', 'job.failed',"
    " 'job.cancelled', 'job.expired', 'job.rejected')) ORDER BY id LIMIT :most"
)

_CHILDREN = text("""
SELECT child.id, link.key, child.capability, child.state, child.input_digest, child.result_digest,
  child.cost_usd + below_usd AS cost_usd, usage_is_priced(child.usage) AND below_priced AS is_priced
FROM job_children AS link JOIN jobs AS child ON child.id = link.child_id AND child.project_id = :project_id
CROSS JOIN LATERAL jobs_costs_below(child.id) AS below
WHERE link.parent_id = :id ORDER BY link.position
""")


@dataclass(frozen=True, slots=True)
class ChildFacts:
    """A child's entry in a waybill; the child's own waybill has the rest."""

    id: UUID
    key: str
    capability: str
    state: str
    input_digest: bytes | None
    result_digest: bytes | None
    cost_usd: Decimal
    is_priced: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the job's history."""

    type: str
    attempt: int
    data: dict[str, Any]
    at: datetime


def digests(session: Executor, principal: Principal, job_id: UUID) -> tuple[bytes | None, bytes | None, datetime]:
    """SHA-256 of the job's input and of its result, if known, and the database's time."""
    return tuple(session.execute(_DIGESTS, {"id": job_id, "project_id": principal.project_id}).one())


def story(session: Executor, principal: Principal, job_id: UUID) -> list[Moment]:
    """Starts, ends and steps of the job's attempts, in order; at most one more than `EVENTS_MAX`."""
    scope = {"id": job_id, "organization_id": principal.organization_id, "most": EVENTS_MAX + 1}
    return [Moment(*tuple(row)) for row in session.execute(_STORY, scope)]


def children(session: Executor, principal: Principal, job_id: UUID) -> list[ChildFacts]:
    """The job's children, in the order of their calls."""
    rows = session.execute(_CHILDREN, {"id": job_id, "project_id": principal.project_id})
    return [ChildFacts(*tuple(row)) for row in rows]
