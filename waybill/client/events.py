"""Following a job's events: one endless-looking iterator over as many connections as it takes.

The API numbers events per job and resumes after ``Last-Event-ID`` (``docs/reference``, *Events*), so a broken
connection costs nothing: the iterator reconnects after the last event it has yielded and drops anything older.
"""

import json
import time
from collections.abc import Callable, Iterator

from pydantic import ValidationError

from waybill.client.errors import ApiProblem, ApiUnreachable, StreamLost
from waybill.client.models import Event
from waybill.client.retry import backoff_seconds
from waybill.client.sse import Decoder, ServerSentEvent
from waybill.client.transport import Transport

# The server sends a comment every 10 s; three missed in a row mean that the connection is dead, whatever TCP believes.
IDLE_SECONDS = 35.0
_NO_CONTENT = 204
_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})


class _Ended(Exception):
    """The server says that there will be no more events (204, which the WHATWG format defines as "do not return")."""


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
    keep-alives included, so at least every ten seconds. Raises `StreamLost` when nothing could be
    received for `give_up_seconds`, and `ApiProblem` when the API refuses (unknown job, bad key).
    """
    last = after
    delays = backoff_seconds(0.1, 3.0)
    heard_at = time.monotonic()
    while True:
        try:
            for event in _connection(transport, job_id, last):
                heard_at = time.monotonic()
                delays = backoff_seconds(0.1, 3.0)
                if on_alive is not None:
                    on_alive()
                if event is None or event.id <= last:
                    continue
                last = event.id
                yield event
                if event.is_final:
                    return
            reason = "the server closed the stream"
        except _Ended:
            return
        except ApiUnreachable as error:
            reason = error.reason
        except ApiProblem as problem:
            if problem.status not in _PASSING_STATUSES:
                raise
            reason = problem.detail
        if time.monotonic() - heard_at > give_up_seconds:
            raise StreamLost(job_id, last, reason)
        if on_reconnect is not None:
            on_reconnect(reason)
        time.sleep(next(delays))


def _connection(transport: Transport, job_id: str, after: int) -> Iterator[Event | None]:
    """One connection's events; None for every sign of life that is not an event (a keep-alive comment)."""
    headers = {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
        "Cache-Control": "no-store",
        **({"Last-Event-ID": str(after)} if after else {}),
    }
    decoder = Decoder()
    with transport.stream(f"/v1/jobs/{job_id}/events", headers, {}, IDLE_SECONDS) as response:
        if response.status_code == _NO_CONTENT:
            raise _Ended
        for chunk in response.iter_bytes():
            yield None
            for found in decoder.feed(chunk):
                yield parse_event(job_id, found)


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
