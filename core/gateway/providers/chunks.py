"""Converts a provider's events to the chunks of an answer, for every wire format."""

from collections.abc import Generator, Iterator
from typing import Any, Protocol

from core.gateway.interruptible import interruptible
from core.gateway.models import Check, Chunk
from core.gateway.streams import END, Meter, next_event


class EventReader(Protocol):
    """Reads the events of one wire format."""

    def read(self, event: Any) -> Chunk | None:
        """The visible part of one event, if any. Raises `core.gateway.errors.GatewayError`."""

    def end(self) -> Chunk | None:
        """The parts complete only at the end. Raises `core.gateway.errors.GatewayError` for an answer that was cut."""


def chunks_of(
    events: Iterator[Any], reader: EventReader, meter: Meter, check: Check, failures: tuple[type[Exception], ...]
) -> Generator[Chunk, None, None]:
    """The chunks in order. `check` is called at every event, including those that show nothing."""
    while True:
        # Not around the yield: the caller handles a chunk in its own context and thread.
        with interruptible(check):
            event = next_event(events, meter, failures)
        if event is END:
            break
        chunk = reader.read(event)
        if chunk is None:
            check()
        else:
            yield chunk
    last = reader.end()
    if last is not None:
        yield last
