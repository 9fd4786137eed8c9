"""The spans of jobs, and those that a lost worker could no longer write.

A job's span is written when the job has ended, by the process that ended it; the spans of an attempt whose worker was
lost are written by the process that found it lost, from the events that the attempt persisted.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from sqlalchemy import text

from core.capability import ModelUsage
from core.jobs.queue import DispatchedJob
from core.jobs.records import FINAL_EVENTS, Ended, Event, JobRecord
from core.kit import semconv
from core.kit.clock import utc_now
from core.kit.db import Executor
from core.kit.ids import JOB, encode
from core.kit.job_traces import JobTrace, TraceScope, traced_for
from core.kit.logging import get_logger
from core.kit.money import ZERO
from core.kit.semconv import Operation
from core.kit.telemetry import ROOT, Attributes, Value, is_exporting, record_span

_log = get_logger(__name__)
# Spans that ended this long before a lost attempt's last event are assumed sent: a collector may be slow for a while.
_SENT_AFTER = timedelta(seconds=10)
_STEPS = ("step.started", "step.finished")
# After these an attempt is over.
_ENDS = FINAL_EVENTS | {"job.queued", "job.waiting"}

_FACTS = text("""
SELECT id, organization_id, project_id, capability, parent_id, traceparent, attempt, state::text AS state, reason,
  created_at, finished_at, metadata, usage, cost_usd
FROM jobs WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_EVENTS = text("""
SELECT job_id, id, previous, type, attempt, data, created_at FROM job_events
WHERE job_id = ANY(CAST(:ids AS uuid[])) AND type = ANY(CAST(:types AS text[])) ORDER BY job_id, id
""")

# Looks up a capability's version, if this process knows it.
VersionOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The facts in a job's span. `usage` are the lines of its settled calls."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    capability: str
    parent_id: UUID | None
    traceparent: str | None
    attempt: int
    state: str
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    metadata: Mapping[str, Any]
    usage: Sequence[Mapping[str, Any]]
    cost_usd: Any

    @classmethod
    def of(cls, job: JobRecord, ended: Ended) -> Self:
        """A job as its last attempt left it."""
        return cls(
            id=job.id,
            organization_id=job.organization_id,
            project_id=job.project_id,
            capability=job.capability,
            parent_id=job.parent_id,
            traceparent=job.traceparent,
            attempt=job.attempt,
            state=ended.state.value,
            reason=ended.reason,
            created_at=job.created_at,
            finished_at=ended.finished_at,
            metadata=job.metadata,
            usage=ended.usage,
            cost_usd=ended.cost_usd,
        )

    @property
    def trace(self) -> JobTrace:
        """Where its spans belong."""
        return JobTrace(self.id, self.traceparent)

    @property
    def scope(self) -> TraceScope:
        """The job's owner."""
        return TraceScope(self.organization_id, self.project_id, self.capability, self.id)


def facts_of(executor: Executor, job_ids: Iterable[UUID]) -> dict[UUID, JobFacts]:
    """The jobs of these ids that the executor sees."""
    rows = executor.execute(_FACTS, {"ids": list(job_ids)})
    return {row.id: JobFacts(*tuple(row)) for row in rows}


def write_dispatched(jobs: Iterable[DispatchedJob]) -> None:
    """A span for each job that was handed to the broker, from when it was due."""
    if not is_exporting():
        return
    for job in jobs:
        with traced_for(TraceScope(job.organization_id, job.project_id, job.capability, job.id)):
            record_span(
                f"dispatch {job.pool}",
                parent=JobTrace(job.id, job.traceparent).context,
                kind=SpanKind.PRODUCER,
                attributes={semconv.DESTINATION: job.pool},
                began=job.run_at,
            )


def write_end(
    job: JobRecord, ended: Ended, version_of: VersionOf, evaluations: Sequence[tuple[str, Attributes]] = ()
) -> None:
    """The span of a job whose last attempt has ended it; `job` as it was claimed."""
    if is_exporting():
        _write_job(JobFacts.of(job, ended), version_of, evaluations)


def write_ended(executor: Executor, job_ids: Sequence[UUID], version_of: VersionOf) -> None:
    """The spans of jobs that have ended; others of `job_ids` get none. Does nothing when spans are not exported."""
    if not is_exporting():
        return
    with _at_most_lost():
        for job in facts_of(executor, job_ids).values():
            if job.finished_at is not None:
                _write_job(job, version_of)


def write_feedback(executor: Executor, job_id: UUID, score: float) -> None:
    """A span below the job's with a rating of its result, linked to the request that gave it."""
    if not is_exporting():
        return
    shown: Attributes = {semconv.EVALUATION_NAME: "feedback", semconv.EVALUATION_SCORE: score}
    with _at_most_lost():
        for job in facts_of(executor, [job_id]).values():
            with traced_for(job.scope):
                record_span(
                    "feedback",
                    parent=job.trace.context,
                    links=[trace.get_current_span().get_span_context()],
                    attributes={},
                    began=utc_now(),
                    events=[(semconv.EVALUATION_EVENT, shown)],
                )


def write_swept(executor: Executor, events: Sequence[Event], version_of: VersionOf) -> None:
    """Spans of lost attempts, from their events, and of jobs that ended. `events` are a sweep's.

    An attempt that lost its lease writes neither its own span nor those of its unfinished steps.
    """
    if not is_exporting() or not events:
        return
    with _at_most_lost():
        _write_swept(executor, events, version_of)


def _write_swept(executor: Executor, events: Sequence[Event], version_of: VersionOf) -> None:
    jobs = facts_of(executor, {event.job_id for event in events})
    rows = executor.execute(
        _EVENTS, {"ids": list(jobs), "types": ["job.started", *_STEPS, "job.queued", "job.waiting", *FINAL_EVENTS]}
    )
    stored: dict[UUID, list[Event]] = defaultdict(list)
    for row in rows:
        stored[row.job_id].append(Event(*tuple(row)))
    for event in events:
        job = jobs.get(event.job_id)
        if job is None:
            continue
        _write_lost_attempt(job, event, [each for each in stored[job.id] if each.id < event.id])
        if event.is_final:
            _write_job(job, version_of)


@contextmanager
def _at_most_lost() -> Iterator[None]:
    """Keep a failure to read spans' data from affecting the work, which is already done and committed."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        _log.warning("spans_lost", error=type(error).__name__)


def _write_job(job: JobFacts, version_of: VersionOf, evaluations: Sequence[tuple[str, Attributes]] = ()) -> None:
    quantities: Counter[str] = Counter()
    for line in job.usage:
        quantities.update(line.get("quantities", {}))
    usage = ModelUsage("", quantities)
    version = version_of(job.capability)
    is_priced = all(line.get("priced", True) for line in job.usage)
    conversation = job.metadata.get("conversation_id")
    optional: dict[str, Value | None] = {
        semconv.AGENT_VERSION: version,
        semconv.CONVERSATION_ID: conversation if isinstance(conversation, str) else None,
        semconv.PARENT_JOB_ID: None if job.parent_id is None else encode(JOB, job.parent_id),
        semconv.JOB_REASON: job.reason,
    }
    with traced_for(job.scope):
        record_span(
            f"{Operation.INVOKE_AGENT} {job.capability}",
            parent=job.trace.parent or ROOT,
            identity=job.trace.context,
            attributes={
                semconv.OPERATION: Operation.INVOKE_AGENT.value,
                semconv.PROVIDER: semconv.OURS,
                semconv.AGENT_ID: job.capability,
                semconv.AGENT_NAME: job.capability,
                semconv.JOB_STATE: job.state,
                semconv.JOB_ATTEMPTS: job.attempt,
                semconv.INPUT_TOKENS: usage.input_tokens,
                semconv.OUTPUT_TOKENS: usage.output_tokens,
                semconv.COST_USD: float(job.cost_usd or ZERO),
                semconv.COST_PRICED: is_priced,
                **{name: value for name, value in optional.items() if value is not None},
            },
            began=job.created_at,
            ended=job.finished_at,
            error=None if job.state in {"succeeded", "cancelled"} else job.reason or job.state,
            events=evaluations,
        )


def _write_lost_attempt(job: JobFacts, event: Event, before: Sequence[Event]) -> None:
    """The attempt that ran until `event`, if one did; `before` are the job's earlier events.

    Includes the last spans that its process had finished but may not have sent.
    """
    attempts = list(_attempts(before))
    if not attempts or attempts[-1].end is not None:
        return
    lost = attempts[-1]
    sent = max(each.created_at for each in (lost.begun, *lost.events)) - _SENT_AFTER
    for attempt in attempts:
        end = attempt.end or event
        if end.created_at >= sent:
            _write_attempt(job, attempt, end, sent)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt's events; `end` is None for one that was lost."""

    begun: Event
    events: Sequence[Event]
    end: Event | None


def _attempts(events: Sequence[Event]) -> Iterator[_Attempt]:
    places = [place for place, each in enumerate(events) if each.type == "job.started"]
    for place, after in zip(places, [*places[1:], len(events)], strict=True):
        own = events[place + 1 : after]
        yield _Attempt(events[place], own, next((each for each in own if each.type in _ENDS), None))


def _write_attempt(job: JobFacts, attempt: _Attempt, end: Event, sent: datetime) -> None:
    number = attempt.begun.attempt
    problem = end.data.get("error")
    error = str(problem["code"]) if isinstance(problem, Mapping) and "code" in problem else None
    if attempt.end is None:
        error = str(end.data.get("reason", end.type))
    with traced_for(TraceScope(job.organization_id, job.project_id, job.capability, job.id, number)):
        record_span(
            f"attempt {number}",
            parent=job.trace.context,
            identity=job.trace.attempt(number),
            kind=SpanKind.CONSUMER,
            attributes={semconv.OUTCOME: end.type, semconv.REBUILT: True},
            links=[job.trace.attempt(number - 1)] if number > 1 else [],
            began=attempt.begun.created_at,
            ended=end.created_at,
            error=None if end.type == "job.waiting" else error,
        )
        for begun, finished in _steps(attempt.events):
            if finished is not None and finished.created_at < sent:
                continue
            name = str(begun.data.get("step"))
            record_span(
                f"step {name}",
                parent=job.trace.attempt(number),
                identity=job.trace.step(number, begun.id),
                attributes={semconv.STEP: name, semconv.REBUILT: True},
                began=begun.created_at,
                ended=(finished or end).created_at,
                error=error if finished is None and attempt.end is None else None,
            )


def _steps(events: Sequence[Event]) -> Iterator[tuple[Event, Event | None]]:
    """Each started step, with the event of its end; of several with one name, the first to start ends first."""
    finished: dict[Any, deque[Event]] = defaultdict(deque)
    for each in events:
        if each.type == "step.finished":
            finished[each.data.get("step")].append(each)
    for each in events:
        if each.type == "step.started":
            ends = finished[each.data.get("step")]
            yield each, ends.popleft() if ends else None
