"""The definition of an experiment: arms over model and prompt versions, for a capability and an audience."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from core.registry.experiments.statistics.planning import Plan


class Unit(StrEnum):
    """The unit that is assigned to an arm and keeps it."""

    JOB = "job"
    END_USER = "end_user"
    KEY = "key"
    PROJECT = "project"


class State(StrEnum):
    """The state of an experiment.

    Only a running one assigns units; a promoted one serves its winner to the whole audience.
    """

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    STOPPED = "stopped"


# The states that may follow each state.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.RUNNING, State.STOPPED}),
    State.RUNNING: frozenset({State.PAUSED, State.PROMOTED, State.ROLLED_BACK, State.STOPPED}),
    State.PAUSED: frozenset({State.RUNNING, State.PROMOTED, State.ROLLED_BACK, State.STOPPED}),
    State.PROMOTED: frozenset({State.STOPPED}),
    State.ROLLED_BACK: frozenset(),
    State.STOPPED: frozenset(),
}


class ArmKind(StrEnum):
    """The role of an arm. A `shadow` repeats jobs that other arms answered, and its results are discarded."""

    CONTROL = "control"
    TREATMENT = "treatment"
    SHADOW = "shadow"


class Metric(StrEnum):
    """The metric that a guardrail limits."""

    ERROR_RATE = "error_rate"
    LATENCY_P95 = "latency_p95"
    LATENCY_MEAN = "latency_mean"
    COST = "cost"
    QUALITY = "quality"


# Metrics whose bound is a ratio to the control; the others are bounded by a difference.
RATIOS = frozenset({Metric.LATENCY_P95, Metric.LATENCY_MEAN, Metric.COST})


@dataclass(frozen=True, slots=True)
class Guardrail:
    """How much worse than the control a treatment may be.

    `bound` is a ratio for latency and cost (1.25: a quarter more), and a difference for the error rate (0.05: five
    points more) and for quality (0.05: five points less).
    """

    metric: Metric
    bound: float


@dataclass(frozen=True, slots=True)
class RampStep:
    """A part of the way to the full weights: the next step starts after both, the time and the treatments' units."""

    share: float
    hold_seconds: int = 0
    hold_units: int = 0


@dataclass(frozen=True, slots=True)
class Canary:
    """When a canary ends automatically, and how if it was shown neither good nor bad by then."""

    window_seconds: int = 3600
    units_max: int = 10_000
    undecided: State = State.ROLLED_BACK


@dataclass(frozen=True, slots=True)
class ShadowLimits:
    """The most that shadows may cost in US dollars: for each job, and for all of the experiment together."""

    max_cost_usd: Decimal
    budget_usd: Decimal


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the versions under test.

    `model` is the name whose resolution the arm overrides, and `model_version_id` the version it resolves to instead;
    when both are None, models are unchanged. Likewise `prompt` and `prompt_digest`. `weight` is the weight at full
    ramp; for a shadow, the share of the jobs that it repeats.
    """

    id: UUID
    experiment_id: UUID
    name: str
    kind: ArmKind
    weight: float
    model: str | None = None
    model_version_id: UUID | None = None
    prompt: str | None = None
    prompt_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison of arms. `project_id` None: every project of the organization.

    `arms` are served, the control last; `shadows` are not. `share` is the share of the treatments' weights in force,
    and `allocation` counts, from 1, the changes of shares and weights.
    `created_at` is None before it is written: times are the database's.
    """

    id: UUID
    organization_id: UUID
    project_id: UUID | None
    capability: str
    name: str
    unit: Unit
    state: State
    salt: bytes = field(repr=False)
    arms: tuple[Arm, ...]
    plan: Plan
    share: float
    allocation: int
    guardrails: tuple[Guardrail, ...]
    ramp: tuple[RampStep, ...]
    canary: Canary | None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    promoted_arm_id: UUID | None = None
    shadows: tuple[Arm, ...] = ()
    shadow_limits: ShadowLimits | None = None

    @property
    def control(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[-1]

    @property
    def treatments(self) -> tuple[Arm, ...]:
        """The arms that are compared with the control."""
        return self.arms[:-1]

    def weights(self) -> dict[UUID, float]:
        """The current weight of each arm; they add up to 1."""
        return weights_at(self.arms, self.share)

    def arm(self, arm_id: UUID) -> Arm:
        """The arm with that id. Raises KeyError."""
        for arm in (*self.arms, *self.shadows):
            if arm.id == arm_id:
                return arm
        raise KeyError(arm_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArm:
    """A requested arm."""

    name: str
    weight: float
    kind: ArmKind = ArmKind.TREATMENT
    model: str | None = None
    model_version_id: UUID | None = None
    prompt: str | None = None
    prompt_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExperiment:
    """A requested experiment. `baseline` and `minimum_lift` refer to the success rate: see `planning.plan`."""

    name: str
    capability: str
    arms: tuple[NewArm, ...]
    baseline: float
    minimum_lift: float
    alpha: float = 0.05
    power: float = 0.8
    unit: Unit = Unit.JOB
    project_id: UUID | None = None
    guardrails: tuple[Guardrail, ...] = ()
    ramp: tuple[RampStep, ...] = ()
    canary: Canary | None = None
    shadow_limits: ShadowLimits | None = None


def weights_at(arms: tuple[Arm, ...], share: float) -> dict[UUID, float]:
    """Each arm's weight at `share` of the ramp: treatments get that share of theirs, the control the rest of 1."""
    given = {arm.id: arm.weight * share for arm in arms[:-1]}
    return {**given, arms[-1].id: 1 - sum(given.values())}
