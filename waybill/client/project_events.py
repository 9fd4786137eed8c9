"""Following everything that happens in a project, over as many connections as it takes."""

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from waybill.client.errors import ApiProblem, ApiUnreachable, EventsLost
from waybill.client.events import IDLE_SECONDS, PASSING_STATUSES
from waybill.client.models import Event
from waybill.client.retry import backoff_seconds
from waybill.client.sse import Decoder, ServerSentEvent
from waybill.client.transport import Transport

GAP = "gap"
_OPENED = "stream.opened"


class ProjectEvent(Event):
    """An event of one of the project's jobs. `cursor` resumes after it; `id` counts within the job.

    An event of the type ``gap`` belongs to no job: retention has taken a part of the history asked for.
    """

    id: int = 0
    cursor: str = ""
    capability: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)


class Events:
    """What happens in the key's project."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def stream(
        self,
        *,
        after: str | None = None,
        types: Sequence[str] = (),
        capabilities: Sequence[str] = (),
        states: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        follow: bool = True,
        give_up_seconds: float = 60.0,
        on_reconnect: Callable[[str], None] | None = None,
    ) -> Iterator[ProjectEvent]:
        """Yield the project's events after the cursor `after`, each once; from now on when it is None.

        "0" is the beginning of what is kept. Ends only when `follow` is False. Raises `EventsLost` when nothing could
        be received for `give_up_seconds`, and `ApiProblem` when the API refuses (a revoked key, a filter it does not
        know).
        """
        params: dict[str, Any] = {
            "type": list(types),
            "capability": list(capabilities),
            "state": list(states),
            **{f"metadata.{name}": value for name, value in (metadata or {}).items()},
        }
        if not follow:
            params["follow"] = "false"
        reader = _Reader(self._transport, params, after)
        while True:
            reason = yield from reader.read()
            if reason is None and not follow:
                return
            reason = reason or "the server closed the stream"
            if time.monotonic() - reader.heard_at > give_up_seconds:
                raise EventsLost(reader.cursor, reason)
            if on_reconnect is not None:
                on_reconnect(reason)
            time.sleep(next(reader.delays))


class _Reader:
    """What lasts from one connection to the next: the cursor, and when something was heard."""

    def __init__(self, transport: Transport, params: Mapping[str, Any], after: str | None) -> None:
        self.cursor = after
        self._transport = transport
        self._params = params
        self._restart_clock()

    def read(self) -> Generator[ProjectEvent, None, str | None]:
        """Yield one connection's events; returns why it broke, or None when the server ended it."""
        decoder = Decoder()
        try:
            with self._transport.stream("/v1/events", self._headers(), self._params, IDLE_SECONDS) as response:
                for chunk in response.iter_bytes():
                    self._restart_clock()
                    for found in decoder.feed(chunk):
                        self.cursor = found.id or self.cursor
                        event = _parse(found)
                        if event is not None:
                            yield event
                    # A keep-alive brings a cursor as well, and no event.
                    self.cursor = decoder.last_id or self.cursor
        except ApiUnreachable as error:
            return error.reason
        except ApiProblem as problem:
            if problem.status not in PASSING_STATUSES:
                raise
            return problem.detail
        return None

    def _headers(self) -> dict[str, str]:
        resume = {"Last-Event-ID": self.cursor} if self.cursor else {}
        return {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store", **resume}

    def _restart_clock(self) -> None:
        self.heard_at = time.monotonic()
        self.delays = backoff_seconds(0.1, 3.0)


def _parse(found: ServerSentEvent) -> ProjectEvent | None:
    if found.event == _OPENED:
        return None
    try:
        if found.event == GAP:
            return ProjectEvent(type=GAP, data=json.loads(found.data))
        return ProjectEvent.model_validate(json.loads(found.data))
    except (ValueError, ValidationError):
        return None
