"""The event stream of a project."""

import asyncio
from contextlib import AbstractAsyncContextManager
from time import monotonic

from starlette.types import Send

from api.events import LiveStream
from api.project_events.feed import FeedReader, Feeds
from api.project_events.records import EventPage, Place, Wanted
from api.stream_guard import StreamGuard
from api.streaming import Signal
from core.keys.principal import Principal
from core.kit.errors import Unavailable
from core.kit.json_values import dumps

_RETRY_SECONDS = 1.0
_GAP = b"event: gap\ndata: " + dumps({"reason": "history_expired"}) + b"\n\n"


class ProjectStream(LiveStream):
    """Server-sent events of a project from a place on, without end; or, unless `follow`, up to the present."""

    def __init__(
        self,
        feeds: Feeds,
        guard: StreamGuard,
        principal: Principal,
        wanted: Wanted,
        *,
        after: Place,
        follow: bool,
        keepalive_seconds: float,
        stall_seconds: float,
    ) -> None:
        super().__init__(guard, principal, keepalive_seconds=keepalive_seconds, stall_seconds=stall_seconds)
        self._feeds = feeds
        self._wanted = wanted
        self._last = after
        self._is_following = follow
        self._is_first = True

    def _subscribe(self) -> AbstractAsyncContextManager[FeedReader]:
        return self._feeds.subscribe(self._principal.organization_id, self._principal.project_id)

    async def _follow(self, send: Send, subscription: FeedReader) -> None:
        # A place to resume from even if no event ever comes.
        await self._write(send, b"id: %s\nevent: stream.opened\ndata: {}\n\n" % self._last.cursor().encode())
        while True:
            item = await subscription.next(self._keepalive_at - monotonic())
            if item is Signal.STOP:
                return
            if item is Signal.CATCH_UP:
                if not (await self._catch_up(send, subscription) and self._is_following):
                    return
            elif isinstance(item, EventPage):
                await self._send_page(send, item)
            elif monotonic() >= self._keepalive_at:
                await self._keepalive(send)

    async def _catch_up(self, send: Send, subscription: FeedReader) -> bool:
        """Send the events above the last place; False when the stream must stop."""
        while not subscription.is_stopped:
            try:
                page = await self._feeds.reader.page(
                    self._principal.organization_id, self._principal.project_id, self._last
                )
            except Unavailable:
                await self._keepalive(send)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if self._is_first and page.has_lost(self._last):
                await self._write(send, _GAP)
            self._is_first = False
            await self._send_page(send, page)
            if not page.is_cut:
                return True
        return False

    async def _send_page(self, send: Send, page: EventPage) -> None:
        frames = [
            found.frame(self._principal.clearance)
            for found in page.events
            if found.place > self._last and self._principal.may_use(found.capability) and self._wanted.admits(found)
        ]
        if frames:
            await self._write(send, b"".join(frames))
        self._last = max(self._last, page.end)

    async def _keepalive(self, send: Send) -> None:
        # The place instead of a comment, so that a client whose filters match little need not resume from far back.
        await self._write(send, b"id: %s\n: keep-alive\n\n" % self._last.cursor().encode())
