"""Child jobs: started once each, by key, and read by the parent that waits for them. Only the edge commits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.orm import Session

from core.capability import ChildCall, JobCancelled, LeaseLost, Manifest
from core.jobs.records import JobRecord, NewJob
from core.jobs.service import JobService
from core.jobs.states import Priority
from core.jobs.suspension import repository
from core.jobs.suspension.questions import check_key
from core.jobs.suspension.records import Node, Parent
from core.keys.authority import act_for
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import CapabilityFailure, NotFound, RateLimited, WaybillError
from core.kit.ids import JOB, encode
from core.kit.settings import Settings

# A cap must be more than nothing: a child of a parent with nothing left may still do free work.
_SMALLEST_USD = Decimal("0.000000001")


def start(  # noqa: PLR0917 - what submits, for whom, and what
    session: Session,
    service: JobService,
    settings: Settings,
    job: JobRecord,
    calls: Sequence[tuple[ChildCall, Manifest]],
    traceparent: str | None,
    may_call: frozenset[str] = frozenset(),
) -> list[JobRecord]:
    """Submit the children among `calls` that the job does not have yet, through `service`; returns them.

    The parent's row stays locked until the transaction ends, so that a key becomes one child, even under concurrent
    calls; all of them are submitted or none. The first use of a key stands: a repeated call, perhaps reworded by a
    model, is the same call. Raises `LeaseLost`, `JobCancelled`, and `CapabilityFailure` (``invalid_child``,
    ``too_many_children``, ``too_deep``, ``key_revoked``, or another refusal of submitting). `may_call` are the
    capabilities that the job's own one calls as part of its work (`Manifest.calls`).
    """
    parent = repository.lock_parent(session, job.id, job.attempt)
    if parent is None:
        raise LeaseLost
    if parent.is_cancelled:
        raise JobCancelled
    known = repository.child_keys(session, job.organization_id, job.id)
    fresh = [(call, manifest) for call, manifest in calls if call.key not in known]
    if not fresh:
        return []
    if len(known) + len(fresh) > settings.job_children_max:
        message = f"a job may have {settings.job_children_max} child jobs, and this one asks for more"
        raise CapabilityFailure(message, code="too_many_children")
    if parent.depth >= settings.job_depth_max:
        message = f"jobs may call jobs {settings.job_depth_max} levels deep, and this one asks for one more"
        raise CapabilityFailure(message, code="too_deep")
    try:
        # The key that submitted the parent sets the limits and pays; the child acts in the worker's name.
        principal = act_for(job.organization_id, job.project_id, parent, "worker")
    except WaybillError as refusal:
        raise CapabilityFailure(refusal.detail, code=refusal.code) from None
    if principal.capabilities is not None:
        # Permission for a capability includes the ones it calls as part of its work.
        principal = replace(principal, capabilities=principal.capabilities | may_call)
    started = []
    for position, (call, manifest) in enumerate(fresh, start=len(known)):
        check_key(call.key)
        child = _submit(session, service, principal, job.id, parent, call, manifest, traceparent)
        repository.link(session, job.organization_id, job.id, key=call.key, child_id=child.id, position=position)
        started.append(child)
    return started


def tree(executor: Executor, principal: Principal, job_id: UUID) -> list[Node]:
    """The job and all below it, parents first. Raises `NotFound`."""
    nodes = repository.tree(executor, principal, job_id)
    if not nodes:
        raise NotFound(f"there is no job {encode(JOB, job_id)} in this project", code="job_not_found")
    return nodes


def _submit(  # noqa: PLR0917 - all of it is the child
    session: Session,
    service: JobService,
    principal: Principal,
    parent_id: UUID,
    parent: Parent,
    call: ChildCall,
    manifest: Manifest,
    traceparent: str | None,
) -> JobRecord:
    try:
        needs = manifest.needs(dict(call.payload))
    except ValidationError as error:
        places = ", ".join(sorted({".".join(map(str, problem["loc"])) or "input" for problem in error.errors()}))
        message = f"the child {call.key!r} does not match the input of {manifest.id} at {places}"
        raise CapabilityFailure(message, code="invalid_child") from None
    new = NewJob(
        capability=manifest.id,
        pool=manifest.pool,
        input=dict(call.payload),
        needs=needs,
        metadata=parent.metadata,
        priority=Priority.of_rank(parent.priority),
        deadline_at=_deadline(parent, call.deadline_seconds or manifest.deadline_seconds),
        max_attempts=manifest.max_attempts,
        max_cost_usd=_cap(parent, call.max_cost_usd),
        traceparent=traceparent,
        parent_id=parent_id,
        root_id=parent.root_id,
        inherited_class=parent.data_class,
    )
    try:
        return service.submit(session, principal, new)
    except WaybillError as refusal:
        retryable = isinstance(refusal, RateLimited)
        raise CapabilityFailure(refusal.detail, code=refusal.code, retryable=retryable) from None


def _deadline(parent: Parent, seconds: float) -> datetime:
    own = parent.now + timedelta(seconds=seconds)
    return own if parent.deadline_at is None else min(own, parent.deadline_at)


def _cap(parent: Parent, asked: Decimal | None) -> Decimal | None:
    if asked is None or parent.left_usd is None:
        return asked
    return max(min(asked, parent.left_usd), _SMALLEST_USD)
