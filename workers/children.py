"""Calls other capabilities from a running attempt: as child jobs, during which the attempt is suspended."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy.orm import Session

from core.capability import ChildCall, ChildOutcome, JobSuspended
from core.jobs.records import Event, JobRecord
from core.jobs.service import JobService, queued_event
from core.jobs.states import Reason
from core.jobs.suspension import children, repository
from core.jobs.suspension.records import Child
from core.kit.blob import BlobNotFound
from core.kit.data_classes import DataClass
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.money import format_cost
from core.kit.settings import Settings
from core.kit.telemetry import current_traceparent
from pipelines.registry import manifests
from workers import questions
from workers.tracing import AttemptTrace


class Attempt(questions.Attempt, Protocol):
    """The parts of an attempt that a call needs."""

    job: JobRecord
    trace: AttemptTrace

    def raise_class(self, data_class: DataClass, because: str) -> None:
        """Raise the job's data class to this one."""

    def transaction(self) -> AbstractContextManager[Session]:
        """A transaction as the job's tenant."""

    def publish(self, events: Sequence[Event], *, hint: str | None = None) -> None:
        """Announce persisted events after their commit."""


def call_all(
    attempt: Attempt, service: JobService, settings: Settings, calls: Sequence[ChildCall]
) -> list[ChildOutcome]:
    """How the children ended, in the order of `calls`. Raises `JobSuspended` until all have ended.

    Raises ValueError when two calls have the same key, and `CapabilityFailure` when a child cannot be started.
    """
    attempt.check()
    if len({call.key for call in calls}) < len(calls):
        raise ValueError("two calls have the same key, which would be one child")
    if not calls:
        return []
    found = _children(attempt)
    missing = [call for call in calls if call.key not in found]
    if missing:
        _start(attempt, service, settings, missing)
        found = _children(attempt)
    wanted = [found[call.key] for call in calls]
    unfinished = sum(not child.has_ended for child in wanted)
    if unfinished:
        message = f"waits for {unfinished} of {len(wanted)} child jobs"
        raise JobSuspended(Reason.CHILDREN, {"code": Reason.CHILDREN, "message": message})
    _report_ended(attempt, wanted)
    for child in wanted:
        attempt.trace.join(child.job_id)
        attempt.raise_class(child.data_class, encode(JOB, child.job_id))
    return [_outcome(service, child) for child in wanted]


def _children(attempt: Attempt) -> dict[str, Child]:
    found = repository.children(attempt.executor, attempt.organization_id, attempt.job_id)
    return {child.key: child for child in found}


def _start(attempt: Attempt, service: JobService, settings: Settings, calls: Sequence[ChildCall]) -> None:
    known = manifests()
    unknown = sorted({call.capability for call in calls} - known.keys())
    if unknown:
        message = f"a child job asks for {', '.join(unknown)}, which is not offered here"
        raise CapabilityFailure(message, code=Reason.CAPABILITY_UNKNOWN)
    chosen = [(call, known[call.capability]) for call in calls]
    with attempt.transaction() as session:
        own = known.get(attempt.job.capability)
        may_call = frozenset() if own is None else own.calls
        started = children.start(session, service, settings, attempt.job, chosen, current_traceparent(), may_call)
    for child in started:
        attempt.publish([queued_event(child)], hint=child.pool)


def _report_ended(attempt: Attempt, ended: Sequence[Child]) -> None:
    """Emit ``child.finished`` for those that ended before this job started to wait for them."""
    unreported = [child for child in ended if not child.is_reported]
    if not unreported:
        return
    with attempt.persisting() as (session, persist):
        newly_reported = repository.mark_reported(session, attempt.job_id, [child.key for child in unreported])
        for child in unreported:
            if child.key in newly_reported:
                persist(
                    "child.finished",
                    {
                        "key": child.key,
                        "job_id": encode(JOB, child.job_id),
                        "state": child.state,
                        "reason": child.reason,
                        "cost_usd": format_cost(child.cost_usd, priced=child.is_priced),
                        "priced": child.is_priced,
                    },
                )


def _outcome(service: JobService, child: Child) -> ChildOutcome:
    try:
        result = service.payloads.get(child.result, child.result_ref)
    except BlobNotFound:
        result = None
    return ChildOutcome(
        child.key, child.job_id, child.state.value, result, child.error, child.cost_usd, child.is_priced
    )
