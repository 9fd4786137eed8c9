"""The common part of routes that submit jobs: find the capability, check the input, announce the job."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from api.deps import Runtime
from api.problem import field_problems, invalid
from core.capability import Manifest
from core.jobs.records import JobRecord
from core.jobs.service import queued_event
from core.keys import authority
from core.keys.principal import Principal
from core.kit import semconv
from core.kit.ids import JOB, encode
from core.kit.metrics import JOBS_SUBMITTED
from core.kit.telemetry import annotate
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
