"""Events of a job, and of a project."""

from datetime import datetime
from typing import Any

from pydantic import Field

from waybill.client.models.base import Resource
from waybill.client.models.jobs import TERMINAL_STATES

FINAL_EVENTS = frozenset(f"job.{state}" for state in TERMINAL_STATES)
GAP = "gap"


class Event(Resource):
    """One event of a job. Ids rise within a job, with jumps."""

    id: int
    type: str
    job_id: str = ""
    attempt: int = 0
    data: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing follows this event."""
        return self.type in FINAL_EVENTS


class ProjectEvent(Event):
    """An event of one of the project's jobs. `cursor` resumes after it; `id` counts within the job.

    An event of the type ``gap`` belongs to no job: retention has taken a part of the history asked for.
    """

    id: int = 0
    cursor: str = ""
    capability: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
