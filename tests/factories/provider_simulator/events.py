"""One event of a stream, as it goes over the wire."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """`raw` is the whole event with its empty line; `text` what the model produced in it, None when nothing."""

    raw: str
    text: str | None = None
