"""Live events for waiting clients: one Redis pub/sub connection per process, whatever the number of clients.

A reader subscribes first and then catches up from the job's stream in Redis and from Postgres, so nothing falls between
the two (`catch_up`). Afterward it follows the channel. Whenever something may have been missed (the connection was
re-established, a reader was too slow for its buffer, an id was skipped) the subscription yields `Signal.CATCH_UP` and
the reader does the same again. Ids within one attempt have no gaps, which is how a lost message shows.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from time import monotonic
from typing import Any, Literal, Protocol, cast
from uuid import UUID

import psycopg
import psycopg_pool
import redis
from redis.asyncio.client import PubSub

from api.catch_up import PAGE, PersistedEventReader
from core.jobs.live import FIELD, activity_channel, channel, decode_event, stream_key
from core.jobs.records import Event
from core.jobs.states import TERMINAL, JobState
from core.kit.clock import isoformat
from core.kit.db import normalize_url, prepare_threshold
from core.kit.ids import JOB, encode
from core.kit.json_values import dumps
from core.kit.logging import get_logger
from core.kit.redis import connect_async
from core.kit.settings import Settings

_POOL_SIZE = 4
_BUFFER_MAX = 512
_SILENCE_SECONDS = 5.0
_DEAD_SECONDS = 12.0
_PROBE_TTL_SECONDS = 10
_READY_SECONDS = 1.0
_RECONNECT_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_log = get_logger(__name__)


class Signal(Enum):
    """What a subscription yields besides events."""

    CATCH_UP = auto()
    STOP = auto()


class Stoppable(Protocol):
    """An object that a stream waits on."""

    def put(self, item: Literal[Signal.STOP], /) -> None:
        """End the stream."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An event in the form that is sent to clients; serialized once for all readers."""

    id: int
    type: str
    is_final: bool
    body: bytes
    made_at: datetime


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The events that a reader had missed, in order, and whether the job has ended."""

    frames: list[Frame]
    is_ended: bool


def to_frame(event: Event) -> Frame:
    """`event` as a server-sent event (WHATWG HTML, section 9.2)."""
    data = dumps(
        {
            "id": event.id,
            "job_id": encode(JOB, event.job_id),
            "type": event.type,
            "attempt": event.attempt,
            "created_at": isoformat(event.created_at),
            "data": event.data,
        }
    )
    body = b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), data)
    return Frame(event.id, event.type, event.is_final, body, event.created_at)


class Subscription:
    """One reader's bounded buffer. A reader that is too slow loses the buffer and has to catch up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: deque[Frame | Signal] = deque()
        self._filled = asyncio.Event()
        self._stopped = False

    def put(self, item: Frame | Signal) -> None:
        """Add an item, unless it repeats the last one. After `Signal.STOP` nothing else is ever read."""
        if item is Signal.STOP:
            self._stopped = True
        elif len(self._items) >= _BUFFER_MAX:
            self._items.clear()
            self._items.append(Signal.CATCH_UP)
        elif not (isinstance(item, Signal) and self._items and self._items[-1] is item):
            self._items.append(item)
        self._filled.set()

    async def next(self, timeout_seconds: float) -> Frame | Signal | None:
        """The next item, or None when none came in time."""
        if not self._items and not self._stopped:
            self._filled.clear()
            try:
                async with asyncio.timeout(max(0.0, timeout_seconds)):
                    await self._filled.wait()
            except TimeoutError:
                return None
        return Signal.STOP if self._stopped else self._items.popleft()


class LiveHub:
    """Passes live events to subscriptions, and reads what they missed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._confirmed: set[str] = set()
        self._pubsub: PubSub | None = None
        self._pubsub_redis = connect_async(settings)
        self._commands = connect_async(settings)
        self._command_lock = asyncio.Lock()
        self._subscribe_lock = asyncio.Lock()
        self._heard_at = 0.0
        self._task: asyncio.Task[None] | None = None
        # Nothing is ever published on it: a connection without readers stays subscribed to something.
        self._quiet_channel = settings.key("live", "quiet")
        self._activity_channel = activity_channel(settings)
        self._activity = asyncio.Event()
        # Readers that do not wait for a job, and must be notified of a stop.
        self.others: set[Stoppable] = set()
        self.timeout_ms = str(int(settings.database_statement_timeout_seconds * 1000))
        assert settings.database_url is not None
        url = normalize_url(settings.database_url.get_secret_value()).set(drivername="postgresql")
        self.pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]] = psycopg_pool.AsyncConnectionPool(
            url.render_as_string(hide_password=False),
            min_size=0,
            max_size=_POOL_SIZE,
            open=False,
            timeout=settings.database_connect_timeout_seconds,
            kwargs={
                "application_name": "waybill-api-streams",
                "connect_timeout": max(1, int(settings.database_connect_timeout_seconds)),
                "prepare_threshold": prepare_threshold(settings),
                "tcp_user_timeout": 10_000,
            },
        )
        self._persisted = PersistedEventReader(self.pool, self.timeout_ms)
        self.is_stopping = False

    @property
    def is_live(self) -> bool:
        """Whether the pub/sub connection is up; while it is not, readers poll Postgres."""
        return self._pubsub is not None

    async def open(self) -> None:
        """Start listening. Succeeds even if Redis and Postgres are unavailable."""
        await self.pool.open()
        self._task = asyncio.create_task(self._listen_forever(), name="live-hub")

    def stop_streams(self) -> None:
        """End every stream and long poll, so that clients resume elsewhere."""
        self.is_stopping = True
        self._notify_all(Signal.STOP)
        for reader in tuple(self.others):
            reader.put(Signal.STOP)

    def activity(self) -> asyncio.Event:
        """Set when any job has had a persisted event since this was called, or when one may have been missed.

        Only within `hear_activity`.
        """
        return self._activity

    def _signal_activity(self) -> None:
        self._activity.set()
        self._activity = asyncio.Event()

    async def close(self) -> None:
        """Stop listening and close the connections."""
        self.stop_streams()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._pubsub_redis.aclose()
        await self._commands.aclose()
        await self._persisted.close()
        await self.pool.close()

    async def ping(self) -> None:
        """Raise a Redis error unless Redis answers and takes a write."""
        async with self._command_lock:
            await self._commands.set(self._settings.key("probe"), "", ex=_PROBE_TTL_SECONDS)

    def subscribe(self, job_id: UUID) -> AbstractAsyncContextManager[Subscription]:
        """A subscription to a job's events. Its first item is `Signal.CATCH_UP`, once Redis has confirmed it.

        Without Redis, or when it is slow to confirm, the signal comes after at most a second.
        """
        return self._subscribe(channel(self._settings, job_id))

    def hear_activity(self) -> AbstractAsyncContextManager[Subscription]:
        """Let `activity` be set during the block. Outside of it, no job of others wakes this process."""
        return self._subscribe(self._activity_channel)

    @asynccontextmanager
    async def _subscribe(self, name: str) -> AsyncIterator[Subscription]:
        subscription = Subscription(name)
        if self.is_stopping:
            subscription.put(Signal.STOP)
            yield subscription
            return
        readers = self._subscriptions.setdefault(name, set())
        readers.add(subscription)
        try:
            if name in self._confirmed or not self.is_live:
                subscription.put(Signal.CATCH_UP)
            elif len(readers) == 1:
                await self._command_pubsub("subscribe", name)
            yield subscription
        finally:
            readers.discard(subscription)
            if not readers:
                self._subscriptions.pop(name, None)
                self._confirmed.discard(name)
                await self._command_pubsub("unsubscribe", name)

    async def catch_up(self, organization_id: UUID, job_id: UUID, after: int) -> CaughtUp:
        """Every known event of a job with an id above `after`, in order.

        The stream is read before Postgres: a persisted event is published after its commit, so whatever the stream
        shows, Postgres has what went before it. Deltas are the other way round: they are in the stream before the next
        persisted event is in Postgres. So where ids are missing below the last persisted one, the stream is read once
        more. Raises `Unavailable` when Postgres does not answer.
        """
        frames: list[Frame] = []
        while True:
            live, cut_live = await self._read_stream(job_id, after)
            state, persisted, cut_persisted = await self._read_persisted(organization_id, job_id, after)
            pages = [(live, cut_live), (persisted, cut_persisted)]
            if persisted and _has_hole({event.id for event in (*live, *persisted)}, after, persisted[-1].id):
                pages.append(await self._read_stream(job_id, after, until=persisted[-1].id))
            merged = {event.id: event for page, _ in pages for event in page}
            # A truncated page says nothing about events beyond its end; the next round continues from there.
            end = min((page[-1].id for page, is_cut in pages if is_cut), default=None)
            frames += [to_frame(merged[number]) for number in sorted(merged) if end is None or number <= end]
            if end is None:
                return CaughtUp(frames, is_ended=state is None or state in TERMINAL)
            after = end

    async def _read_stream(self, job_id: UUID, after: int, until: int | None = None) -> tuple[list[Event], bool]:
        if not self.is_live:
            return [], False
        try:
            async with self._command_lock:
                entries = await self._commands.xrange(
                    stream_key(self._settings, job_id),
                    min=f"({after}-0",
                    max="+" if until is None else f"{until}-0",
                    count=PAGE,
                )
        except (redis.RedisError, OSError) as error:
            _log.warning("event_stream_unreadable", error=type(error).__name__)
            return [], False
        # The client library types its answers for every protocol and decoding at once.
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", entries or [])
        return [decode_event(fields[FIELD]) for _, fields in found], len(found) == PAGE

    async def _read_persisted(
        self, organization_id: UUID, job_id: UUID, after: int
    ) -> tuple[JobState | None, list[Event], bool]:
        persisted = await self._persisted.read(organization_id, job_id, after)
        return persisted.state, persisted.events, persisted.is_cut

    async def _listen_forever(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen()
            except (redis.RedisError, OSError) as error:
                if self._pubsub is not None:
                    failures = 0
                _log.warning("live_hub_disconnected", error=type(error).__name__, failures=failures)
            finally:
                await self._disconnect()
            await asyncio.sleep(_RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS) - 1)])
            failures += 1

    async def _listen(self) -> None:
        pubsub = self._pubsub_redis.pubsub()
        wanted = tuple(self._subscriptions)
        await pubsub.subscribe(self._quiet_channel, *wanted)
        self._pubsub = pubsub
        self._heard_at = monotonic()
        missed = set(self._subscriptions).difference(wanted)
        if missed:
            await pubsub.subscribe(*missed)
        _log.info("live_hub_connected")
        while True:
            message = await pubsub.get_message(timeout=_SILENCE_SECONDS)
            if message is not None:
                self._heard_at = monotonic()
                self._dispatch(message)
            elif monotonic() - self._heard_at > _DEAD_SECONDS:
                raise redis.ConnectionError("nothing was heard, not even an answer to a ping")
            else:
                await pubsub.ping()

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] not in {"subscribe", "message"}:
            return
        name = message["channel"].decode()
        if name == self._activity_channel:
            self._signal_activity()
            return
        readers = self._subscriptions.get(name)
        if not readers:
            return
        if message["type"] == "subscribe":
            # Also the first message of a re-established connection: something may have been missed.
            self._confirmed.add(name)
            self._notify(readers, Signal.CATCH_UP)
            return
        try:
            frame = to_frame(decode_event(message["data"]))
        except (ValueError, KeyError):
            _log.warning("live_event_unreadable")
            return
        self._notify(readers, frame)

    async def _disconnect(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        self._confirmed.clear()
        # Readers that wait for a message now poll instead.
        self._notify_all(Signal.CATCH_UP)
        if pubsub is not None:
            try:
                await pubsub.aclose()  # type: ignore[no-untyped-call]
            except (redis.RedisError, OSError):
                _log.debug("live_hub_close_failed")

    async def _command_pubsub(self, command: str, name: str) -> None:
        pubsub = self._pubsub
        if pubsub is None:
            return
        try:
            async with self._subscribe_lock:
                # The state may have changed since the lock was requested.
                if (command == "subscribe") == (name in self._subscriptions):
                    await getattr(pubsub, command)(name)
        except (redis.RedisError, OSError) as error:
            _log.warning("live_hub_command_failed", command=command, error=type(error).__name__)

    def _notify_all(self, signal: Signal) -> None:
        for readers in self._subscriptions.values():
            self._notify(readers, signal)

    @staticmethod
    def _notify(readers: Sequence[Subscription] | set[Subscription], item: Frame | Signal) -> None:
        for reader in readers:
            reader.put(item)


def _has_hole(ids: set[int], after: int, last: int) -> bool:
    return len([number for number in ids if number <= last]) < last - after


async def first_signal(subscription: Subscription) -> Frame | Signal | None:
    """The first signal of a new subscription; None when Redis is slow to confirm it."""
    return await subscription.next(_READY_SECONDS)
