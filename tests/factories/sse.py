"""Reads server-sent events as a client library would, and remembers what came and when."""

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.factories.waiting import wait_until


@dataclass
class Stream:
    """A stream read on a thread of its own until it ends or `close` is called."""

    client: httpx.Client
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    comments: list[tuple[float, str]] = field(default_factory=list)
    response: httpx.Response | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._hung_up = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def ids(self) -> list[int]:
        """The ids received, in order."""
        return [event["id"] for event in self.events]

    @property
    def types(self) -> list[str]:
        """The types received, in order."""
        return [event["type"] for event in self.events]

    @property
    def text(self) -> str:
        """The streamed text of the last attempt seen."""
        text = ""
        for event in self.events:
            if event["type"] == "job.started":
                text = ""
            if event["type"] == "message.delta":
                text += event["data"]["text"]
        return text

    def wait_for(self, event_type: str, count: int = 1, timeout_seconds: float = 10) -> None:
        """Wait until `count` events of a type have come."""
        wait_until(
            lambda: self.types.count(event_type) >= count,
            timeout_seconds=timeout_seconds,
            what=f"{count} {event_type}, got {self.types} {self.error!r}",
        )

    def wait_for_events(self, count: int, timeout_seconds: float = 15) -> None:
        """Wait until `count` events have come, or the stream has ended."""
        wait_until(
            lambda: len(self.events) >= count or not self._thread.is_alive(),
            timeout_seconds=timeout_seconds,
            what=f"{count} events",
            pause_seconds=0.005,
        )

    def hang_up(self) -> None:
        """Read no further event, as a client that lost its connection; what has come stays."""
        self._hung_up = True
        self._thread.join(15)
        assert not self._thread.is_alive()

    def wait_for_end(self, timeout_seconds: float = 15) -> None:
        """Wait until the server ended the stream."""
        self._thread.join(timeout_seconds)
        assert not self._thread.is_alive(), f"the stream did not end; got {self.types}"

    def wait_until_open(self) -> None:
        """Wait for the first byte."""
        wait_until(lambda: bool(self.comments), timeout_seconds=10, what=f"the greeting, {self.error!r}")

    def _read(self) -> None:
        try:
            with self.client.stream("GET", self.path, headers=self.headers, timeout=60) as response:
                self.response = response
                fields: dict[str, str] = {}
                for line in response.iter_lines():
                    if self._hung_up:
                        return
                    self._line(line, fields)
        except httpx.HTTPError as error:
            self.error = error

    def _line(self, line: str, fields: dict[str, str]) -> None:
        if line.startswith(":"):
            self.comments.append((time.monotonic() - self._began, line))
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            event = json.loads(fields["data"])
            assert event["id"] == int(fields["id"])
            assert event["type"] == fields["event"]
            self.events.append(event)
            fields.clear()
        else:
            fields.clear()
