"""Following a job's events: one endless-looking iterator over as many connections as it takes.

The API numbers events per job and resumes after ``Last-Event-ID`` (``docs/reference``, *Events*), so a broken
connection costs nothing: the iterator reconnects after the last event it has yielded and drops anything older.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator

from pydantic import ValidationError

from waybill.client.errors import ApiProblem, ApiUnreachable, StreamLost
from waybill.client.models import Event
from waybill.client.retry import backoff_seconds
from waybill.client.sse import Decoder, ServerSentEvent
from waybill.client.transport import Transport

# The server sends a comment every 10 s; three missed in a row mean that the connection is dead, whatever TCP believes.
IDLE_SECONDS = 35.0
_NO_CONTENT = 204
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})


def follow(
    transport: Transport,
    job_id: str,
    *,
    after: int = 0,
    give_up_seconds: float = 60.0,
    on_reconnect: Callable[[str], None] | None = None,
    on_alive: Callable[[], None] | None = None,
) -> Iterator[Event]:
    """Yield the job's events with ids above `after`, in order, each once, until the one that ends the job.

    `on_reconnect` is called with a reason before each new connection, and `on_alive` with everything that is received,
    keep-alives included, so at least every ten seconds. Raises `StreamLost` when nothing could be received for
    `give_up_seconds`, and `ApiProblem` when the API refuses (unknown job, bad key).
    """
    reader = _Reader(transport, job_id, after, on_alive)
    while True:
        reason = yield from reader.read()
        if reason is None:
            return
        if time.monotonic() - reader.heard_at > give_up_seconds:
            raise StreamLost(job_id, reader.last, reason)
        if on_reconnect is not None:
            on_reconnect(reason)
        time.sleep(next(reader.delays))


class _Reader:
    """What lasts from one connection to the next: the last event id, and when something was heard."""

    def __init__(self, transport: Transport, job_id: str, after: int, on_alive: Callable[[], None] | None) -> None:
        self.last = after
        self._transport = transport
        self._job_id = job_id
        self._on_alive = on_alive
        self._restart_clock()

    def read(self) -> Generator[Event, None, str | None]:
        """Yield one connection's new events; returns why it ended, or None when there is nothing left to come."""
        try:
            with self._transport.stream(
                f"/v1/jobs/{self._job_id}/events", self._headers(), {}, IDLE_SECONDS
            ) as response:
                # The WHATWG format gives 204 this meaning: do not come back.
                if response.status_code == _NO_CONTENT:
                    return None
                for event in self._events(response.iter_bytes()):
                    yield event
                    if event.is_final:
                        return None
        except ApiUnreachable as error:
            return error.reason
        except ApiProblem as problem:
            if problem.status not in PASSING_STATUSES:
                raise
            return problem.detail
        return "the server closed the stream"

    def _events(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        decoder = Decoder()
        for chunk in chunks:
            self._restart_clock()
            if self._on_alive is not None:
                self._on_alive()
            for found in decoder.feed(chunk):
                event = parse_event(self._job_id, found)
                if event is not None and event.id > self.last:
                    self.last = event.id
                    yield event

    def _headers(self) -> dict[str, str]:
        resume = {"Last-Event-ID": str(self.last)} if self.last else {}
        # Compression would hold back what is small, and events are.
        return {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store", **resume}

    def _restart_clock(self) -> None:
        self.heard_at = time.monotonic()
        self.delays = backoff_seconds(0.1, 3.0)


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
