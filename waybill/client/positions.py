"""Where a reader of events stands: what to ask for next, and what a received event means. Nothing here does I/O.

The API numbers events and resumes after ``Last-Event-ID``, so a broken connection costs nothing: the next one begins
after the last event that was taken, and anything older is dropped.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from waybill.client.errors import ClientError, EventsLost, StreamLost
from waybill.client.models import GAP, Event, ProjectEvent
from waybill.client.sse import ServerSentEvent

E = TypeVar("E", bound=Event)
_OPENED = "stream.opened"


class Position(ABC, Generic[E]):
    """A place in a stream at `path`. `resume` is the last id that was taken, None before the first."""

    # Whether the server's closing of the stream is its end, and no accident.
    ends_at_close = False

    def __init__(self, path: str, params: Mapping[str, Any], resume: str | None) -> None:
        self.path = path
        self.params = params
        self.resume = resume

    def headers(self) -> dict[str, str]:
        """The headers of the next connection."""
        resume = {"Last-Event-ID": self.resume} if self.resume else {}
        # Compression would hold back what is small, and events are.
        return {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store", **resume}

    @abstractmethod
    def take(self, found: ServerSentEvent) -> E | None:
        """The event in `found`, and stand after it; None for what is no event, or was taken before."""

    def pass_by(self, last_id: str) -> None:
        """Take note of an id that came without an event."""

    @abstractmethod
    def is_last(self, event: E) -> bool:
        """Whether nothing follows `event`."""

    @abstractmethod
    def lost(self, reason: str) -> ClientError:
        """The error that says that the stream is lost, and where to resume."""


class JobPosition(Position[Event]):
    """A place among the events of one job, after the event `after`."""

    def __init__(self, job_id: str, after: int | str | None) -> None:
        self._job_id = job_id
        self._last = int(after or 0)
        super().__init__(f"/v1/jobs/{job_id}/events", {}, str(self._last) if self._last else None)

    def take(self, found: ServerSentEvent) -> Event | None:
        """A job event with an id above the last."""
        event = parse_event(self._job_id, found)
        if event is None or event.id <= self._last:
            return None
        self._last, self.resume = event.id, str(event.id)
        return event

    def is_last(self, event: Event) -> bool:
        """Whether it ends the job."""
        return event.is_final

    def lost(self, reason: str) -> ClientError:
        """`StreamLost`."""
        return StreamLost(self._job_id, self._last, reason)


class ProjectPosition(Position[ProjectEvent]):
    """A place among the events of a project, after the cursor `after`; now, when it is None."""

    def __init__(self, params: Mapping[str, Any], after: str | None, *, follow: bool) -> None:
        super().__init__("/v1/events", params if follow else {**params, "follow": "false"}, after)
        self.ends_at_close = not follow

    def take(self, found: ServerSentEvent) -> ProjectEvent | None:
        """A project's event; what is sent twice comes twice, which the API does not do."""
        self.pass_by(found.id)
        if found.event == _OPENED:
            return None
        try:
            if found.event == GAP:
                return ProjectEvent(type=GAP, data=json.loads(found.data))
            return ProjectEvent.model_validate(json.loads(found.data))
        except (ValueError, ValidationError):
            return None

    def pass_by(self, last_id: str) -> None:
        """A keep-alive brings a cursor as well, and no event."""
        self.resume = last_id or self.resume

    def is_last(self, event: ProjectEvent) -> bool:  # noqa: ARG002 - a project has no last event
        """Never."""
        return False

    def lost(self, reason: str) -> ClientError:
        """`EventsLost`."""
        return EventsLost(self.resume, reason)


def parse_event(job_id: str, found: ServerSentEvent) -> Event | None:
    """The job event inside a server-sent one, or None for one that is not of this API's form (no numeric id)."""
    if not found.id.isdigit():
        return None
    try:
        body = json.loads(found.data)
        envelope = isinstance(body, dict) and "type" in body
        whole = body if envelope else {"type": found.event, "data": body}
        return Event.model_validate({"id": int(found.id), "job_id": job_id, **whole})
    except (ValueError, ValidationError):
        return None
