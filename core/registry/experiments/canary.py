"""Decides from the evidence: roll back, pause, promote, continue the ramp, or wait. Uses no database.

Rolling back needs proof of harm: the confidence sequence of a guardrail's excess lies above 0. Promoting needs proof of
its absence: all of them lie below 0. Each guardrail of each treatment gets its share of the level (Bonferroni), so that
the chance that a good version is ever rolled back, over all looks and guardrails, stays at `plan.alpha`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from core.registry.experiments.definition import RATIOS, Arm, Experiment, Guardrail, Metric, State
from core.registry.experiments.outcomes import Outcomes
from core.registry.experiments.statistics import mismatch
from core.registry.experiments.statistics.means import Cohorts, Interval, contrast

_OUTCOME = {
    Metric.ERROR_RATE: "success",
    Metric.QUALITY: "quality",
    Metric.COST: "cost",
    Metric.LATENCY_MEAN: "latency",
}


# Guardrails look for harm that is larger than the lift of the plan, and should find it early: their boundary is
# narrowest at this part of the horizon. At the horizon, that costs three hundredths of its width.
_EARLIER = 4


class Status(StrEnum):
    """Where a guardrail stands."""

    KEPT = "kept"
    BREACHED = "breached"
    OPEN = "open"


class Action(StrEnum):
    """What to do with an experiment now."""

    WAIT = "wait"
    RAMP = "ramp"
    PAUSE = "pause"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Finding:
    """A guardrail of a treatment. `treatment` and `control` are the estimates that were compared."""

    arm: Arm
    guardrail: Guardrail
    status: Status
    treatment: float
    control: float


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds since the experiment, and since its current allocation, started."""

    experiment_seconds: float
    allocation_seconds: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and the reason for the audit trail. `arm` is to be promoted, `share` is the next ramp step's."""

    action: Action
    reason: str = ""
    arm: Arm | None = None
    share: float | None = None


def judge(experiment: Experiment, found: Outcomes, latency_p95: Mapping[UUID, Interval]) -> list[Finding]:
    """Every guardrail of every treatment. `latency_p95` has bounds at `level_of` for each arm."""
    return [
        _judge_p95(experiment, arm, guardrail, latency_p95)
        if guardrail.metric is Metric.LATENCY_P95
        else _judge_mean(experiment, arm, guardrail, found)
        for arm in experiment.treatments
        for guardrail in experiment.guardrails
    ]


def level_of(experiment: Experiment) -> float:
    """The level of one guardrail of one treatment."""
    return experiment.plan.alpha_each / max(len(experiment.guardrails), 1)


def decide(
    experiment: Experiment, findings: Sequence[Finding], clock: Clock, units: Mapping[UUID, int], mismatch_p: float
) -> Decision:
    """What to do with a running experiment. `units` were assigned to each arm; `mismatch_p` covers all allocations."""
    breached = [finding for finding in findings if finding.status is Status.BREACHED]
    if breached:
        return Decision(Action.ROLL_BACK, "; ".join(_words(finding) for finding in breached))
    if mismatch_p <= mismatch.ALPHA:
        return Decision(Action.PAUSE, f"sample ratio mismatch (p = {mismatch_p:.2g}): units of an arm were lost")
    following = next_step(experiment, clock, units)
    canary = experiment.canary
    if canary is None:
        return Decision(Action.RAMP, _at(following), share=following) if following else Decision(Action.WAIT)
    is_kept = bool(findings) and all(finding.status is Status.KEPT for finding in findings)
    if is_kept and _is_ramped(experiment):
        return Decision(Action.PROMOTE, "every guardrail is kept", arm=experiment.treatments[0])
    if clock.experiment_seconds >= canary.window_seconds or sum(units.values()) >= canary.units_max:
        return _undecided(experiment, canary.undecided, findings)
    return Decision(Action.RAMP, _at(following), share=following) if following else Decision(Action.WAIT)


def next_step(experiment: Experiment, clock: Clock, units: Mapping[UUID, int]) -> float | None:
    """The share of the ramp's next step, once the current one was held long enough in time and in units."""
    reached = [step for step in experiment.ramp if step.share <= experiment.share]
    if not reached or len(reached) == len(experiment.ramp):
        return None
    smallest = min(units.get(arm.id, 0) for arm in experiment.treatments)
    is_held = clock.allocation_seconds >= reached[-1].hold_seconds and smallest >= reached[-1].hold_units
    return experiment.ramp[len(reached)].share if is_held else None


def _is_ramped(experiment: Experiment) -> bool:
    return not experiment.ramp or experiment.share >= experiment.ramp[-1].share


def _judge_mean(experiment: Experiment, arm: Arm, guardrail: Guardrail, found: Outcomes) -> Finding:
    outcome = _OUTCOME[guardrail.metric]
    treatment, control = found.cohorts(arm.id, outcome), found.cohorts(experiment.control.id, outcome)
    compared = contrast(
        treatment,
        control,
        horizon=experiment.plan.horizon / _EARLIER,
        alpha=level_of(experiment),
        factor=guardrail.bound if guardrail.metric in RATIOS else 1.0,
        is_share=guardrail.metric is Metric.ERROR_RATE,
    )
    status = Status.OPEN
    if compared.is_settled:
        # A ratio's bound is in the factor. Errors are failures of success, so an excess of errors is a lack of success.
        low, high = compared.interval.low, compared.interval.high
        if guardrail.metric not in RATIOS:
            low, high = -high - guardrail.bound, -low - guardrail.bound
        status = Status.BREACHED if low > 0 else Status.KEPT if high <= 0 else Status.OPEN
    shown = [_mean(cohorts) for cohorts in (treatment, control)]
    if guardrail.metric is Metric.ERROR_RATE:
        shown = [1 - value for value in shown]
    return Finding(arm, guardrail, status, *shown)


def _judge_p95(experiment: Experiment, arm: Arm, guardrail: Guardrail, bounds: Mapping[UUID, Interval]) -> Finding:
    treatment, control = bounds[arm.id], bounds[experiment.control.id]
    status = Status.OPEN
    if treatment.low > guardrail.bound * control.high:
        status = Status.BREACHED
    elif treatment.high <= guardrail.bound * max(control.low, 0.0):
        status = Status.KEPT
    return Finding(arm, guardrail, status, treatment.estimate, control.estimate)


def _undecided(experiment: Experiment, undecided: State, findings: Sequence[Finding]) -> Decision:
    waiting = ", ".join(sorted({str(each.guardrail.metric) for each in findings if each.status is Status.OPEN}))
    why = f"the window ended before {waiting or 'the ramp'} could be decided"
    if undecided is State.PROMOTED:
        return Decision(Action.PROMOTE, why, arm=experiment.treatments[0])
    return Decision(Action.PAUSE if undecided is State.PAUSED else Action.ROLL_BACK, why)


def _mean(cohorts: Cohorts) -> float:
    count = sum(each.count for each in cohorts.values())
    return sum(each.total for each in cohorts.values()) / count if count else 0.0


def _words(finding: Finding) -> str:
    guardrail = finding.guardrail
    allowed = f"{guardrail.bound:g} times" if guardrail.metric in RATIOS else f"{guardrail.bound:g} from"
    return (
        f"{guardrail.metric} of {finding.arm.name!r} is {finding.treatment:.4g} against {finding.control:.4g} of the"
        f" control; allowed: {allowed} it"
    )


def _at(share: float | None) -> str:
    return f"the ramp goes on to {share:g} of the weights"
