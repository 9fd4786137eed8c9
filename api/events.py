"""The event stream of a job, and the wait of a long poll."""

import asyncio
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.stream_guard import StreamGuard
from api.streaming import Frame, LiveHub, Signal, Stoppable, Subscription, first_signal
from core.jobs.leases import CLASSIFIED
from core.keys.clearance import is_cleared
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.data_classes import DataClass
from core.kit.errors import Unavailable
from core.kit.json_values import loads
from core.kit.logging import get_logger
from core.kit.metrics import SSE_STREAMS_OPEN, STREAM_CATCH_UPS, STREAM_LAG

_POLL_SECONDS = 1.0
_RECHECK_SECONDS = 5.0
DATA = b"\ndata: "
_GREETING = b": events follow\nretry: 1000\n\n"
_KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS = {
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
_log = get_logger(__name__)


class _Gone(Exception):
    """The client disconnected, or stopped reading."""


class LiveStream(Response):
    """Server-sent events for one client, until there are no more.

    Never compressed and never buffered: the first bytes are sent before anything is read, and a comment follows at
    least every `keepalive_seconds`. When the process stops or the caller's key ends, the stream ends without a final
    event, and clients resume. A client that reads nothing for `stall_seconds` is disconnected, and may resume as well.
    """

    media_type = "text/event-stream"
    greeting = _GREETING

    def __init__(
        self, guard: StreamGuard, principal: Principal, *, keepalive_seconds: float, stall_seconds: float
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._guard = guard
        self._principal = principal
        self._keepalive_seconds = keepalive_seconds
        self._stall_seconds = stall_seconds
        self._keepalive_at = 0.0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        SSE_STREAMS_OPEN.inc()
        watch: asyncio.Task[None] | None = None
        try:
            await self._send(send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._write(send, self.greeting)
            async with self._subscribe() as subscription:
                with self._guard.watched(self._principal, subscription):
                    watch = asyncio.create_task(_stop_when_gone(receive, subscription))
                    await self._follow(send, subscription)
            await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except _Gone:
            _log.debug("event_stream_abandoned")
        finally:
            SSE_STREAMS_OPEN.dec()
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)

    def _subscribe(self) -> AbstractAsyncContextManager[Any]:
        raise NotImplementedError

    async def _follow(self, send: Send, subscription: Any) -> None:
        raise NotImplementedError

    async def _write(self, send: Send, body: bytes) -> None:
        await self._send(send, {"type": "http.response.body", "body": body, "more_body": True})
        self._keepalive_at = monotonic() + self._keepalive_seconds

    async def _send(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self._stall_seconds):
                await send(message)
        except (TimeoutError, OSError) as error:
            raise _Gone from error


class EventStream(LiveStream):
    """The events of one job from an id on, until the event that ends it."""

    def __init__(
        self,
        hub: LiveHub,
        guard: StreamGuard,
        principal: Principal,
        job_id: UUID,
        *,
        after: int,
        keepalive_seconds: float,
        stall_seconds: float,
    ) -> None:
        super().__init__(guard, principal, keepalive_seconds=keepalive_seconds, stall_seconds=stall_seconds)
        self._hub = hub
        self._job_id = job_id
        self._last = after
        self._is_refused = False

    def _subscribe(self) -> AbstractAsyncContextManager[Subscription]:
        return self._hub.subscribe(self._job_id)

    async def _follow(self, send: Send, subscription: Subscription) -> None:
        item = await first_signal(subscription)
        while item is not Signal.STOP:
            if await self._take(send, item) or self._is_refused:
                return
            item = await self._next(send, subscription)

    async def _take(self, send: Send, item: Frame | Signal | None) -> bool:
        """Send the events of `item`; returns whether the stream is at its end."""
        if not isinstance(item, Frame) or item.id > self._last + 1:
            return await self._catch_up(send, item)
        if item.id == self._last + 1:
            await self._write_frames(send, [item])
            STREAM_LAG.observe(max(0.0, (utc_now() - item.made_at).total_seconds()))
        return item.is_final

    async def _next(self, send: Send, subscription: Subscription) -> Frame | Signal | None:
        pause = self._keepalive_at - monotonic()
        if not self._hub.is_live:
            pause = min(pause, _POLL_SECONDS)
        item = await subscription.next(pause)
        if item is None and monotonic() >= self._keepalive_at:
            await self._write(send, _KEEP_ALIVE)
        return item

    async def _catch_up(self, send: Send, item: Frame | Signal | None) -> bool:
        """Send the missed events, then `item` if it is still new; returns whether the stream is at its end."""
        STREAM_CATCH_UPS.inc()
        try:
            caught_up = await self._hub.catch_up(self._principal.organization_id, self._job_id, self._last)
        except Unavailable:
            # The client keeps its connection and gets nothing new until Postgres is available again.
            await asyncio.sleep(min(_POLL_SECONDS, self._keepalive_seconds))
            return False
        frames = caught_up.frames
        if isinstance(item, Frame) and item.id > (frames[-1].id if frames else self._last):
            frames = [*frames, item]
        await self._write_frames(send, frames)
        return caught_up.is_ended or (bool(frames) and frames[-1].is_final)

    def _readable(self, frames: list[Frame]) -> list[Frame]:
        """Events up to the one that raises the job's class above what the caller may read; then the stream ends."""
        if self._principal.clearance is DataClass.RESTRICTED:
            return frames
        for count, frame in enumerate(frames, 1):
            if frame.type == CLASSIFIED and not is_cleared(self._principal, _class_in(frame)):
                self._is_refused = True
                return frames[:count]
        return frames

    async def _write_frames(self, send: Send, frames: list[Frame]) -> None:
        frames = self._readable(frames)
        for begin in range(0, len(frames), 64):
            part = frames[begin : begin + 64]
            await self._write(send, b"".join(frame.body for frame in part))
            self._last = part[-1].id


def _class_in(frame: Frame) -> DataClass:
    return DataClass(loads(frame.body.partition(DATA)[2])["data"]["data_class"])


async def _stop_when_gone(receive: Receive, subscription: Stoppable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.put(Signal.STOP)


async def wait_for_news(hub: LiveHub, subscription: Subscription, until: float) -> bool:
    """Wait until the job may have changed its state.

    False when `until` (monotonic seconds) passed first, or when stopping. Sometimes returns True without news: a
    message may be lost, so the caller reads again every few seconds.
    """
    look_again = monotonic() + (_RECHECK_SECONDS if hub.is_live else _POLL_SECONDS)
    while True:
        left = min(until, look_again) - monotonic()
        if left <= 0:
            return look_again < until
        item = await subscription.next(left)
        if item is Signal.STOP:
            return False
        if item is Signal.CATCH_UP or (isinstance(item, Frame) and item.type.startswith("job.")):
            return True
