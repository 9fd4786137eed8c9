"""Live events and wake-up hints over Redis. Everything here is best effort: Postgres holds what must not be lost.

The stream of a job uses the event's own id as its entry id, so Redis itself rejects events that arrive out of order: a
worker that lost its lease and still publishes is silenced as soon as its successor has published once.
"""

from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

import redis

from core.jobs.records import Event
from core.kit.clock import isoformat
from core.kit.json_values import dumps, loads
from core.kit.logging import get_logger
from core.kit.metrics import LIVE_PUBLISH_FAILURES
from core.kit.settings import Settings

FIELD = b"e"
_ACTIVITY_SECONDS = 1.0
_EXPIRY_SHARE = 0.1
_STREAMS_KNOWN = 10_000
_log = get_logger(__name__)


def encode_event(event: Event) -> bytes:
    """The event as JSON bytes, the form published and stored in the stream."""
    return dumps(
        {
            "job_id": str(event.job_id),
            "id": event.id,
            "previous": event.previous,
            "type": event.type,
            "attempt": event.attempt,
            "data": event.data,
            "created_at": isoformat(event.created_at),
        }
    )


def decode_event(body: bytes) -> Event:
    """The inverse of `encode_event`. Raises ValueError or KeyError when `body` is not one of our events."""
    found: dict[str, Any] = loads(body)
    return Event(
        UUID(found["job_id"]),
        found["id"],
        found["previous"],
        found["type"],
        found["attempt"],
        found["data"],
        datetime.fromisoformat(found["created_at"]),
    )


def stream_key(settings: Settings, job_id: UUID) -> str:
    """The Redis stream that holds a job's recent events."""
    return settings.key("events", str(job_id))


def channel(settings: Settings, job_id: UUID) -> str:
    """The pub/sub channel on which a job's events are announced."""
    return settings.key("live", str(job_id))


def activity_channel(settings: Settings) -> str:
    """The channel that signals, with an empty message, that some job has a new persisted event.

    Best effort: while no one hears it, a publisher tries it once a second.
    """
    return settings.key("live", "hub")


def hint_channel(settings: Settings) -> str:
    """The channel that wakes the dispatcher; the message is the pool's name."""
    return settings.key("hint")


def control_channel(settings: Settings) -> str:
    """The channel that wakes workers to check their leases now; the message is a job id."""
    return settings.key("control")


class LivePublisher:
    """Publishes events and hints. Never raises when Redis is unavailable: it logs, counts and continues."""

    def __init__(self, client: "redis.Redis", settings: Settings) -> None:
        self._redis = client
        self._settings = settings
        # Redis tells how many heard a message; while no one hears the activity signal, it is sent once a second.
        self._activity_due = 0.0
        # When the streams of jobs that publish deltas get a new expiry, by job.
        self._expiry_due: dict[UUID, float] = {}

    def publish(self, events: Sequence[Event], *, hint: str | None = None) -> None:
        """Announce `events` of any jobs in order, and wake the dispatcher for pool `hint`; one round trip."""
        pipeline = self._redis.pipeline(transaction=False)
        signals = monotonic() >= self._activity_due and any(event.is_persisted for event in events)
        if signals:
            pipeline.publish(activity_channel(self._settings), b"")
        for event in events:
            body = encode_event(event)
            key = stream_key(self._settings, event.job_id)
            pipeline.xadd(
                key,
                {FIELD: body},
                id=f"{event.id}-0",
                maxlen=self._settings.event_stream_max_length,
                approximate=True,
            )
            if self._needs_expiry(event):
                pipeline.expire(key, self._settings.event_stream_ttl_seconds)
            pipeline.publish(channel(self._settings, event.job_id), body)
        if hint is not None:
            pipeline.publish(hint_channel(self._settings), hint)
        answers = self._run(pipeline)
        if signals and answers and answers[0] == 0:
            self._activity_due = monotonic() + _ACTIVITY_SECONDS

    def _needs_expiry(self, event: Event) -> bool:
        """Whether its stream must be told when to expire: at every kept event, and now and then between deltas."""
        if event.is_persisted:
            self._expiry_due.pop(event.job_id, None)
            return True
        now = monotonic()
        if now < self._expiry_due.get(event.job_id, 0.0):
            return False
        if len(self._expiry_due) >= _STREAMS_KNOWN:
            self._expiry_due.clear()
        self._expiry_due[event.job_id] = now + self._settings.event_stream_ttl_seconds * _EXPIRY_SHARE
        return True

    def hint(self, pool: str) -> None:
        """Wake the dispatcher: `pool` has something due, or a slot became free."""
        self.publish((), hint=pool)

    def control(self, job_id: UUID) -> None:
        """Wake the worker that runs `job_id`, so that a cancellation does not wait for the next heartbeat."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.publish(control_channel(self._settings), str(job_id))
        self._run(pipeline)

    def _run(self, pipeline: Any) -> list[Any]:
        try:
            # Redis refuses an entry below the stream's top: a late or fenced-off writer, rightly dropped.
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            LIVE_PUBLISH_FAILURES.inc()
            _log.warning("live_publish_failed", error=type(error).__name__)
            return []
        return answers
