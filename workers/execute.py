"""One attempt from claim to end. Each way an attempt can end is one line of `execute`."""

import random
from collections.abc import Mapping
from datetime import timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError

from core.capability import JobCancelled, JobSuspended, LeaseLost, Manifest
from core.jobs import leases
from core.jobs.records import Claim, Event
from core.jobs.states import FAIL, RETRY, STOP, SUCCEED, SUSPEND, Reason
from core.jobs.suspension import repository as suspensions
from core.jobs.trail import digest_of
from core.keys.authority import require
from core.keys.errors import CapabilityDenied, KeyRevoked, NotAMember, ScopeMissing
from core.keys.principal import Principal
from core.kit.clock import isoformat, utc_now
from core.kit.db import is_refused_value, is_unavailable
from core.kit.errors import CapabilityFailure, Outage, Unavailable, Unstorable
from core.kit.ids import JOB, encode
from core.kit.json_values import clean
from core.kit.logging import bound_log_context, get_logger
from core.kit.metrics import DUPLICATES_REFUSED, LEASES_LOST, observe_finished_job, observe_started_job
from core.kit.metrics.money import observe_attempt_of
from pipelines.registry import manifests
from workers.context import AttemptContext, CallerGone, WorkerStopping
from workers.graph_versions import choose_runner, unknown_capability
from workers.isolated import run_isolated
from workers.runtime import Runtime
from workers.scores import scores_of

_BACKOFF_MAX_SECONDS = 60.0
# The first wait for a dependency that does not name a time; it doubles with each one.
_OUTAGE_SECONDS, _OUTAGE_MAX_SECONDS = 2.0, 30.0
_OUTAGE_SPREAD = 0.1
_log = get_logger(__name__)


def execute(runtime: Runtime, job_id: UUID, *, isolated: bool = False) -> None:
    """Claim the job and run one attempt of it. Returns quietly when there is nothing to claim.

    A job whose last worker was lost runs in its own process, which is this one if `isolated`: a crash or excessive
    growth then costs other jobs one attempt at most, and only this job the later ones.

    Raises only when Postgres is unavailable: the message is then acknowledged all the same, and the dispatcher finds
    the job again, unclaimed or with an expired lease.
    """
    single = runtime.database.single_system()
    claim = leases.claim(single, job_id, runtime.worker_name, runtime.settings.lease_seconds, isolated=isolated)
    if claim is None:
        pool = None if isolated else leases.pool_if_lost(single, job_id)
        if pool is not None:
            run_isolated(job_id, pool)
            return
        DUPLICATES_REFUSED.labels(runtime.pool).inc()
        _log.debug("job_not_claimed", job_id=encode(JOB, job_id))
        return
    job = claim.job
    ctx = AttemptContext(claim, runtime.services)
    runtime.hold(ctx)
    try:
        with (
            ctx.trace.running(),
            bound_log_context(job_id=encode(JOB, job.id), project_id=str(job.project_id), attempt=job.attempt),
        ):
            _run(runtime, claim, ctx)
    finally:
        runtime.release(ctx)


def _run(runtime: Runtime, claim: Claim, ctx: AttemptContext) -> None:
    job = claim.job
    began = perf_counter()
    observe_started_job(job)
    ctx.publish([_started(claim)])
    _log.info("job_started", capability=job.capability)
    try:
        event = _attempt(runtime, claim, ctx)
    except LeaseLost:
        LEASES_LOST.labels(job.capability).inc()
        _log.warning("job_lease_lost")
        return
    ctx.publish([event], hint=job.pool)
    _announce(runtime, ctx, event)
    ctx.trace.end(event)
    seconds = perf_counter() - began
    observe_finished_job(job, event.type, seconds, _reason_of(event))
    observe_attempt_of(job.organization_id, job.capability, event.type)
    _log.info("job_attempt_ended", outcome=event.type, duration_seconds=round(seconds, 4))


def _reason_of(event: Event) -> str | None:
    """The error's code, or the reason why the attempt ended without a result."""
    error = event.data.get("error") or {}
    reason = error.get("code") or event.data.get("reason")
    return None if reason is None else str(reason)


def _announce(runtime: Runtime, ctx: AttemptContext, event: Event) -> None:
    """Publish the other changes that this attempt's end wrote: a child's end notifies its parent, and wakes it."""
    job = ctx.job
    if event.type == "job.waiting" and event.data["reason"] == Reason.CHILDREN:
        events = runtime.services.jobs.events(ctx.executor, job.organization_id, job.id, after=event.id)
        if events:
            ctx.publish(events, hint=job.pool)
    elif event.is_final and job.parent_id is not None:
        events, pool = suspensions.events_of_end(ctx.executor, job.organization_id, job.parent_id, job.id)
        if events:
            ctx.publish(events, hint=pool)


def _attempt(runtime: Runtime, claim: Claim, ctx: AttemptContext) -> Event:
    """Run and end the attempt; returns its last event. Raises `LeaseLost`, or an error when Postgres is unavailable."""
    try:
        return _run_to_end(runtime, claim, ctx)
    except Exception as error:
        if isinstance(error, LeaseLost) or is_unavailable(error):
            raise
        _log.error("job_end_not_stored", exception=ctx.guard.traceback(error))
        return _not_stored(ctx, error)


def _run_to_end(runtime: Runtime, claim: Claim, ctx: AttemptContext) -> Event:
    try:
        result = _call(runtime, claim, ctx)
        ctx.wait_settled()
        ctx.check()
    except JobCancelled:
        data = {"reason": Reason.CANCELLED_BY_CLIENT}
        return ctx.end(STOP, "job.cancelled", data, reason=Reason.CANCELLED_BY_CLIENT)
    except JobSuspended as suspended:
        shown = {"error": dict(suspended.why)} if suspended.why else {}
        return ctx.end(
            SUSPEND, "job.waiting", {"reason": suspended.reason, **shown}, reason=suspended.reason, error=suspended.why
        )
    except WorkerStopping:
        return _requeue(ctx, Reason.WORKER_STOPPED, {}, delay_seconds=0.0, counts_as_failure=False)
    except (CapabilityFailure, CallerGone) as failure:
        return _broke_off(ctx, failure)
    except Exception as error:
        if is_unavailable(error):
            raise
        _log.error("job_attempt_crashed", exception=ctx.guard.traceback(error))
        return _not_stored(ctx, error) if is_refused_value(error) else _crashed(ctx, error)
    reference = runtime.payloads.put(ctx.job_id, f"result-{ctx.attempt}", result)
    return succeed(ctx, result, reference)


def succeed(ctx: AttemptContext, result: Mapping[str, Any], reference: str | None = None) -> Event:
    """End the attempt with `result`, already stored if it has a `reference`, and with the mark of its author.

    Returns the persisted event, unpublished. Raises `LeaseLost`.
    """
    ctx.wait_settled()
    mark = ctx.disclosure.mark(result)
    disclosure = {} if mark is None else {"disclosure": mark.plain()}
    return ctx.end(
        SUCCEED,
        "job.succeeded",
        {"attempt": ctx.attempt, **disclosure},
        result=None if reference else result,
        result_ref=reference,
        result_digest=digest_of(result),
        **disclosure,
    )


def _call(runtime: Runtime, claim: Claim, ctx: AttemptContext) -> dict[str, Any]:
    try:
        caller = ctx.caller()
    except (KeyRevoked, NotAMember) as gone:
        raise CapabilityFailure(gone.detail, code=gone.code) from None
    manifest = manifests().get(claim.job.capability)
    if manifest is None:
        raise unknown_capability(ctx)
    runner = choose_runner(runtime.runner, manifest, ctx)
    given = runtime.payloads.get(claim.input, claim.input_ref)
    payload, needs = manifest.read(given)
    if claim.job.parent_id is None:
        # A child's capability was checked when its parent started it.
        _require(caller, manifest, needs)
    ctx.check()
    ctx.guard.screen_input(given)
    result = _validated(manifest, runner.run(ctx, payload))
    ctx.end_deltas()
    for name, score in scores_of(result):
        ctx.trace.evaluate(name, score)
    shown: dict[str, Any] = ctx.guard.value(result)
    return shown


def _require(caller: Principal, manifest: Manifest, needs: frozenset[str]) -> None:
    try:
        require(caller, manifest.id, needs)
    except (CapabilityDenied, ScopeMissing) as refusal:
        raise CapabilityFailure(refusal.detail, code=refusal.code) from None


def _validated(manifest: Manifest, output: BaseModel) -> dict[str, Any]:
    try:
        checked = manifest.output.model_validate(clean(output.model_dump()))
    except ValidationError as error:
        places = sorted({".".join(map(str, problem["loc"])) for problem in error.errors()})
        detail = f"the capability's result does not match its schema at {', '.join(places)}"
        raise CapabilityFailure(detail, code=Reason.INVALID_OUTPUT) from error
    try:
        return checked.model_dump(mode="json")
    except ValueError as error:
        # Nested so deeply that the serializer takes it for a circular reference, or of an unknown type.
        raise Unstorable("the capability's result has no form in JSON") from error


def _crashed(ctx: AttemptContext, error: Exception) -> Event:
    # An unknown exception's text may quote the payload, so only its type is logged.
    message = f"the capability stopped with an unexpected {type(error).__name__}"
    return _fail(ctx, Reason.CAPABILITY_ERROR, message, retryable=True)


def _not_stored(ctx: AttemptContext, error: Exception) -> Event:
    """Another attempt would cost again, and end the same way, unless the cause is an unavailable blob store."""
    if isinstance(error, Unavailable):
        return _fail(ctx, error.code, error.detail, retryable=True)
    detail = error.detail if isinstance(error, Unstorable) else f"Postgres refused a value ({type(error).__name__})"
    return _fail(ctx, Unstorable.default_code, detail, retryable=False)


def _broke_off(ctx: AttemptContext, failure: "CapabilityFailure | CallerGone") -> Event:
    if isinstance(failure, CapabilityFailure) and failure.outage is not None:
        return _put_back(ctx, failure, failure.outage)
    return _fail(ctx, failure.code, ctx.guard.message(failure.detail), retryable=failure.retryable)


def _fail(ctx: AttemptContext, code: str, message: str, *, retryable: bool) -> Event:
    error = {"code": code, "message": message}
    failures = ctx.job.failures + 1
    if retryable and failures < ctx.job.max_attempts:
        # Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
        delay_seconds = random.uniform(0, min(_BACKOFF_MAX_SECONDS, 2.0**failures))  # noqa: S311 - not a secret
        return _requeue(ctx, Reason.RETRY, {"error": error}, delay_seconds=delay_seconds, counts_as_failure=True)
    return ctx.end(
        FAIL,
        "job.failed",
        {"reason": code, "error": error, "attempt": ctx.attempt},
        reason=code,
        error=error,
        counts_as_failure=True,
    )


def _put_back(ctx: AttemptContext, failure: CapabilityFailure, outage: Outage) -> Event:
    """Wait in the queue for a dependency: no attempt is spent, and neither a worker nor a slot is held.

    The wait that the dependency requested is kept, plus a little more, so that waiting jobs do not return all at once.
    """
    if outage.retry_after_seconds is None:
        delay = min(_OUTAGE_MAX_SECONDS, _OUTAGE_SECONDS * 2.0 ** min(ctx.job.outages, 10))
        delay *= random.uniform(0.5, 1)  # noqa: S311 - not a secret
    else:
        asked = outage.retry_after_seconds
        delay = asked + random.uniform(0.1, max(1.0, _OUTAGE_SPREAD * asked))  # noqa: S311 - not a secret
    until = isoformat(utc_now() + timedelta(seconds=delay))
    error = {
        "code": failure.code,
        "message": f"{failure.detail.rstrip('.')}. Waits for the {outage.dependency}; next try at {until}.",
        "dependency": outage.dependency,
        "until": until,
    }
    data = {"error": error, "dependency": outage.dependency, "until": until}
    _log.info("job_put_back", dependency=outage.dependency, code=failure.code, delay_seconds=round(delay, 3))
    return _requeue(ctx, Reason.DEPENDENCY_UNAVAILABLE, data, delay_seconds=delay, counts_as_failure=False, error=error)


def _requeue(
    ctx: AttemptContext,
    reason: Reason,
    data: Mapping[str, Any],
    *,
    delay_seconds: float,
    counts_as_failure: bool,
    error: Mapping[str, Any] | None = None,
) -> Event:
    return ctx.end(
        RETRY,
        "job.queued",
        {"reason": reason, "attempt": ctx.attempt, "delay_seconds": round(delay_seconds, 3), **data},
        reason=reason,
        error=error,
        delay_seconds=delay_seconds,
        counts_as_failure=counts_as_failure,
    )


def _started(claim: Claim) -> Event:
    job = claim.job
    data = {"attempt": job.attempt}
    return Event(job.id, claim.event_id, claim.previous, "job.started", job.attempt, data, claim.claimed_at)
