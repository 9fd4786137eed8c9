"""Events of a project in their total order, and the cursors that name a place in it (ADR 17)."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from core.jobs.records import Event
from core.jobs.states import JobState
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import JOB, encode
from core.kit.json_values import dumps

_LAYOUT = Struct(">BQ16sQ")
_KIND = 1
_CURSOR = re.compile(r"[A-Za-z0-9_-]{44}")


class Place(NamedTuple):
    """A place in the order of events. Places compare as the database orders the events."""

    position: int
    job_id: UUID
    event_id: int

    def cursor(self) -> str:
        """The place as clients see it: opaque, 44 characters."""
        return urlsafe_b64encode(_LAYOUT.pack(_KIND, self.position, self.job_id.bytes, self.event_id)).decode()


BEGINNING = Place(0, UUID(int=0), 0)


def parse_cursor(text: str) -> Place:
    """The inverse of `Place.cursor`.

    "0" is the beginning of the persisted events. Raises ValueError for anything else.
    """
    if text == "0":
        return BEGINNING
    if not _CURSOR.fullmatch(text):
        raise ValueError("not a cursor")
    kind, position, job, event = _LAYOUT.unpack(urlsafe_b64decode(text))
    if kind != _KIND or max(position, event) >= 1 << 63:
        raise ValueError("not a cursor")
    return Place(position, UUID(bytes=job), event)


def before_position(position: int) -> Place:
    """The place just below all events of `position`."""
    return Place(position, UUID(int=0), 0)


@dataclass(frozen=True, slots=True)
class ProjectEvent:
    """An event, and its job's attributes at the time of reading."""

    place: Place
    event: Event
    capability: str
    state: JobState
    metadata: Mapping[str, str]
    data_class: DataClass

    def frame(self, clearance: DataClass) -> bytes:
        """It as a server-sent event; its id is the cursor that resumes after it. Without data above `clearance`."""
        event = self.event
        data = {
            "cursor": self.place.cursor(),
            "id": event.id,
            "job_id": encode(JOB, event.job_id),
            "capability": self.capability,
            "metadata": self.metadata,
            "data_class": self.data_class,
            "type": event.type,
            "attempt": event.attempt,
            "created_at": isoformat(event.created_at),
            "data": event.data if self.data_class.is_within(clearance) else {},
        }
        return f"id: {data['cursor']}\nevent: {event.type}\ndata: ".encode() + dumps(data) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a stream includes; empty means all. `states` is the job's state when the event is sent."""

    types: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    states: frozenset[JobState] = frozenset()
    metadata: Mapping[str, str] | None = None

    def admits(self, found: ProjectEvent) -> bool:
        """Whether the stream includes `found`."""
        return (
            (not self.types or found.event.type in self.types)
            and (not self.capabilities or found.capability in self.capabilities)
            and (not self.states or found.state in self.states)
            and all(found.metadata.get(name) == value for name, value in (self.metadata or {}).items())
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """The result of one read of the database.

    `events` are final and in order. `end` is the place up to which nothing is missing. `is_cut`: more can be read
    immediately. `is_held`: younger events wait for an open transaction.
    """

    events: tuple[ProjectEvent, ...]
    end: Place
    is_cut: bool
    is_held: bool
    lost_below: int

    def has_lost(self, after: Place) -> bool:
        """Whether retention may have dropped events after the place `after`, from which the page was read.

        A reader that starts at the beginning of the persisted events misses nothing.
        """
        return after > BEGINNING and after.position <= self.lost_below
