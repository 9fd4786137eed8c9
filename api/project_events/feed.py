"""One database reader per project and process, whatever the number of streams that follow the project."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from api.project_events.records import EventPage
from api.project_events.repository import EventReader
from api.streaming import LiveHub, Signal
from core.kit.errors import Unavailable
from core.kit.logging import get_logger

# Between two reads, so that a burst of a thousand events a second costs ten queries instead of a thousand.
_REST_SECONDS = 0.1
# The delay when an activity signal is lost. Without Redis, streams lag behind by this.
_ACTIVITY_SECONDS = 1.0
_BUFFER_EVENTS_MAX = 2_000
_log = get_logger(__name__)


class FeedReader:
    """One stream's bounded buffer of pages. A stream too slow for it loses it and reads the database itself."""

    def __init__(self) -> None:
        self._pages: deque[EventPage] = deque()
        self._size = 0
        self._is_behind = False
        self.is_stopped = False
        self._filled = asyncio.Event()

    def put(self, item: EventPage | Signal) -> None:
        """Add a page, or a signal that the stream is behind or has to stop."""
        if item is Signal.STOP:
            self.is_stopped = True
        elif isinstance(item, Signal) or self._size + len(item.events) > _BUFFER_EVENTS_MAX:
            self._pages.clear()
            self._size, self._is_behind = 0, True
        elif not self._is_behind:
            self._pages.append(item)
            self._size += len(item.events)
        self._filled.set()

    async def next(self, timeout_seconds: float) -> EventPage | Signal | None:
        """The next page or signal, or None when none came in time."""
        if not (self._pages or self._is_behind or self.is_stopped):
            self._filled.clear()
            try:
                async with asyncio.timeout(max(0.0, timeout_seconds)):
                    await self._filled.wait()
            except TimeoutError:
                return None
        if self.is_stopped:
            return Signal.STOP
        if self._is_behind:
            self._is_behind = False
            return Signal.CATCH_UP
        page = self._pages.popleft()
        self._size -= len(page.events)
        return page


class Feed:
    """Follows one project from its start, and passes every page to its readers."""

    def __init__(self, reader: EventReader, organization_id: UUID, project_id: UUID, hub: LiveHub) -> None:
        self.readers: set[FeedReader] = set()
        self.ready = asyncio.Event()
        self._reader = reader
        self._organization_id = organization_id
        self._project_id = project_id
        self._hub = hub
        self.task = asyncio.create_task(self._run(), name="project-feed")

    async def _run(self) -> None:
        async with self._hub.hear_activity():
            await self._read_forever()

    async def _read_forever(self) -> None:
        at = None
        while True:
            activity = self._hub.activity()
            pause = _ACTIVITY_SECONDS
            try:
                if at is None:
                    at = await self._reader.horizon(self._organization_id)
                    self.ready.set()
                page = await self._reader.page(self._organization_id, self._project_id, at)
                at = page.end
                if page.events:
                    for reader in tuple(self.readers):
                        reader.put(page)
                pause = 0.0 if page.is_cut or page.is_held else _ACTIVITY_SECONDS
            except Unavailable as error:
                _log.warning("project_feed_waits", error=error.code)
            await asyncio.sleep(_REST_SECONDS)
            if pause:
                await _wait(activity, pause)


class Feeds:
    """The feeds of the projects that are followed in this process."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self.reader = EventReader(hub.pool, hub.timeout_ms)
        self._feeds: dict[tuple[UUID, UUID], Feed] = {}

    @asynccontextmanager
    async def subscribe(self, organization_id: UUID, project_id: UUID) -> AsyncIterator[FeedReader]:
        """A buffer that receives the project's events from now on. Its first item is `Signal.CATCH_UP`.

        Waits until the feed has started, so that what the stream then reads itself reaches at least as far back.
        """
        reader = FeedReader()
        if self._hub.is_stopping:
            reader.put(Signal.STOP)
            yield reader
            return
        key = (organization_id, project_id)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(self.reader, organization_id, project_id, self._hub)
        feed.readers.add(reader)
        self._hub.others.add(reader)
        try:
            await feed.ready.wait()
            reader.put(Signal.CATCH_UP)
            yield reader
        finally:
            self._hub.others.discard(reader)
            feed.readers.discard(reader)
            if not feed.readers:
                self._feeds.pop(key, None)
                feed.task.cancel()

    async def close(self) -> None:
        """Stop reading."""
        tasks = [feed.task for feed in self._feeds.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait(activity: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await activity.wait()
    except TimeoutError:
        return
