"""Announces new jobs in Redis after the commit, off the request path.

One thread drains a queue and sends everything that has gathered in one round trip, so a burst of submissions costs few
packets and a slow Redis delays no response. Items that do not fit in the queue are dropped: the job is in Postgres, the
dispatcher polls, and event streams catch up from there.
"""

import queue
import threading
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from core.jobs.records import Event
from core.kit.logging import get_logger
from core.kit.metrics import LIVE_PUBLISH_FAILURES

_QUEUE_MAX = 10_000
_BATCH_MAX = 200
_STOP_SECONDS = 2.0
_log = get_logger(__name__)


class Publisher(Protocol):
    """What `core.jobs.live.LivePublisher` offers."""

    def publish(self, events: list[Event], *, hint: str | None = None) -> None:
        """Announce events, and wake the dispatcher for pool `hint`."""

    def control(self, job_id: UUID) -> None:
        """Wake the worker that runs a job."""


@dataclass(frozen=True, slots=True)
class _News:
    event: Event | None = None
    hint: str | None = None
    control: UUID | None = None


class Announcer:
    """Publishes in the background; every method returns at once."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._news: queue.Queue[_News | None] = queue.Queue(_QUEUE_MAX)
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)

    def start(self) -> None:
        """Start publishing."""
        self._thread.start()

    def close(self) -> None:
        """Publish the queued items, for at most two seconds, then stop."""
        try:
            self._news.put(None, timeout=_STOP_SECONDS)
        except queue.Full:
            return
        self._thread.join(_STOP_SECONDS)

    def event(self, event: Event, *, hint: str | None = None) -> None:
        """Announce a persisted event. `hint` names a pool that has work now."""
        self._put(_News(event=event, hint=hint))

    def control(self, job_id: UUID) -> None:
        """Wake the worker that runs `job_id`."""
        self._put(_News(control=job_id))

    def _put(self, news: _News) -> None:
        try:
            self._news.put_nowait(news)
        except queue.Full:
            LIVE_PUBLISH_FAILURES.inc()

    def _run(self) -> None:
        while True:
            batch, stopping = self._gather()
            try:
                self._publish(batch)
            except Exception:  # noqa: BLE001 - see below; it is logged with its traceback
                # This thread must survive any error: nothing would start another one.
                _log.exception("announcement_failed", count=len(batch))
            if stopping:
                return

    def _gather(self) -> tuple[list[_News], bool]:
        batch: list[_News] = []
        news = self._news.get()
        while news is not None:
            batch.append(news)
            if len(batch) >= _BATCH_MAX:
                return batch, False
            try:
                news = self._news.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _publish(self, batch: list[_News]) -> None:
        events = [news.event for news in batch if news.event is not None]
        hints = list(dict.fromkeys(news.hint for news in batch if news.hint is not None))
        if events or hints:
            self._publisher.publish(events, hint=hints[0] if hints else None)
        for hint in hints[1:]:
            self._publisher.publish([], hint=hint)
        for news in batch:
            if news.control is not None:
                self._publisher.control(news.control)
