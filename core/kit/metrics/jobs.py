"""Jobs, their attempts and steps, and the queues and pools that they pass."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from core.kit.metrics.families import (
    JOB_SECONDS,
    WAIT_SECONDS,
    BoundedLabel,
    counter,
    exemplar,
    gauge,
    histogram,
)

LIVE_PUBLISH_FAILURES = counter(
    "waybill_live_publish_failures",
    "Live events or hints that Redis did not accept; jobs are not affected.",
    by=("api", "dispatcher", "worker"),
)
WORKER_REPLACEMENTS = counter(
    "waybill_worker_replacements",
    "Replaced worker processes of a pool, by cause: crashed, memory, jobs, or isolated (an isolated job was lost).",
    ("pool", "cause"),
    by=("worker",),
)
DISPATCHED_JOBS = counter("waybill_dispatched_jobs", "Jobs handed to the broker.", ("pool",), by=("dispatcher",))
POOL_ROUND = gauge(
    "waybill_pool_round_timestamp_seconds",
    "Start of this dispatcher's last round for the pool, in Unix time; 0 on a standby.",
    ("pool",),
    by=("dispatcher",),
    mode="max",
)
POOL_SLOTS = gauge(
    "waybill_pool_slots",
    "Slots announced by live workers, as last read by the pool's dispatcher; 0 on a standby.",
    ("pool",),
    by=("dispatcher",),
    mode="mostrecent",
)
POOL_SLOTS_BUSY = gauge(
    "waybill_pool_slots_busy",
    "Running jobs of the pool, as last read by its dispatcher. Divided by waybill_pool_slots: its utilization.",
    ("pool",),
    by=("dispatcher",),
    mode="mostrecent",
)
QUEUE_DEPTH = gauge(
    "waybill_queue_depth",
    "Jobs that have not ended, by pool and state.",
    ("pool", "state"),
    by=("dispatcher",),
    mode="mostrecent",
)
QUEUE_OLDEST_WAIT = gauge(
    "waybill_queue_oldest_wait_seconds",
    "Age of the oldest due job, by pool and state.",
    ("pool", "state"),
    by=("dispatcher",),
    mode="mostrecent",
)
SWEPT_JOBS = counter(
    "waybill_swept_jobs",
    "Jobs that the dispatcher moved, by outcome (requeued, failed, cancelled, expired) and reason."
    " Requeued because of worker_lost: a recovery after a lost lease.",
    ("pool", "outcome", "reason"),
    by=("dispatcher",),
)
MESSAGES_LOST = counter(
    "waybill_messages_lost",
    "Jobs that became due again because the broker lost their message.",
    ("pool",),
    by=("dispatcher",),
)
WORKER_SLOTS = gauge("waybill_worker_slots", "Slots of this worker.", ("pool",), by=("worker",), mode="livesum")
WORKER_SLOTS_BUSY = gauge(
    "waybill_worker_slots_busy",
    "Attempts that this worker is running, without isolated jobs.",
    ("pool",),
    by=("worker",),
    mode="livesum",
)
DUPLICATES_REFUSED = counter(
    "waybill_duplicate_messages_refused",
    "Messages without an attempt: delivered twice, or the job was already claimed, ended or cancelled.",
    ("pool",),
    by=("worker",),
)
LEASES_LOST = counter(
    "waybill_leases_lost",
    "Attempts that lost their job because its lease expired.",
    ("capability",),
    by=("worker",),
)
JOB_WAIT = histogram(
    "waybill_job_wait_seconds",
    "Time from when a job is due to the start of its first attempt.",
    ("capability",),
    by=("worker",),
    buckets=WAIT_SECONDS,
    exemplars=True,
)
JOB_ATTEMPT_DURATION = histogram(
    "waybill_job_attempt_duration_seconds",
    "Duration of attempts, by outcome.",
    ("capability", "outcome"),
    by=("worker",),
    buckets=JOB_SECONDS,
    exemplars=True,
)
ATTEMPTS_ENDED = counter(
    "waybill_job_attempts_ended",
    "Attempts without a result, by outcome and error code or reason.",
    ("capability", "outcome", "reason"),
    by=("worker",),
)
STEP_DURATION = histogram(
    "waybill_job_step_duration_seconds",
    "Duration of steps, by outcome: succeeded, failed, suspended or interrupted.",
    ("capability", "step", "outcome"),
    by=("worker",),
    buckets=JOB_SECONDS,
    exemplars=True,
)

_depths_seen: set[tuple[str, str]] = set()
_reasons = BoundedLabel()
_steps = BoundedLabel()


class _Job(Protocol):
    @property
    def capability(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def run_at(self) -> datetime: ...
    @property
    def started_at(self) -> datetime | None: ...


class _Depth(Protocol):
    @property
    def pool(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def jobs(self) -> int: ...
    @property
    def wait_seconds(self) -> float: ...


def observe_started_job(job: _Job) -> None:
    """Record how long a job that was just claimed had been due. Later attempts are not counted."""
    if job.attempt == 1 and job.started_at is not None:
        waited = job.started_at - max(job.created_at, job.run_at)
        JOB_WAIT.labels(job.capability).observe(max(0.0, waited.total_seconds()), exemplar())


def observe_finished_job(job: _Job, event_type: str, seconds: float, reason: str | None = None) -> None:
    """Record an attempt of `seconds` that ended with the event `event_type`, for example ``job.succeeded``.

    ``job.queued`` counts as outcome ``requeued``: the attempt ended, and another one follows. `reason` is the error's
    code, or why it ended otherwise.
    """
    outcome = outcome_of(event_type)
    JOB_ATTEMPT_DURATION.labels(job.capability, outcome).observe(seconds, exemplar())
    if reason is not None:
        ATTEMPTS_ENDED.labels(job.capability, outcome, _reasons.of(reason)).inc()


def observe_step(capability: str, step: str, outcome: str, seconds: float) -> None:
    """Record a step of an attempt."""
    STEP_DURATION.labels(capability, _steps.of(step), outcome).observe(seconds, exemplar())


def observe_swept(pool: str, event_type: str, reason: str) -> None:
    """Count a job that the dispatcher moved on."""
    SWEPT_JOBS.labels(pool, outcome_of(event_type), _reasons.of(reason)).inc()


def observe_depths(depths: Iterable[_Depth]) -> None:
    """Set the queue gauges; a pool and state that was reported before and is missing now is empty."""
    missing = set(_depths_seen)
    for depth in depths:
        labels = (depth.pool, str(depth.state))
        _depths_seen.add(labels)
        missing.discard(labels)
        _set_depth(labels, depth.jobs, depth.wait_seconds)
    for labels in missing:
        _set_depth(labels, 0, 0)


def _set_depth(labels: tuple[str, str], jobs: int, wait_seconds: float) -> None:
    pool, state = labels
    QUEUE_DEPTH.labels(pool, state).set(jobs)
    QUEUE_OLDEST_WAIT.labels(pool, state).set(wait_seconds)
    if state == "running":
        POOL_SLOTS_BUSY.labels(pool).set(jobs)


def outcome_of(event_type: str) -> str:
    """The outcome that the event ending an attempt stands for; ``requeued`` for ``job.queued``."""
    outcome = event_type.removeprefix("job.")
    return "requeued" if outcome == "queued" else outcome
