"""The common part of routes that submit jobs: find the capability, check the input, announce the job."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from api.answers import carry_out
from api.deps import Runtime, get_runtime
from api.jobs.schemas import SubmitJob, dump
from api.problem import field_problems, invalid
from api.routing import caller
from core.capability import Manifest
from core.jobs.records import JobRecord, NewJob
from core.jobs.service import queued_event
from core.keys import authority
from core.keys.idempotency import Answer, IdempotentRequest
from core.keys.principal import Principal
from core.kit import semconv
from core.kit.ids import JOB, encode
from core.kit.metrics import JOBS_SUBMITTED, SUBMISSIONS_REPLAYED
from core.kit.telemetry import annotate, current_traceparent
from core.webhooks.errors import TargetRefused
from core.webhooks.records import JobWebhook
from pipelines.registry import manifests


def find_manifest(capability: str, principal: Principal) -> Manifest:
    """The capability, if the caller may use it.

    Raises `Unprocessable` (``capability_unknown``), `CapabilityDenied` and `ScopeMissing`.
    """
    manifest = manifests().get(capability)
    if manifest is None:
        known = ", ".join(sorted(manifests()))
        refusal = invalid(
            [
                {
                    "path": "body.capability",
                    "code": "capability_unknown",
                    "message": f"not available; available capabilities: {known}",
                }
            ]
        )
        refusal.code = "capability_unknown"
        raise refusal
    authority.require(principal, capability, manifest.scopes)
    return manifest


def check_input(manifest: Manifest, given: dict[str, Any], root: tuple[str, ...] = ("body", "input")) -> frozenset[str]:
    """The scopes that this input needs (`NewJob.needs`).

    Raises `Unprocessable` naming the fields below `root` that do not match the capability's schema.
    """
    try:
        return manifest.needs(given)
    except ValidationError as error:
        raise invalid(field_problems(error.errors(include_input=False, include_url=False), root)) from None


def new_job(principal: Principal, body: SubmitJob) -> NewJob:
    """The job that `body` asks for, without its webhook.

    Raises what `find_manifest` and `check_input` raise, and `ScopeMissing` for what the input needs.
    """
    manifest = find_manifest(body.capability, principal)
    needs = check_input(manifest, body.input)
    authority.require(principal, manifest.id, needs)
    return NewJob(
        capability=manifest.id,
        pool=manifest.pool,
        input=body.input,
        needs=needs,
        metadata=body.metadata,
        priority=body.priority,
        run_at=body.run_at,
        deadline_at=body.deadline_at,
        deadline_seconds=body.deadline_seconds or (None if body.deadline_at else manifest.deadline_seconds),
        max_attempts=body.max_attempts or manifest.max_attempts,
        max_cost_usd=body.max_cost_usd,
        reserve_usd=manifest.reserve_usd if body.max_cost_usd is None else body.max_cost_usd,
        traceparent=current_traceparent(),
        declared_class=body.data_class,
    )


def submit(request: Request, new: NewJob, identity: IdempotentRequest | None) -> Answer:
    """Submit a job once, and announce it. Blocks. Raises what `JobService.submit` and `answer_once` raise."""
    runtime, principal = get_runtime(request), caller(request)
    made: list[JobRecord] = []

    def produce(session: Any) -> Answer:
        job = runtime.jobs.submit(session, principal, new)
        made.append(job)
        return Answer(202, dump(job, None), f"/v1/jobs/{encode(JOB, job.id)}")

    if identity is None:
        # One statement is the whole transaction: one round trip.
        answer = produce(runtime.database.single_tenant(principal.organization_id))
    else:
        answer = carry_out(request, identity, produce)
        if answer.is_replayed:
            SUBMISSIONS_REPLAYED.inc()
    for job in made:
        announce_submitted(runtime, job)
    return answer


async def receiver(
    runtime: Runtime,
    principal: Principal,
    url: str,
    events: Sequence[str] = (),
    *,
    include_result: bool = False,
) -> dict[str, Any]:
    """The webhook that a job or batch names, as it is stored.

    Raises `TargetRefused` at ``body.webhook.url``, and `Conflict` when the project has no secret to sign with.
    """
    try:
        await runtime.webhook_targets.check_soon(url)
    except TargetRefused as refusal:
        raise refusal.at("body.webhook.url") from None
    session = runtime.database.single_tenant(principal.organization_id)
    await runtime.in_thread(runtime.webhooks.require_project_secret, session, principal)
    return JobWebhook(url, tuple(events), include_result).as_json()


def announce_submitted(runtime: Runtime, job: JobRecord) -> None:
    """Announce a job, after its transaction."""
    annotate({semconv.JOB_ID: encode(JOB, job.id), semconv.CAPABILITY: job.capability})
    runtime.announcer.event(queued_event(job), hint=job.pool)
    JOBS_SUBMITTED.labels(job.capability).inc()
