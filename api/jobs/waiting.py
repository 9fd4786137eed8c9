"""Waiting for a job: ``Prefer: wait`` until it ends, ``?wait=`` until it changes. Nothing blocks a thread meanwhile."""

from time import monotonic
from typing import Any
from uuid import UUID

from api.deps import Runtime
from api.events import wait_for_news
from api.streaming import first_signal
from core.jobs.records import JobRecord
from core.jobs.states import JobState, Reason
from core.jobs.suspension import questions
from core.jobs.suspension.records import Question
from core.keys.principal import Principal


async def wait_for_end(
    runtime: Runtime, principal: Principal, job_id: UUID, seconds: int
) -> tuple[JobRecord, dict[str, Any] | None]:
    """The job once it has ended, waits for its client, or the time is up; with its result if it has one."""
    until = monotonic() + seconds
    async with runtime.hub.subscribe(job_id) as subscription:
        await first_signal(subscription)
        while True:
            job = await runtime.in_thread(read, runtime, principal, job_id)
            if job.is_terminal or _is_resting(job) or monotonic() >= until:
                break
            if not await wait_for_news(runtime.hub, subscription, until) and runtime.hub.is_stopping:
                break
    return await with_result(runtime, principal, job)


async def wait_for_change(runtime: Runtime, principal: Principal, job: JobRecord, seconds: int) -> JobRecord:
    """The job once its state or attempt differs from `job`'s, or the time is up."""
    until = monotonic() + seconds
    before = (job.state, job.attempt, job.cancel_requested_at)
    async with runtime.hub.subscribe(job.id) as subscription:
        await first_signal(subscription)
        while True:
            job = await runtime.in_thread(read, runtime, principal, job.id)
            if (job.state, job.attempt, job.cancel_requested_at) != before or monotonic() >= until:
                return job
            if not await wait_for_news(runtime.hub, subscription, until) and runtime.hub.is_stopping:
                return job


async def with_result(
    runtime: Runtime, principal: Principal, job: JobRecord
) -> tuple[JobRecord, dict[str, Any] | None]:
    """`job` with its result, read again, once it has succeeded."""
    if job.state is not JobState.SUCCEEDED:
        return job, None
    return await runtime.in_thread(_read_result, runtime, principal, job.id)


def is_asking(job: JobRecord) -> bool:
    """Whether the job waits for a person's answer."""
    return job.state is JobState.WAITING and job.reason == Reason.INPUT


def open_questions(runtime: Runtime, principal: Principal, job: JobRecord) -> list[Question]:
    """The questions that the job waits for a person to answer. Blocks."""
    return questions.open_questions(runtime.database.single_tenant(principal.organization_id), principal, job)


def _is_resting(job: JobRecord) -> bool:
    """Whether the job needs someone outside to act before it resumes. Its child jobs need no one."""
    return job.state is JobState.WAITING and job.reason != Reason.CHILDREN


def read(runtime: Runtime, principal: Principal, job_id: UUID) -> JobRecord:
    """The job. Blocks. Raises `NotFound` and `ClearanceExceeded`."""
    return runtime.jobs.open(runtime.database.single_tenant(principal.organization_id), principal, job_id)


def _read_result(runtime: Runtime, principal: Principal, job_id: UUID) -> tuple[JobRecord, dict[str, Any] | None]:
    session = runtime.database.single_tenant(principal.organization_id)
    job, _, result = runtime.jobs.get_with_payloads(session, principal, job_id)
    return job, result
