"""The guard: evaluates running experiments, and carries out the resulting decisions automatically."""

from dataclasses import dataclass
from time import monotonic

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor
from core.kit.logging import get_logger
from core.registry.experiments import canary, outcomes, repository, results, service
from core.registry.experiments.canary import Action, Clock, Decision
from core.registry.experiments.definition import Experiment, State

_log = get_logger(__name__)

EVERY_SECONDS = 5.0
# An evaluation reads every exposure; it may take up to this share of the time.
_SHARE_OF_TIME = 0.05
_BATCH = 20
_ACTOR = Actor("dispatcher")
_STATES = {
    Action.PAUSE: (State.PAUSED, AuditAction.GUARD_PAUSE),
    Action.PROMOTE: (State.PROMOTED, AuditAction.GUARD_PROMOTE),
    Action.ROLL_BACK: (State.ROLLED_BACK, AuditAction.GUARD_ROLLBACK),
}


@dataclass(frozen=True, slots=True)
class Acted:
    """An action of the guard on an experiment."""

    experiment: Experiment
    decision: Decision


def guard_once(session: Session, *, every_seconds: float = EVERY_SECONDS) -> list[Acted]:
    """Evaluate the running experiments that are due, of every organization; returns the actions taken.

    `session` is one of `Database.system`; the caller commits. Safe beside other guards: each takes experiments that no
    other holds. One that cannot be evaluated is logged and does not block the rest.
    """
    acted = []
    for experiment in repository.due(session, _BATCH):
        began = monotonic()
        try:
            with session.begin_nested():
                decision = evaluate(session, experiment)
                _carry_out(session, experiment, decision)
            if decision.action is not Action.WAIT:
                acted.append(Acted(experiment, decision))
        except Exception:  # noqa: BLE001 - whatever is wrong with this one, the others need their guard
            _log.exception("experiment_not_judged", experiment_id=experiment.id)
        repository.postpone(session, experiment, max(every_seconds, (monotonic() - began) / _SHARE_OF_TIME))
    return acted


def evaluate(session: Session, experiment: Experiment) -> Decision:
    """The decision about a running experiment, from the current evidence. Reads only."""
    found = outcomes.read(session, experiment)
    # A breach needs the bounds of two arms, which share the guardrail's level.
    level = canary.level_of(experiment) / 2
    p95 = results.latency_bounds(session, experiment, found, alpha=level)
    began_at, now = repository.allocation_began(session, experiment)
    started_at = experiment.started_at or began_at
    clock = Clock((now - started_at).total_seconds(), (now - began_at).total_seconds())
    units = {arm.id: sum(tally.units for tally in found.tallies if tally.arm_id == arm.id) for arm in experiment.arms}
    findings = canary.judge(experiment, found, p95)
    return canary.decide(experiment, findings, clock, units, results.mismatch_of(found))


def _carry_out(session: Session, experiment: Experiment, decision: Decision) -> None:
    if decision.action is Action.RAMP and decision.share is not None:
        service.ramp(session, experiment, decision.share, _ACTOR, AuditAction.GUARD_RAMP)
    elif decision.action in _STATES:
        state, action = _STATES[decision.action]
        service.move(session, experiment, state, _ACTOR, action, reason=decision.reason, arm=decision.arm)
