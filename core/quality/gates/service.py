"""Records runs, and requires them before a promotion. Everything here adds to the caller's transaction."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.batches.service import Batches
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import Conflict, NotFound, Unprocessable
from core.kit.ids import MODEL, MODEL_VERSION, QUALITY_RUN, encode
from core.quality.gates import repository
from core.quality.gates.records import Gate, NewRun, Run
from core.registry import service as registry
from core.registry.records import Owner


class RunNotRecordable(Conflict):
    """The batch has not ended, was recorded before, or its jobs used no model version, or several."""

    default_code = "quality_run_not_recordable"


class GateNotFound(NotFound):
    """The model has no gate."""

    default_code = "quality_gate_not_found"


class GateNotPassed(Conflict):
    """No run of the version has shown what the model's gate asks for."""

    default_code = "quality_gate_not_passed"


def record_run(session: Session, principal: Principal, batches: Batches, new: NewRun) -> Run:
    """Record the result of a batch that ran a data set, for the model version that its jobs used.

    The caller reports the counts; batch, version and number of cases are verified. Raises `BatchNotFound`,
    `RunNotRecordable`, and `Unprocessable` for counts that the batch cannot have.
    """
    batch = batches.get(session, principal, new.batch_id)
    if not batch.has_ended:
        raise RunNotRecordable(f"the batch is {batch.state}; record its run when it has ended")
    if new.passed > min(new.checked, batch.counts.succeeded) or new.checked > batch.counts.total:
        message = f"the batch has {batch.counts.total} lines, of which {batch.counts.succeeded} succeeded"
        problem = {"path": "body.passed", "code": "counts_impossible", "message": message}
        raise Unprocessable(f"body.passed: {message}", errors=[problem])
    versions = repository.versions_of(session, principal, new.batch_id)
    if len(versions) != 1:
        used = ", ".join(sorted(versions)) or "none"
        raise RunNotRecordable(f"a run is of one model version; the jobs of this batch used: {used}")
    made = repository.add_run(session, principal, new, versions[0], batch.counts.total)
    if made is None:
        raise RunNotRecordable("the run of this batch with this data set is recorded already")
    facts = {"dataset": made.dataset, "model_version": made.model_version, "checked": made.checked}
    _audit(session, principal, AuditAction.QUALITY_RUN, encode(QUALITY_RUN, made.id), {**facts, "passed": made.passed})
    return made


def set_gate(  # noqa: PLR0917 - one gate
    session: Session, principal: Principal, model_id: UUID, dataset: str, min_share: float, min_cases: int
) -> Gate:
    """Require versions of one of the organization's models to pass before promotion.

    Raises `ModelNotFound` and `SharedReadOnly`.
    """
    registry.get_own_model(session, Owner.of(principal), model_id)
    made = repository.set_gate(session, principal, model_id, dataset, min_share, min_cases)
    facts = {"dataset": dataset, "min_share": min_share, "min_cases": min_cases}
    _audit(session, principal, AuditAction.QUALITY_GATE_SET, encode(MODEL, model_id), facts)
    return made


def remove_gate(session: Session, principal: Principal, model_id: UUID) -> None:
    """Allow a model to promote any version again. Raises `GateNotFound`."""
    if not repository.remove_gate(session, principal.organization_id, model_id):
        raise GateNotFound(f"the model {encode(MODEL, model_id)} has no gate")
    _audit(session, principal, AuditAction.QUALITY_GATE_REMOVE, encode(MODEL, model_id), {})


def require_passed(session: Executor, organization_id: UUID, model_id: UUID, number: int) -> None:
    """Raise `GateNotPassed` unless the model has no gate, or the version's last run of its data set passes.

    An unknown version is not checked here: its promotion reports it.
    """
    gate = repository.get_gate(session, organization_id, model_id)
    if gate is None:
        return
    try:
        version = registry.get_version(session, organization_id, model_id, number)
    except NotFound:
        return
    run = repository.last_run(session, organization_id, encode(MODEL_VERSION, version.id), gate.dataset)
    wanted = f"{gate.min_share:.1%} of at least {gate.min_cases} cases of {gate.dataset}"
    if run is None:
        raise GateNotPassed(f"version {number} has to pass {wanted} first, and no run of it is recorded")
    if run.checked < gate.min_cases or run.share < gate.min_share:
        raise GateNotPassed(
            f"version {number} has to pass {wanted}; its last run passed {run.passed} of {run.checked}",
            run=encode(QUALITY_RUN, run.id),
        )


def _audit(session: Session, principal: Principal, action: AuditAction, subject_id: str, facts: dict[str, Any]) -> None:
    record(session, principal.organization_id, None, action, subject_id=subject_id, actor=principal.actor, detail=facts)
