"""Every Prometheus metric of Waybill, in one place. Labels are bounded: routes are templates, statuses are classes.

With ``PROMETHEUS_MULTIPROC_DIR`` set (an empty folder, before the first import), the processes of one pod, such as
prefork workers, share what they count and any of them answers for all.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Protocol
from wsgiref.simple_server import WSGIServer

import prometheus_client
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_HTTP_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_JOB_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)

HTTP_REQUESTS = Counter(
    "waybill_http_requests", "Requests answered, by route template and status class.", ("method", "route", "status")
)
HTTP_DURATION = Histogram(
    "waybill_http_request_duration_seconds",
    "Time to the last byte of an answer; streams are left out.",
    ("method", "route"),
    buckets=_HTTP_SECONDS,
)
JOBS_SUBMITTED = Counter("waybill_jobs_submitted", "Jobs accepted by this API process.", ("capability",))
SSE_STREAMS_OPEN = Gauge("waybill_sse_streams_open", "Event streams open now.", multiprocess_mode="livesum")
LIVE_PUBLISH_FAILURES = Counter(
    "waybill_live_publish_failures", "Live events or hints that Redis did not take; the jobs are not affected."
)
WEBHOOK_ATTEMPTS = Counter(
    "waybill_webhook_attempts", "Attempts to deliver a webhook, by what came of them.", ("outcome",)
)
WORKER_REPLACEMENTS = Counter(
    "waybill_worker_replacements",
    "Worker processes of a pool that were replaced, by why: crashed, memory, jobs, or a job that ran alone was lost.",
    ("pool", "cause"),
)
GUARD_FINDINGS = Counter(
    "waybill_guard_findings",
    "What the guard found in texts, by kind and by what the policy did about it; a tenant's own kinds are custom.",
    ("kind", "action"),
)
DISPATCHED_JOBS = Counter("waybill_dispatched_jobs", "Jobs handed to the broker.", ("pool",))
POOL_ROUND = Gauge(
    "waybill_pool_round_timestamp_seconds",
    "When this dispatcher last began to hand out jobs of the pool, in Unix time; 0 where it has only stood by.",
    ("pool",),
    multiprocess_mode="max",
)
POOL_SLOTS = Gauge(
    "waybill_pool_slots",
    "Slots that live workers announce, as the pool's dispatcher last read them; 0 where it stands by.",
    ("pool",),
    multiprocess_mode="mostrecent",
)
INVARIANT_VIOLATIONS = Gauge(
    "waybill_invariant_violations",
    "What does not agree between balances, reservations, ledger and audit trail, at the last check.",
    multiprocess_mode="max",
)
QUALITY_ALERTS_OPEN = Gauge(
    "waybill_quality_alerts_open",
    "Quality alerts that nobody has acknowledged or closed, over all organizations, at the last look.",
    ("capability", "signal"),
    multiprocess_mode="mostrecent",
)
QUEUE_DEPTH = Gauge(
    "waybill_queue_depth", "Jobs not ended, per pool and state.", ("pool", "state"), multiprocess_mode="mostrecent"
)
QUEUE_OLDEST_WAIT = Gauge(
    "waybill_queue_oldest_wait_seconds",
    "Age of the oldest job that is due, per pool and state.",
    ("pool", "state"),
    multiprocess_mode="mostrecent",
)
JOB_WAIT = Histogram(
    "waybill_job_wait_seconds",
    "From being due to the start of the first attempt.",
    ("capability",),
    buckets=_WAIT_SECONDS,
)
JOB_ATTEMPT_DURATION = Histogram(
    "waybill_job_attempt_duration_seconds",
    "How long attempts ran, by how they ended.",
    ("capability", "outcome"),
    buckets=_JOB_SECONDS,
)
GUARD_REQUESTS = Histogram(
    "waybill_guard_request_duration_seconds",
    "How long the analyzer took for requests, by how they ended: answered, refused, overloaded or late.",
    ("outcome",),
    buckets=_HTTP_SECONDS,
)
GUARD_CHARACTERS = Counter("waybill_guard_characters", "Characters that the analyzer has analyzed.")
GUARD_CHILDREN_LOST = Counter(
    "waybill_guard_children_lost",
    "Children of the analyzer that were ended over what they analyzed, by why.",
    ("cause",),
)
GUARD_UNAVAILABLE = Counter("waybill_guard_unavailable", "Analyses that this process asked for and did not get.")

_depths_seen: set[tuple[str, str]] = set()


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
    """Record how long a job that was just claimed had waited since it was due. Later attempts are not counted."""
    if job.attempt == 1 and job.started_at is not None:
        waited = job.started_at - max(job.created_at, job.run_at)
        JOB_WAIT.labels(job.capability).observe(max(0.0, waited.total_seconds()))


def observe_finished_job(job: _Job, event_type: str, seconds: float) -> None:
    """Record an attempt of `seconds` that ended with the event `event_type`, for example ``job.succeeded``.

    ``job.queued`` counts as outcome ``requeued``: the attempt ended, and another one follows.
    """
    outcome = event_type.removeprefix("job.")
    JOB_ATTEMPT_DURATION.labels(job.capability, "requeued" if outcome == "queued" else outcome).observe(seconds)


def observe_findings(found: Iterable[tuple[str, str]]) -> None:
    """Count findings of the guard, each by a kind of a closed list and an action."""
    for kind, action in found:
        GUARD_FINDINGS.labels(kind, action).inc()


def observe_depths(depths: Iterable[_Depth]) -> None:
    """Set the queue gauges; a pool and state that was reported before and is missing now is empty."""
    missing = set(_depths_seen)
    for depth in depths:
        labels = (depth.pool, str(depth.state))
        _depths_seen.add(labels)
        missing.discard(labels)
        QUEUE_DEPTH.labels(*labels).set(depth.jobs)
        QUEUE_OLDEST_WAIT.labels(*labels).set(depth.wait_seconds)
    for labels in missing:
        QUEUE_DEPTH.labels(*labels).set(0)
        QUEUE_OLDEST_WAIT.labels(*labels).set(0)


def exposition() -> tuple[bytes, str]:
    """The metrics in Prometheus' text format, and its content type; of all processes when they share a folder."""
    return generate_latest(_registry()), CONTENT_TYPE_LATEST


def serve_metrics(port: int, host: str = "0.0.0.0") -> tuple[WSGIServer, Thread]:  # noqa: S104 - scraped from outside
    """Answer ``GET /metrics`` on `port` from a daemon thread; returns both. Raises OSError when the port is taken."""
    return prometheus_client.start_http_server(port, addr=host, registry=_registry())


def forget_process(pid: int) -> None:
    """Drop the live gauges of a child process that ended; only needed when processes share a folder."""
    if _shared_folder() is not None:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _shared_folder() -> Path | None:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


def _registry() -> CollectorRegistry:
    if _shared_folder() is None:
        return prometheus_client.REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
