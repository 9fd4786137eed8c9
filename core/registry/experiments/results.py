"""Results: every arm with its intervals, every treatment against the control, and whether the split can be trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from core.kit.db import Executor
from core.registry.experiments import outcomes, shadows
from core.registry.experiments.definition import Arm, Experiment, Unit
from core.registry.experiments.outcomes import MEANS, Outcomes
from core.registry.experiments.shadows import ShadowResult
from core.registry.experiments.statistics import mismatch
from core.registry.experiments.statistics.means import Contrast, Interval, contrast, mean_interval
from core.registry.experiments.statistics.mismatch import Allocation
from core.registry.experiments.statistics.quantiles import rank_bounds, rank_of

P95 = 0.95


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm. `means` holds an interval for each of `MEANS` (latency in seconds, cost in US dollars), at `plan.alpha`.

    `units` were assigned; `jobs` of them took part, of which `open` have not ended and `left_out` were cancelled or
    rejected. `latency_p95` is of the current allocation; its ends are infinite where there is no bound.
    """

    arm: Arm
    weight: float
    units: int
    jobs: int
    open: int
    left_out: int
    means: Mapping[str, Interval]
    latency_p95: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """A treatment minus the control, for each of `MEANS`, at `plan.alpha_each`.

    Success is the outcome that the experiment was planned for; each of the others has the same level, without a
    correction for multiple comparisons.
    """

    arm: Arm
    contrasts: Mapping[str, Contrast]

    @property
    def verdict(self) -> str:
        """The verdict on the success rate so far: ``better``, ``worse`` or ``undecided``."""
        success = self.contrasts["success"]
        return "better" if success.is_positive else "worse" if success.is_negative else "undecided"


@dataclass(frozen=True, slots=True)
class Results:
    """The current results of an experiment. They may be looked at any number of times."""

    experiment: Experiment
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    mismatch_p_value: float
    shadows: tuple[ShadowResult, ...] = ()

    @property
    def is_mismatched(self) -> bool:
        """Whether units were not assigned according to the weights: then no other result can be trusted."""
        return self.mismatch_p_value <= mismatch.ALPHA

    @property
    def units(self) -> int:
        """Units assigned to any arm."""
        return sum(arm.units for arm in self.arms)


def of(session: Executor, experiment: Experiment) -> Results:
    """The experiment's current results. Three statements, and one for shadows."""
    found = outcomes.read(session, experiment)
    weights = experiment.weights()
    p95 = latency_bounds(session, experiment, found, alpha=experiment.plan.alpha)
    arms = tuple(_arm(experiment, arm, weights[arm.id], found, p95[arm.id]) for arm in experiment.arms)
    comparisons = tuple(_comparison(experiment, arm, found) for arm in experiment.treatments)
    shown = tuple(shadows.results(session, experiment))
    return Results(experiment, arms, comparisons, mismatch.p_value(_allocations(found)), shown)


def latency_bounds(session: Executor, experiment: Experiment, found: Outcomes, *, alpha: float) -> dict[UUID, Interval]:
    """The 95th percentile of each arm's latency in seconds, in the current allocation, with exact bounds.

    Order statistics pooled over several allocations would mix jobs of different times in different proportions,
    so only the last counts, and the k-th has the level alpha / (k (k + 1)): together they have `alpha`. Jobs of one
    end user, key or project resemble each other, so unless the job is the unit there are no bounds.
    """
    number = experiment.allocation
    level = alpha / (max(number, 1) * (max(number, 1) + 1))
    wanted: dict[UUID, tuple[int, int | None, int | None]] = {}
    counts: dict[UUID, int] = {}
    for arm in experiment.arms:
        moments = found.cohorts(arm.id, "latency").get(number)
        if moments is None:
            continue
        low, high = None, None
        if experiment.unit is Unit.JOB:
            low, high = rank_bounds(moments.count, P95, horizon=experiment.plan.units_control, alpha=level)
        wanted[arm.id] = (rank_of(moments.count, P95), low, high)
        counts[arm.id] = moments.count
    ranks = {arm: [rank for rank in chosen if rank is not None] for arm, chosen in wanted.items()}
    values = outcomes.latencies_at(session, experiment, ranks) if ranks else {}
    nothing = Interval(0.0, -math.inf, math.inf, math.inf, 0)
    bounds = {arm.id: nothing for arm in experiment.arms}
    for arm_id, (middle, low, high) in wanted.items():
        bounds[arm_id] = Interval(
            values.get((arm_id, middle), 0.0),
            -math.inf if low is None else values.get((arm_id, low), -math.inf),
            math.inf if high is None else values.get((arm_id, high), math.inf),
            math.inf,
            counts[arm_id],
        )
    return bounds


def horizon_of(experiment: Experiment, arm: Arm) -> int:
    """Units at which an arm's own intervals are narrowest: those that the plan assigns to it."""
    return experiment.plan.units_control if arm is experiment.control else experiment.plan.units_treatment


def _arm(experiment: Experiment, arm: Arm, weight: float, found: Outcomes, p95: Interval) -> ArmResult:
    own = [tally for tally in found.tallies if tally.arm_id == arm.id]
    means = {
        name: mean_interval(
            found.cohorts(arm.id, name),
            horizon=horizon_of(experiment, arm),
            alpha=experiment.plan.alpha,
            is_share=name == "success",
        )
        for name in MEANS
    }
    return ArmResult(
        arm,
        weight,
        units=sum(tally.units for tally in own),
        jobs=sum(tally.jobs for tally in own),
        open=sum(tally.open for tally in own),
        left_out=sum(tally.left_out for tally in own),
        means=means,
        latency_p95=p95,
    )


def _comparison(experiment: Experiment, arm: Arm, found: Outcomes) -> Comparison:
    contrasts = {
        name: contrast(
            found.cohorts(arm.id, name),
            found.cohorts(experiment.control.id, name),
            horizon=experiment.plan.horizon,
            alpha=experiment.plan.alpha_each,
            is_share=name == "success",
        )
        for name in MEANS
    }
    return Comparison(arm, contrasts)


def _allocations(found: Outcomes) -> list[Allocation]:
    return [
        Allocation(
            {str(arm): weight for arm, weight in weights.items()},
            {str(tally.arm_id): tally.units for tally in found.tallies if tally.allocation == number},
        )
        for number, weights in found.weights.items()
    ]


def mismatch_of(found: Outcomes) -> float:
    """The always-valid p-value of the hypothesis that every arm got its share of units."""
    return mismatch.p_value(_allocations(found))
