"""What is done to a job: by the functions that serve the same acts in ``/v1``."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import Request
from sqlalchemy.orm import Session

from api.answers import parse_id
from api.console.routing import current
from api.console.work import change, read
from api.deps import Runtime, get_runtime
from api.jobs.cancelling import announce_cancelled, cancel
from api.jobs.schemas import SubmitJob
from api.jobs.submitting import new_job, submit
from core.jobs.records import JobRecord, NewJob
from core.jobs.states import Priority
from core.keys.idempotency import IdempotentRequest, identify
from core.keys.principal import Principal
from core.kit.errors import Gone
from core.kit.ids import JOB
from core.kit.json_values import dumps


async def cancel_job(request: Request, job_id: UUID) -> JobRecord:
    """Cancel a job and all below it. Raises `NotFound`."""

    def act(runtime: Runtime, session: Session, principal: Principal) -> tuple[JobRecord, Sequence[JobRecord]]:
        return cancel(runtime, session, principal, job_id)

    job, touched = await change(request, act)
    runtime = get_runtime(request)
    await runtime.in_thread(announce_cancelled, runtime, current(request).principal, touched)
    return job


async def run_again(request: Request, job_id: UUID, once: str) -> UUID:
    """Submit a job with the input, labels, limits and data class of another; its id. Its webhook is not called again.

    `once` makes a form that is sent twice run the job once. Raises what submitting and reading the job raise, and
    `Gone` when retention has deleted the input.
    """
    job, given, _ = await read(
        request, lambda runtime, session, principal: runtime.jobs.get_with_payloads(session, principal, job_id)
    )
    if given is None:
        raise Gone("the input of this job is past its retention period", code="payload_erased")
    body = SubmitJob(
        capability=job.capability,
        input=given,
        priority=Priority.of_rank(job.priority),
        max_attempts=job.max_attempts,
        max_cost_usd=job.max_cost_usd,
        metadata=job.metadata,
        data_class=job.data_class,
    )
    new = new_job(current(request).principal, body)
    return await _submit(request, new, identify(once, b"console", job_id.bytes) if once else None)


async def run(request: Request, capability: str, given: dict[str, Any], once: str) -> UUID:
    """Submit a job with this input, once for each `once`; its id. Raises what submitting raises."""
    new = new_job(current(request).principal, SubmitJob(capability=capability, input=given))
    return await _submit(request, new, identify(once, b"console", capability.encode(), dumps(given)) if once else None)


async def _submit(request: Request, new: NewJob, identity: IdempotentRequest | None) -> UUID:
    answer = await get_runtime(request).in_thread(submit, request, new, identity)
    return parse_id(JOB, (answer.location or "").rpartition("/")[2], "job")
