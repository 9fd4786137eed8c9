"""Experiments: create, start, pause, ramp, end. Every change leaves an audit record in its transaction."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import NotFound
from core.kit.ids import EXPERIMENT, encode, new_id
from core.registry.catalogue import repository as catalogue
from core.registry.experiments import exposures, repository, results, rules
from core.registry.experiments.definition import (
    TRANSITIONS,
    Arm,
    ArmKind,
    Experiment,
    NewArm,
    NewExperiment,
    State,
    weights_at,
)
from core.registry.experiments.errors import AudienceTaken, ExperimentNameTaken, ExperimentNotFound, ExperimentState
from core.registry.experiments.results import Results
from core.registry.prompts import repository as prompts

SALT_BYTES = 32


class ExperimentService:
    """The experiments of the caller's organization."""

    def create(self, session: Session, principal: Principal, new: NewExperiment) -> Experiment:
        """A draft. Raises `Unprocessable` naming the field, `ExperimentNameTaken`, and `NotFound` for the project.

        An arm names versions that the organization has, or shared ones.
        """
        plan = rules.check(new)
        organization_id = principal.organization_id
        for number, arm in enumerate(new.arms):
            _check_versions(session, organization_id, number, arm)
        experiment_id = new_id()
        arms = tuple(
            Arm(
                id=new_id(),
                experiment_id=experiment_id,
                name=arm.name,
                kind=arm.kind,
                weight=round(arm.weight, rules.DECIMALS),
                model=arm.model,
                model_version_id=arm.model_version_id,
                prompt=arm.prompt,
                prompt_digest=arm.prompt_digest,
            )
            for arm in sorted(new.arms, key=lambda arm: arm.kind is ArmKind.CONTROL)
        )
        served = tuple(arm for arm in arms if arm.kind is not ArmKind.SHADOW)
        experiment = Experiment(
            id=experiment_id,
            organization_id=organization_id,
            project_id=new.project_id,
            capability=new.capability,
            name=new.name,
            unit=new.unit,
            state=State.DRAFT,
            salt=secrets.token_bytes(SALT_BYTES),
            arms=served,
            shadows=tuple(arm for arm in arms if arm.kind is ArmKind.SHADOW),
            shadow_limits=new.shadow_limits,
            plan=plan,
            share=new.ramp[0].share if new.ramp else 1.0,
            allocation=0,
            guardrails=new.guardrails,
            ramp=new.ramp,
            canary=new.canary,
        )
        try:
            with session.begin_nested():
                written = repository.insert(session, experiment)
        except IntegrityError as error:
            raise ExperimentNameTaken(f"there is an experiment called {new.name!r}; choose another name") from error
        if not written:
            raise NotFound("there is no such project in your organization", code="project_not_found")
        facts = {
            "capability": new.capability,
            "unit": new.unit.value,
            "arms": {arm.name: str(arm.weight) for arm in arms},
            "units": plan.horizon,
        }
        note(session, experiment, AuditAction.EXPERIMENT_CREATE, principal.actor, facts)
        return self.get(session, principal, experiment_id)

    def get(self, session: Executor, principal: Principal, experiment_id: UUID) -> Experiment:
        """One experiment. Raises `ExperimentNotFound`."""
        found = repository.get(session, principal.organization_id, experiment_id)
        if found is None:
            raise _not_found(experiment_id)
        return found

    def list(
        self, session: Executor, principal: Principal, *, state: State | None, cursor: UUID | None, limit: int
    ) -> list[Experiment]:
        """Experiments, newest first, with ids below `cursor`."""
        return repository.list_experiments(session, principal.organization_id, state=state, cursor=cursor, limit=limit)

    def results(self, session: Executor, principal: Principal, experiment_id: UUID) -> Results:
        """The experiment's current results. Raises `ExperimentNotFound`."""
        return results.of(session, self.get(session, principal, experiment_id))

    def start(self, session: Session, principal: Principal, experiment_id: UUID) -> Experiment:
        """Start to assign, or resume after a pause. Raises `ExperimentState` and `AudienceTaken`."""
        return self._move(session, principal, experiment_id, State.RUNNING, AuditAction.EXPERIMENT_START)

    def pause(self, session: Session, principal: Principal, experiment_id: UUID, reason: str | None) -> Experiment:
        """Assign no units until it is started again: every job runs as it would without the experiment."""
        return self._move(session, principal, experiment_id, State.PAUSED, AuditAction.EXPERIMENT_PAUSE, reason=reason)

    def stop(self, session: Session, principal: Principal, experiment_id: UUID, reason: str | None) -> Experiment:
        """End it permanently, whatever its results; a promoted one no longer serves its arm."""
        return self._move(session, principal, experiment_id, State.STOPPED, AuditAction.EXPERIMENT_STOP, reason=reason)

    def roll_back(self, session: Session, principal: Principal, experiment_id: UUID, reason: str | None) -> Experiment:
        """End it for the control: no job gets a treatment any more."""
        return self._move(
            session, principal, experiment_id, State.ROLLED_BACK, AuditAction.EXPERIMENT_ROLLBACK, reason=reason
        )

    def promote(
        self, session: Session, principal: Principal, experiment_id: UUID, arm_name: str, reason: str | None
    ) -> Experiment:
        """End it for one arm, which the whole audience gets from now on, until the experiment is stopped."""
        experiment = self._locked(session, principal, experiment_id)
        arm = next((arm for arm in experiment.arms if arm.name == arm_name), None)
        if arm is None:
            raise rules.wrong("arm", f"it has the arms {', '.join(arm.name for arm in experiment.arms)}")
        move(
            session, experiment, State.PROMOTED, principal.actor, AuditAction.EXPERIMENT_PROMOTE, reason=reason, arm=arm
        )
        return self.get(session, principal, experiment_id)

    def set_weights(
        self,
        session: Session,
        principal: Principal,
        experiment_id: UUID,
        *,
        share: float | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Experiment:
        """Change the share of the full weights in force, or the full weights themselves, by the arms' names.

        Units keep the arm that they were exposed to. Raises `Unprocessable` and, once it has ended, `ExperimentState`.
        """
        experiment = self._locked(session, principal, experiment_id)
        if experiment.state not in {State.DRAFT, State.RUNNING, State.PAUSED}:
            raise ExperimentState(f"this experiment is {experiment.state}: its weights are history")
        if weights is not None:
            experiment = self._reweigh(session, experiment, weights)
        if share is not None:
            rules.check_share(share)
        ramp(session, experiment, share or experiment.share, principal.actor, AuditAction.EXPERIMENT_RAMP)
        return self.get(session, principal, experiment_id)

    def _reweigh(self, session: Session, experiment: Experiment, weights: Mapping[str, float]) -> Experiment:
        if set(weights) != {arm.name for arm in experiment.arms}:
            raise rules.wrong("weights", f"name every arm: {', '.join(arm.name for arm in experiment.arms)}")
        rules.check_weights(list(weights.values()), "weights")
        arms = tuple(replace(arm, weight=round(weights[arm.name], rules.DECIMALS)) for arm in experiment.arms)
        repository.set_weights(session, experiment, {arm.id: arm.weight for arm in arms})
        return replace(experiment, arms=arms)

    def _move(
        self,
        session: Session,
        principal: Principal,
        experiment_id: UUID,
        state: State,
        action: AuditAction,
        *,
        reason: str | None = None,
    ) -> Experiment:
        experiment = self._locked(session, principal, experiment_id)
        move(session, experiment, state, principal.actor, action, reason=reason)
        return self.get(session, principal, experiment_id)

    def _locked(self, session: Session, principal: Principal, experiment_id: UUID) -> Experiment:
        experiment = repository.lock(session, principal.organization_id, experiment_id)
        if experiment is None:
            raise _not_found(experiment_id)
        return experiment


def _check_versions(session: Session, organization_id: UUID, number: int, arm: NewArm) -> None:
    version, prompt, digest = arm.model_version_id, arm.prompt, arm.prompt_digest
    if version is not None and catalogue.version(session, organization_id, version) is None:
        raise rules.wrong(f"arms.{number}.model_version_id", "there is no such model version")
    if prompt is None or digest is None:
        return
    if prompts.by_digest(session, organization_id, prompt, digest) is None:
        raise rules.wrong(
            f"arms.{number}.prompt_digest", f"the prompt {prompt} has no such version; waybill prompts list shows them"
        )


def move(
    session: Session,
    experiment: Experiment,
    state: State,
    actor: Actor,
    action: AuditAction,
    *,
    reason: str | None = None,
    arm: Arm | None = None,
) -> None:
    """Put a locked experiment into `state`, with an audit record. Does nothing if it is already in that state.

    Raises `ExperimentState` for an impossible transition, and `AudienceTaken` when another one holds the audience.
    """
    if state is experiment.state and (arm is None or arm.id == experiment.promoted_arm_id):
        return
    if state not in TRANSITIONS[experiment.state]:
        raise ExperimentState(
            f"this experiment is {experiment.state} and cannot become {state}", state=experiment.state
        )
    try:
        with session.begin_nested():
            repository.change(
                session, experiment, state, reason=reason, promoted_arm_id=None if arm is None else arm.id
            )
    except IntegrityError as error:
        message = (
            f"another experiment on {experiment.capability} runs, is paused or was promoted for this audience; end it"
            " first (stop; for one that was promoted, make its version the champion, then stop)"
        )
        raise AudienceTaken(message) from error
    if state is State.ROLLED_BACK:
        exposures.mark_rolled_back(session, experiment, actor, reason)
    if state is State.RUNNING and experiment.allocation == 0:
        repository.allocate(session, experiment, experiment.share, experiment.weights())
    facts = {"reason": reason, "arm": None if arm is None else arm.name}
    note(session, experiment, action, actor, {name: value for name, value in facts.items() if value is not None})


def ramp(session: Session, experiment: Experiment, share: float, actor: Actor, action: AuditAction) -> None:
    """Start a new allocation of a locked experiment at `share` of its full weights, with an audit record."""
    weights = weights_at(experiment.arms, round(share, rules.DECIMALS))
    if experiment.state is State.DRAFT:
        repository.set_share(session, experiment, share)
    else:
        repository.allocate(session, experiment, share, weights)
    shown = {arm.name: f"{weights[arm.id]:.8g}" for arm in experiment.arms}
    note(session, experiment, action, actor, {"share": f"{share:g}", "weights": shown})


def note(session: Session, experiment: Experiment, action: AuditAction, actor: Actor, facts: Mapping[str, Any]) -> None:
    """The audit record of a change to an experiment."""
    record(
        session,
        experiment.organization_id,
        experiment.project_id,
        action,
        subject_id=encode(EXPERIMENT, experiment.id),
        actor=actor,
        detail={"name": experiment.name, **facts},
    )


def _not_found(experiment_id: UUID) -> ExperimentNotFound:
    return ExperimentNotFound(f"there is no experiment {encode(EXPERIMENT, experiment_id)} in your organization")
