"""``GET /v1/experiments/{experiment_id}/results``: the current results of an experiment."""

import math
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.experiments.routes import ExperimentId
from api.openapi import problems
from api.routing import new_router, requires
from api.work import change
from core.kit.ids import EXPERIMENT, encode
from core.registry.experiments.outcomes import MEANS
from core.registry.experiments.results import ArmResult, Comparison, Results
from core.registry.experiments.shadows import Pairs as PairsRecord
from core.registry.experiments.shadows import ShadowResult
from core.registry.experiments.statistics.means import Contrast
from core.registry.experiments.statistics.means import Interval as IntervalRecord

router = new_router("/v1/experiments", "experiments")

Digits = float | None


class Interval(BaseModel):
    """An estimate and the bounds of its confidence sequence. A bound is null while there is none."""

    estimate: Digits = Field(description="Null without observations.")
    low: Digits
    high: Digits
    units: int = Field(description="Number of observations.")


class Difference(Interval):
    """A treatment's difference from the control."""

    p_value: float = Field(description="An always-valid p-value: you can look at it, and act on it, at any time.")
    is_significant: bool


class Means(BaseModel):
    """Results by outcome: success rate, rating from 0 to 1, cost in US dollars, latency of successes in seconds."""

    success: Interval
    quality: Interval
    cost: Interval
    latency: Interval


class Differences(BaseModel):
    """The same results as differences."""

    success: Difference
    quality: Difference
    cost: Difference
    latency: Difference


class ArmResults(BaseModel):
    """Results of one arm. Cost is in US dollars, latency in seconds."""

    arm: str
    kind: Literal["control", "treatment"]
    weight: float
    units: int
    jobs: int
    open: int = Field(description="Jobs that have not ended. They are not counted.")
    left_out: int = Field(description="Jobs that were cancelled or rejected. They are not counted.")
    means: Means
    latency_p95: Interval = Field(
        description=(
            "Results for the current allocation. Without bounds unless the unit is the job, and then only descriptive."
        )
    )


class ArmComparison(BaseModel):
    """A treatment compared with the control. The verdict is about success, which the experiment was planned for."""

    arm: str
    verdict: Literal["better", "worse", "undecided"]
    differences: Differences


class Mismatch(BaseModel):
    """Whether units were assigned according to the weights. If not, no other result can be trusted."""

    p_value: float
    is_mismatched: bool


class Progress(BaseModel):
    """Progress toward the planned size."""

    units: int
    units_planned: int
    share: float


class Pairs(BaseModel):
    """A shadow arm's jobs compared with the jobs that they repeat, over pairs that both succeeded."""

    shadow_mean: Digits
    shown_mean: Digits
    difference: Interval = Field(description="Shadow minus original.")


class ShadowResults(BaseModel):
    """A shadow arm: it runs the same inputs on another version, and its results are discarded."""

    arm: str
    weight: float
    sampled: int = Field(description="Jobs to repeat.")
    due: int = Field(description="Jobs not started yet.")
    dropped: dict[str, int] = Field(description="Jobs that will not be repeated, by reason.")
    open: int
    left_out: int
    success: Interval
    identical: Interval = Field(description="Share of results that are identical, word for word.")
    cost: Pairs
    latency: Pairs
    spent_usd: float


class ExperimentResults(BaseModel):
    """The current results of an experiment."""

    experiment_id: str
    name: str
    state: str
    alpha: float
    progress: Progress
    sample_ratio: Mismatch
    arms: list[ArmResults]
    comparisons: list[ArmComparison]
    shadows: list[ShadowResults]


@router.get(
    "/{experiment_id}/results",
    response_model=ExperimentResults,
    summary="Read an experiment's results",
    description=(
        "Returns the current results. Every interval is a confidence sequence and every p-value is always"
        " valid: they hold however often you look, and whenever you stop. `docs/reference/experiments.md`"
        " describes the method and its limits."
    ),
    responses={200: {"description": "The current results."}, **problems(404)},
)
@requires("experiments:read", organization_wide=True)
async def read_experiment_results(request: Request, experiment_id: ExperimentId) -> Response:
    """Read an experiment's results."""
    found = parse_id(EXPERIMENT, experiment_id, "experiment")
    shown = await change(request, get_runtime(request).experiments.results, found)
    return respond_json(to_wire(shown))


def to_wire(results: Results) -> dict[str, Any]:
    """`results` as the members of `ExperimentResults`."""
    experiment = results.experiment
    planned = experiment.plan.units_control + experiment.plan.units_treatment * experiment.plan.treatments
    return {
        "experiment_id": encode(EXPERIMENT, experiment.id),
        "name": experiment.name,
        "state": experiment.state.value,
        "alpha": experiment.plan.alpha,
        "progress": {
            "units": results.units,
            "units_planned": planned,
            "share": round(min(1.0, results.units / planned), 4),
        },
        "sample_ratio": {"p_value": results.mismatch_p_value, "is_mismatched": results.is_mismatched},
        "arms": [_arm(arm) for arm in results.arms],
        "comparisons": [_comparison(comparison) for comparison in results.comparisons],
        "shadows": [_shadow(shadow) for shadow in results.shadows],
    }


def _shadow(result: ShadowResult) -> dict[str, Any]:
    return {
        "arm": result.arm.name,
        "weight": result.arm.weight,
        "sampled": result.sampled,
        "due": result.due,
        "dropped": result.dropped,
        "open": result.open,
        "left_out": result.left_out,
        "success": _interval(result.success, at_least_zero=True),
        "identical": _interval(result.identical, at_least_zero=True),
        "cost": _pairs(result.cost),
        "latency": _pairs(result.latency),
        "spent_usd": result.spent_usd,
    }


def _pairs(pairs: PairsRecord) -> dict[str, Any]:
    is_known = pairs.difference.units > 0
    return {
        "shadow_mean": pairs.shadow_mean if is_known else None,
        "shown_mean": pairs.shown_mean if is_known else None,
        "difference": _interval(pairs.difference),
    }


def _arm(result: ArmResult) -> dict[str, Any]:
    return {
        "arm": result.arm.name,
        "kind": result.arm.kind.value,
        "weight": result.weight,
        "units": result.units,
        "jobs": result.jobs,
        "open": result.open,
        "left_out": result.left_out,
        "means": {name: _interval(result.means[name], at_least_zero=True) for name in MEANS},
        "latency_p95": _interval(result.latency_p95, at_least_zero=True),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "arm": comparison.arm.name,
        "verdict": comparison.verdict,
        "differences": {name: _difference(comparison.contrasts[name]) for name in MEANS},
    }


def _difference(contrast: Contrast) -> dict[str, Any]:
    return {
        **_interval(contrast.interval),
        "p_value": contrast.p_value,
        "is_significant": contrast.is_positive or contrast.is_negative,
    }


def _interval(interval: IntervalRecord, *, at_least_zero: bool = False) -> dict[str, Any]:
    # No measured value is negative, which the approximation does not take into account.
    low = max(interval.low, 0.0) if at_least_zero and not math.isinf(interval.low) else interval.low
    return {
        "estimate": interval.estimate if interval.units else None,
        "low": _finite(low),
        "high": _finite(interval.high),
        "units": interval.units,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
