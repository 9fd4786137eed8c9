"""Ended jobs in the global order of events (ADR 17), for periodic tasks that process each of them once."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.jobs.conditions import ENDED_EVENT

_TAKE = text("SELECT position, job_id, event_id FROM event_cursors WHERE reader = :reader FOR UPDATE SKIP LOCKED")
_MOVE = text("""
UPDATE event_cursors SET position = :position, job_id = :job_id, event_id = :event_id, moved_at = now()
WHERE reader = :reader
""")
_SEEN = text("UPDATE event_cursors SET moved_at = now() WHERE reader = :reader")
# No event below the horizon of this statement's snapshot can appear later.
_ENDED = text(f"""
SELECT position, job_id, id AS event_id FROM job_events
WHERE {ENDED_EVENT} AND (position, job_id, id) > (:position, :job_id, :event_id) AND position < events_horizon()
ORDER BY position, job_id, id LIMIT :limit
""")


class Reader(StrEnum):
    """The readers of ended jobs; each has its own cursor."""

    ROLLUPS = "rollups"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Ending:
    """The event that ended a job: its place in the order of events."""

    position: int
    job_id: UUID
    event_id: int


def take_cursor(session: Session, reader: Reader) -> Ending | None:
    """The position that `reader` has reached, held until the transaction ends; None while another process holds it."""
    row = session.execute(_TAKE, {"reader": reader.value}).one_or_none()
    return None if row is None else Ending(*tuple(row))


def ended_after(session: Session, after: Ending, limit: int) -> Sequence[Ending]:
    """The ends of jobs after `after`, in order, at most `limit`, of every organization."""
    parameters = {"position": after.position, "job_id": after.job_id, "event_id": after.event_id, "limit": limit}
    return [Ending(*tuple(row)) for row in session.execute(_ENDED, parameters)]


def move_cursor(session: Session, reader: Reader, to: Ending | None) -> None:
    """Record that `reader` has processed everything up to `to`; None records that there was nothing more."""
    if to is None:
        session.execute(_SEEN, {"reader": reader.value})
        return
    place = {"position": to.position, "job_id": to.job_id, "event_id": to.event_id}
    session.execute(_MOVE, {**place, "reader": reader.value})
