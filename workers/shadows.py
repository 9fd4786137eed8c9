"""Starts the shadow runs of experiments, and ends those of experiments that have ended."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.orm import Session

from core.capability import Manifest
from core.jobs.records import JobRecord, NewJob
from core.jobs.repository import caller_of
from core.jobs.service import JobService
from core.jobs.states import Priority
from core.keys.authority import act_for
from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import NotFound, WaybillError
from core.kit.logging import get_logger
from core.registry.experiments import repository, shadows
from core.registry.experiments.definition import State
from core.registry.experiments.shadows import ShadowRun
from pipelines.registry import manifests

_BATCH = 50
_log = get_logger(__name__)


class _Dropped(Exception):
    """The run will never become a job; `reason` is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def run_once(database: Database, jobs: JobService) -> int:
    """Start or drop due runs, at most fifty, and cancel shadow jobs of ended experiments; returns how many.

    A run that cannot be started is logged and retried in the next round; the others do not wait for it.
    """
    with database.system() as session:
        waiting, orphans = shadows.due(session, _BATCH), shadows.orphans(session, _BATCH)
    done = 0
    for organization_id, project_id, job_id in orphans:
        _cancel(database, jobs, organization_id, project_id, job_id)
        done += 1
    for run in waiting:
        try:
            with database.tenant(run.organization_id) as session:
                if not shadows.lock(session, run):
                    continue
                try:
                    _start(session, jobs, run)
                except _Dropped as why:
                    shadows.drop(session, run, why.reason)
            done += 1
        except Exception:  # noqa: BLE001 - whatever is wrong with this one, the others are to be started
            _log.exception("shadow_not_started", job_id=str(run.job_id), arm_id=str(run.arm_id))
    return done


def _start(session: Session, jobs: JobService, run: ShadowRun) -> None:
    """Create the job. Raises `_Dropped`."""
    experiment = repository.get(session, run.organization_id, run.experiment_id)
    if experiment is None or experiment.state is not State.RUNNING or experiment.shadow_limits is None:
        raise _Dropped("experiment_not_running")
    limits = experiment.shadow_limits
    shown, given, manifest = _original(session, jobs, run)
    if shadows.committed_usd(session, run) + limits.max_cost_usd > limits.budget_usd:
        raise _Dropped("shadow_budget_exhausted")
    new = NewJob(
        capability=shown.capability,
        pool=manifest.pool,
        input=given,
        needs=manifest.needs(given),
        metadata=shown.metadata,
        priority=Priority.LOW,
        deadline_seconds=manifest.deadline_seconds,
        # A failed run is not retried: no one waits for the answer.
        max_attempts=1,
        max_cost_usd=limits.max_cost_usd,
        reserve_usd=limits.max_cost_usd,
        shadow_arm_id=run.arm_id,
        inherited_class=shown.data_class,
    )
    try:
        # The key behind the original job limits and pays; the action itself is recorded as the dispatcher's.
        principal = act_for(run.organization_id, run.project_id, caller_of(session, run.job_id), "dispatcher")
        with session.begin_nested():
            made = jobs.submit(session, principal, new)
    except WaybillError as refusal:
        raise _Dropped(refusal.code) from None
    shadows.start(session, run, made.id)


def _original(session: Session, jobs: JobService, run: ShadowRun) -> tuple[JobRecord, Mapping[str, Any], Manifest]:
    reader = Principal(run.organization_id, run.project_id, None, frozenset(), "dispatcher")
    try:
        shown, given, _ = jobs.get_with_payloads(session, reader, run.job_id)
    except NotFound:
        raise _Dropped("input_erased") from None
    manifest = manifests().get(shown.capability)
    if given is None:
        raise _Dropped("input_erased")
    if manifest is None or not manifest.shadowable:
        raise _Dropped("capability_not_shadowable")
    try:
        manifest.input.model_validate(given)
    except ValidationError:
        raise _Dropped("input_outdated") from None
    return shown, given, manifest


def _cancel(database: Database, jobs: JobService, organization_id: UUID, project_id: UUID, job_id: UUID) -> None:
    with database.tenant(organization_id) as session:
        jobs.cancel(session, Principal(organization_id, project_id, None, frozenset(), "dispatcher"), job_id)
