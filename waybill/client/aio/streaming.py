"""Streams of events: one iterator over as many connections as it takes."""

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from waybill.client.aio.transport import AsyncByteStream, AsyncTransport
from waybill.client.aio.waiting import sleep
from waybill.client.errors import ApiProblem, ApiUnreachable
from waybill.client.models import Event
from waybill.client.positions import Position
from waybill.client.retry import backoff_seconds
from waybill.client.sse import Decoder, ServerSentEvent

E = TypeVar("E", bound=Event)

_LOG = logging.getLogger("waybill.client")
# The server sends a comment every 10 s; three missed in a row mean that the connection is dead, whatever TCP believes.
IDLE_SECONDS = 35.0
_DELAYS_SECONDS = (0.1, 3.0)
_NO_CONTENT = 204
_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})


class AsyncEventStream(Generic[E]):
    """Events in order, each once. Iterate over it; it reconnects by itself after the last event that it took.

    It closes itself at its end. To leave earlier, close it or use it as a context manager. Iteration raises
    `StreamLost` or `EventsLost` when nothing came for `give_up_seconds` after the connection had broken, and
    `ApiProblem` when the API refuses (unknown job, revoked key). `on_reconnect` is called with a reason before each new
    connection, `on_alive` with everything that is received, keep-alives included, so at least every ten seconds, and
    `on_end` once, when everything was taken.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        position: Position[E],
        *,
        give_up_seconds: float = 60.0,
        on_reconnect: Callable[[str], None] | None = None,
        on_alive: Callable[[], None] | None = None,
        on_end: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._transport = transport
        self._position = position
        self._give_up_seconds = give_up_seconds
        self._on_reconnect = on_reconnect
        self._on_alive = on_alive
        self._on_end = on_end
        self._ready: deque[ServerSentEvent] = deque()
        self._bytes: AsyncByteStream | None = None
        self._decoder = Decoder()
        self._is_over = False
        self._broken_at: float | None = None
        self._delays = backoff_seconds(*_DELAYS_SECONDS)

    @property
    def last_event_id(self) -> str | None:
        """The position to resume from, for `after`. None before the first event."""
        return self._position.resume

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while True:
            event = self._next_ready()
            if event is not None:
                if self._position.is_last(event):
                    await self.close()
                return event
            if self._is_over:
                await self._end()
                raise StopAsyncIteration
            await self._read()

    async def close(self) -> None:
        """End the stream."""
        self._is_over = True
        self._ready.clear()
        await self._disconnect()

    async def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            await on_end()

    async def _read(self) -> None:
        asked = 0.0
        try:
            if self._bytes is None:
                await self._connect()
            chunk = await self._bytes.read() if self._bytes is not None else None
        except ApiUnreachable as error:
            reason = error.reason
        except ApiProblem as problem:
            if problem.status not in _PASSING_STATUSES:
                await self.close()
                raise
            reason, asked = problem.detail, problem.retry_after_seconds or 0.0
        else:
            if chunk is not None:
                self._take(chunk)
                return
            reason = "the server closed the stream"
            self._is_over = self._is_over or self._position.ends_at_close
        await self._disconnect()
        if not self._is_over:
            await self._pause(reason, asked)

    async def _connect(self) -> None:
        position = self._position
        self._decoder = Decoder()
        self._bytes = await self._transport.stream(position.path, position.headers(), position.params, IDLE_SECONDS)
        # The WHATWG format gives 204 this meaning: do not come back.
        self._is_over = self._bytes.status == _NO_CONTENT

    def _take(self, chunk: bytes) -> None:
        self._broken_at = None
        self._delays = backoff_seconds(*_DELAYS_SECONDS)
        if self._on_alive is not None:
            self._on_alive()
        self._ready.extend(self._decoder.feed(chunk))

    def _next_ready(self) -> E | None:
        # The position moves when an event is handed out, so a reader that stops in between resumes there.
        while self._ready:
            event = self._position.take(self._ready.popleft())
            if event is not None:
                return event
        self._position.pass_by(self._decoder.last_id)
        return None

    async def _pause(self, reason: str, asked_seconds: float) -> None:
        now = time.monotonic()
        self._broken_at = now if self._broken_at is None else self._broken_at
        if now + asked_seconds - self._broken_at >= self._give_up_seconds:
            await self.close()
            raise self._position.lost(reason)
        if self._on_reconnect is not None:
            self._on_reconnect(reason)
        delay = asked_seconds + next(self._delays)
        _LOG.debug("%s broke after %s: %s; connecting again in %.2f s", *self._where(), reason, delay)
        await sleep(delay)

    def _where(self) -> tuple[str, str]:
        return self._position.path, self._position.resume or "nothing"

    async def _disconnect(self) -> None:
        stream, self._bytes = self._bytes, None
        if stream is not None:
            await stream.close()
