"""Experiments schemas."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from api.amounts import Money
from core.kit.clock import isoformat
from core.kit.ids import ARM, EXPERIMENT, MODEL_VERSION, PROJECT, encode
from core.kit.money import format_money
from core.registry.experiments import rules
from core.registry.experiments.definition import (
    Arm as ArmRecord,
)
from core.registry.experiments.definition import (
    ArmKind,
    Metric,
    State,
    Unit,
)
from core.registry.experiments.definition import Experiment as ExperimentRecord

Name = Annotated[str, StringConstraints(min_length=1, max_length=rules.NAME_MAX_CHARACTERS)]
Share = Annotated[float, Field(gt=0, le=1)]
_DIGEST = StringConstraints(pattern="^sha256:[0-9a-f]{64}$")
_SECONDS_MAX = 366 * 86_400
_UNITS_MAX = 1_000_000_000
_EXAMPLE: JsonDict = {
    "name": "shorter answers",
    "capability": "knowledge.search",
    "unit": "end_user",
    "arms": [
        {"name": "short", "weight": 0.5, "prompt": "knowledge/answer", "prompt_digest": "sha256:" + "9f86d081" * 8},
        {"name": "as it is", "kind": "control", "weight": 0.5},
    ],
    "plan": {"baseline": 0.2, "minimum_lift": 0.05},
}


class NewArm(BaseModel):
    """One of the versions to compare. An arm without overrides changes nothing."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: Name
    kind: ArmKind = Field(
        ArmKind.TREATMENT,
        description=(
            "Exactly one arm must be the control. A `shadow` repeats jobs that other arms answered, and its"
            " results are discarded."
        ),
    )
    weight: float = Field(
        gt=0,
        le=1,
        description="Share of the units. All weights add up to 1. For a shadow, the share of jobs that it repeats.",
    )
    model: str | None = Field(None, min_length=1, max_length=200, description="The model name to override.")
    model_version_id: str | None = Field(
        None, max_length=40, description="The version that the name resolves to instead: `mver_…`."
    )
    prompt: str | None = Field(
        None, min_length=1, max_length=200, description="The prompt to override: `knowledge/answer`."
    )
    prompt_digest: Annotated[str, _DIGEST] | None = Field(None, description="The version of that prompt: `sha256:…`.")


class PlanRequest(BaseModel):
    """Assumptions to state before there is data. They determine the number of units and the test's boundary."""

    model_config = ConfigDict(extra="forbid")

    baseline: float = Field(gt=0, lt=1, description="Expected success rate of the control.")
    minimum_lift: float = Field(
        gt=0, lt=1, description="Smallest absolute difference worth detecting, for example 0.05."
    )
    alpha: float = Field(0.05, ge=1e-6, le=0.5, description="Probability of a false positive, over all looks.")
    power: float = Field(
        0.8, ge=0.5, le=0.999, description="Probability of detecting the difference by the planned size."
    )


class Guardrail(BaseModel):
    """How much worse than the control a treatment may be."""

    model_config = ConfigDict(extra="forbid")

    metric: Metric
    bound: float = Field(
        ge=0,
        le=1000,
        description="A ratio for latency and cost (1.25), a difference for error rate and quality (0.05).",
    )


class RampStep(BaseModel):
    """A ramp step, held for a time and until each treatment has enough units."""

    model_config = ConfigDict(extra="forbid")

    share: Share = Field(description="Share of the treatments' weights. Must rise with each step and end at 1.")
    hold_seconds: int = Field(0, ge=0, le=_SECONDS_MAX)
    hold_units: int = Field(0, ge=0, le=_UNITS_MAX)


class Canary(BaseModel):
    """Promote or roll back automatically, guided by the guardrails."""

    model_config = ConfigDict(extra="forbid")

    window_seconds: int = Field(
        3600, ge=1, le=_SECONDS_MAX, description="How long the experiment may remain undecided."
    )
    units_max: int = Field(10_000, ge=1, le=_UNITS_MAX, description="Minimum number of units of both arms together.")
    undecided: State = Field(
        State.ROLLED_BACK, description="What happens to an undecided experiment: `rolled_back`, `paused` or `promoted`."
    )


class Shadow(BaseModel):
    """The most that shadow jobs may cost, in US dollars."""

    model_config = ConfigDict(extra="forbid")

    max_cost_usd: Money = Field(description="Limit for each job.", examples=["0.01"])
    budget_usd: Money = Field(
        description="Limit for all jobs together. Jobs that exceed it are not run.", examples=["5"]
    )


class CreateExperiment(BaseModel):
    """A request for an experiment. It assigns no units until it is started."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    name: Name = Field(description="The name, unique within the organization.")
    capability: str = Field(max_length=200, description="The capability whose jobs take part.")
    project_id: str | None = Field(
        None, max_length=40, description="Only this project's jobs take part. Leave it out for all projects."
    )
    unit: Unit = Field(Unit.JOB, description="What the experiment assigns to an arm.")
    arms: list[NewArm] = Field(min_length=2, max_length=rules.ARMS_MAX)
    plan: PlanRequest
    guardrails: list[Guardrail] = Field([], max_length=len(Metric))
    ramp: list[RampStep] = Field([], max_length=rules.STEPS_MAX)
    canary: Canary | None = None
    shadow: Shadow | None = Field(None, description="Required when an arm is a shadow.")


class Reason(BaseModel):
    """The reason, for the audit trail."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = Field(None, min_length=1, max_length=500)


class PromoteArm(Reason):
    """The arm to serve to everyone in the audience, and the reason."""

    arm: Name


class SetWeights(BaseModel):
    """The share of the treatments' weights to apply, or new weights by arm name, or both."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"share": 0.25}]})

    share: Share | None = None
    weights: dict[str, float] | None = Field(None, max_length=rules.ARMS_MAX)


class Arm(BaseModel):
    """An arm of an experiment."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    name: str
    kind: ArmKind
    weight: float = Field(description="Weight at full ramp.")
    weight_now: float
    model: str | None
    model_version_id: str | None
    prompt: str | None
    prompt_digest: str | None


class Plan(PlanRequest):
    """The plan, and the sizes that follow from it."""

    units_control: int = Field(description="Units needed for the control.")
    units_treatment: int = Field(description="Units needed for each treatment.")
    fixed_units: int = Field(description="Units that a fixed-size test would need for both arms together.")


class ShadowBounds(BaseModel):
    """Limits for shadow jobs, as decimal strings: for each job, and for all together."""

    max_cost_usd: str
    budget_usd: str


class Experiment(BaseModel):
    """A comparison of arms."""

    id: str = Field(examples=["exp_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    name: str
    capability: str
    project_id: str | None
    unit: Unit
    state: State
    reason: str | None = Field(description="The reason for the current state, if a person or the guard gave one.")
    arms: list[Arm]
    plan: Plan
    guardrails: list[Guardrail]
    ramp: list[RampStep]
    canary: Canary | None
    shadow: ShadowBounds | None = Field(description="Limits for the cost of shadow jobs.")
    share: float = Field(description="The share of the treatments' weights that applies now.")
    allocation: int = Field(description="Number of changes of share and weights. 0 before the start.")
    promoted_arm: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ExperimentPage(BaseModel):
    """A page of experiments, newest first."""

    data: list[Experiment]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(experiment: ExperimentRecord) -> dict[str, Any]:
    """`experiment` as the members of `Experiment`."""
    weights = experiment.weights()
    promoted = [arm.name for arm in experiment.arms if arm.id == experiment.promoted_arm_id]
    plan, canary = experiment.plan, experiment.canary
    return {
        "id": encode(EXPERIMENT, experiment.id),
        "name": experiment.name,
        "capability": experiment.capability,
        "project_id": None if experiment.project_id is None else encode(PROJECT, experiment.project_id),
        "unit": experiment.unit.value,
        "state": experiment.state.value,
        "reason": experiment.reason,
        "arms": [
            *(_arm(arm, weights[arm.id]) for arm in experiment.arms),
            *(_arm(arm, arm.weight) for arm in experiment.shadows),
        ],
        "plan": {
            "baseline": plan.baseline,
            "minimum_lift": plan.minimum_lift,
            "alpha": plan.alpha,
            "power": plan.power,
            "units_control": plan.units_control,
            "units_treatment": plan.units_treatment,
            "fixed_units": plan.fixed_units,
        },
        "guardrails": [{"metric": each.metric.value, "bound": each.bound} for each in experiment.guardrails],
        "ramp": [
            {"share": step.share, "hold_seconds": step.hold_seconds, "hold_units": step.hold_units}
            for step in experiment.ramp
        ],
        "canary": None
        if canary is None
        else {
            "window_seconds": canary.window_seconds,
            "units_max": canary.units_max,
            "undecided": canary.undecided.value,
        },
        "shadow": None
        if experiment.shadow_limits is None
        else {
            "max_cost_usd": format_money(experiment.shadow_limits.max_cost_usd),
            "budget_usd": format_money(experiment.shadow_limits.budget_usd),
        },
        "share": experiment.share,
        "allocation": experiment.allocation,
        "promoted_arm": promoted[0] if promoted else None,
        "created_at": _time(experiment.created_at),
        "started_at": _time(experiment.started_at),
        "ended_at": _time(experiment.ended_at),
    }


def _arm(arm: ArmRecord, weight_now: float) -> dict[str, Any]:
    return {
        "id": encode(ARM, arm.id),
        "name": arm.name,
        "kind": arm.kind.value,
        "weight": arm.weight,
        "weight_now": round(weight_now, rules.DECIMALS),
        "model": arm.model,
        "model_version_id": version_to_wire(arm.model_version_id),
        "prompt": arm.prompt,
        "prompt_digest": arm.prompt_digest,
    }


def version_to_wire(version_id: UUID | None) -> str | None:
    """The API's form of a model version's id."""
    return None if version_id is None else encode(MODEL_VERSION, version_id)


def _time(value: datetime | None) -> str | None:
    return None if value is None else isoformat(value)
