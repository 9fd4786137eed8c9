"""A request of this dialect as an ordinary job: submitted, awaited, and cancelled when its client disconnects."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import Request
from sqlalchemy.orm import Session

from api.answers import carry_out, identify_request
from api.deps import Runtime, get_runtime
from api.jobs.cancelling import announce_cancelled, cancel
from api.jobs.submitting import announce_submitted, find_manifest
from api.jobs.waiting import wait_for_end
from api.openai.errors import Failure, Refused, of_job, refuse
from api.openai.responses.inline_files import InlineFile, stored
from api.routing import caller
from core.capability import Manifest
from core.jobs.records import JobRecord, NewJob, declared_class
from core.keys.idempotency import Answer, IdempotentRequest
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.errors import Unprocessable
from core.kit.ids import JOB, decode, encode
from core.kit.telemetry import current_traceparent
from core.registry.errors import ModelUnknown
from core.registry.records import ResolvedModel

# The label by which experiments identify a client's own user (workers.context.END_USER).
END_USER = "end_user"
# Labels of this dialect on a job; clients' labels may not start with this.
LABELS = "openai."
_WAIT_SECONDS = 3600


async def resolve_model(request: Request, capability: str, name: str) -> ResolvedModel:
    """The gateway's model called `name`, for this caller. Raises `Refused` when there is none."""
    return await get_runtime(request).in_thread(resolve_here, request, capability, name)


def resolve_here(request: Request, capability: str, name: str) -> ResolvedModel:
    """As `resolve_model`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    try:
        return runtime.catalogue.resolve(
            runtime.database.single_tenant(principal.organization_id),
            organization_id=principal.organization_id,
            project_id=principal.project_id,
            capability=capability,
            name=name,
        )
    except ModelUnknown as unknown:
        raise Refused(Failure(404, unknown.code, unknown.detail, "model")) from None


def labels(given: Mapping[str, str] | None, user: str | None, **ours: str | None) -> dict[str, str]:
    """The job's metadata: the client's, its user, and this dialect's own labels."""
    reserved = next((name for name in given or {} if name.startswith(LABELS)), None)
    if reserved is not None:
        raise refuse(f"metadata.{reserved}", f"metadata: names that begin with {LABELS!r} are reserved")
    try:
        declared_class(given or {})
    except Unprocessable as refusal:
        raise refuse("metadata.data_class", refusal.detail) from None
    found = {LABELS + name: value for name, value in ours.items() if value is not None}
    return {**({END_USER: user} if user else {}), **(given or {}), **found}


async def submit(
    request: Request,
    capability: str,
    given: dict[str, Any],
    metadata: dict[str, str],
    inherited_class: DataClass | None = None,
    *,
    files: Sequence[InlineFile] = (),
) -> JobRecord:
    """A job of `capability`, accepted and durable; the earlier one for an ``Idempotency-Key`` that was used.

    `inherited_class` is that of the job whose answer it continues; `files` are added to the project with the job.
    Raises the errors of `find_manifest` and of `core.jobs.service.JobService.submit`; nothing is persisted then.
    """
    runtime, principal = get_runtime(request), caller(request)
    manifest = find_manifest(capability, principal)
    identity = identify_request(request, await request.body())
    new = replace(new_job(manifest, given, metadata), inherited_class=inherited_class)
    return await runtime.in_thread(_submit, request, new, identity, files)


def new_job(manifest: Manifest, given: dict[str, Any], metadata: dict[str, str]) -> NewJob:
    """The job to submit for a request."""
    return NewJob(
        capability=manifest.id,
        pool=manifest.pool,
        input=given,
        needs=manifest.needs(given),
        metadata=metadata,
        declared_class=declared_class(metadata),
        deadline_seconds=manifest.deadline_seconds,
        max_attempts=manifest.max_attempts,
        reserve_usd=manifest.reserve_usd,
        traceparent=current_traceparent(),
    )


def _submit(
    request: Request, new: NewJob, identity: IdempotentRequest | None, files: Sequence[InlineFile]
) -> JobRecord:
    runtime, principal = get_runtime(request), caller(request)
    made: list[JobRecord] = []

    def produce(session: Any) -> Answer:
        with stored(runtime, session, principal, files, new.declared_class):
            made.append(runtime.jobs.submit(session, principal, new))
        return Answer(200, encode(JOB, made[0].id).encode())

    if identity is None and not files:
        produce(runtime.database.single_tenant(principal.organization_id))
    else:
        first = carry_out(request, identity, produce)
        if first.is_replayed:
            session = runtime.database.single_tenant(principal.organization_id)
            return runtime.jobs.get(session, principal, decode(JOB, first.body.decode()))
    announce_submitted(runtime, made[0])
    return made[0]


async def finish(request: Request, job: JobRecord) -> tuple[JobRecord, dict[str, Any]]:
    """The job and its result, once it succeeded. A client that disconnects meanwhile cancels it.

    Raises `Refused` with the reason when there will be no result.
    """
    ended, result = await wait(request, job)
    if result is None:
        if not ended.is_terminal:
            await cancel_job(get_runtime(request), caller(request), job.id)
        raise Refused(of_job(ended))
    return ended, result


async def wait(request: Request, job: JobRecord) -> tuple[JobRecord, dict[str, Any] | None]:
    """The job once it has ended or waits for someone, and its result.

    A client that disconnects meanwhile cancels the job, unless it sent an ``Idempotency-Key``: then it can send the
    request again to get the answer.
    """
    runtime, principal = get_runtime(request), caller(request)
    waiting = asyncio.ensure_future(wait_for_end(runtime, principal, job.id, _WAIT_SECONDS))
    gone = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            ended, result = waiting.result()
            if ended.is_terminal or not runtime.hub.is_stopping:
                return ended, result
            raise Refused(
                Failure(503, "server_stopping", "the server is restarting; send the request again", repeat=True)
            )
        if "idempotency-key" not in request.headers:
            await cancel_job(runtime, principal, job.id)
        raise Refused(Failure(408, "client_gone", "the client disconnected"))
    finally:
        for task in (waiting, gone):
            task.cancel()
        await asyncio.gather(waiting, gone, return_exceptions=True)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def cancel_job(runtime: Runtime, principal: Principal, job_id: UUID) -> JobRecord:
    """Cancel a job; the job as it is then."""
    return await runtime.in_thread(_cancel, runtime, principal, job_id)


def _cancel(runtime: Runtime, principal: Principal, job_id: UUID) -> JobRecord:
    session: Session
    with runtime.database.tenant(principal.organization_id) as session:
        job, touched = cancel(runtime, session, principal, job_id)
    announce_cancelled(runtime, principal, touched)
    return job
