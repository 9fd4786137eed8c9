"""An attempt in the hands of a test: dispatched, claimed and driven step by step, as a worker would."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from core.guard.guard import Guard
from core.jobs import leases, queue
from core.jobs.live import LivePublisher
from core.jobs.records import Event
from core.jobs.states import FAIL, RETRY, STOP, SUCCEED, SUSPEND
from core.kit.db import Database
from core.kit.ids import JOB, decode
from core.kit.redis import connect
from core.kit.settings import Settings
from workers.context import AttemptContext
from workers.execute import succeed
from workers.services import Services, open_services


class Attempt:
    """One attempt; every method commits, then publishes."""

    def __init__(self, services: Services, job_id: UUID) -> None:
        database = services.database
        with database.system() as session:
            queue.mark_dispatched(session, [job_id])
        claim = leases.claim(database.single_system(), job_id, "test-worker", 60.0)
        assert claim is not None, "the job could not be claimed"
        self.publisher = services.publisher
        self.context = AttemptContext(claim, services)
        job = claim.job
        assert job.started_at is not None
        data = {"attempt": job.attempt}
        self._publish(Event(job.id, claim.event_id, claim.previous, "job.started", job.attempt, data, job.started_at))

    def delta(self, text: str) -> None:
        """Stream a piece of text."""
        self.context.delta(text)

    def emit(self, event: str, **data: Any) -> None:
        """Keep and publish an event."""
        self.context.emit(event, data)

    def succeed(self, **result: Any) -> None:
        """End with a result."""
        self._publish(succeed(self.context, result))

    def succeed_by_reference(self, reference: str) -> None:
        """End with a result that lies in the blob store."""
        data = {"attempt": self.context.attempt}
        self._publish(self.context.end(SUCCEED, "job.succeeded", data, result=None, result_ref=reference))

    def fail(self, code: str) -> None:
        """End for good."""
        error = {"code": code, "message": "it failed"}
        self._publish(self.context.end(FAIL, "job.failed", {"reason": code, "error": error}, reason=code, error=error))

    def requeue(self) -> None:
        """End, with another attempt to follow at once."""
        self._publish(self.context.end(RETRY, "job.queued", {"reason": "retry"}, reason="retry", delay_seconds=0.0))

    def suspend(self, reason: str) -> None:
        """Step aside, to wait for what `reason` says."""
        self._publish(self.context.end(SUSPEND, "job.waiting", {"reason": reason}, reason=reason))

    def stop(self) -> None:
        """End because cancellation was asked for."""
        self._publish(self.context.end(STOP, "job.cancelled", {}, reason="cancelled_by_client"))

    def _publish(self, event: Event) -> None:
        self.context.publish([event])


@contextmanager
def worker_services(settings: Settings, *, pool_size: int = 2, guard: Guard | None = None) -> Iterator[Services]:
    """What the attempts of one worker process share."""
    database = Database(settings, application_name="test-attempt", pool_size=pool_size)
    redis = connect(settings)
    services = open_services(settings, database, LivePublisher(redis, settings), redis, guard=guard)
    try:
        yield services
    finally:
        services.settlements.close()
        redis.close()
        database.close()


@contextmanager
def attempt(settings: Settings, job_id: str, *, guard: Guard | None = None) -> Iterator[Attempt]:
    """Claim the job with the API id `job_id` and drive it, with services of its own."""
    with worker_services(settings, guard=guard) as services:
        yield Attempt(services, decode(JOB, job_id))
