"""Experiments and what they show."""

from datetime import datetime

from pydantic import Field

from waybill.client.models.base import Resource


class Arm(Resource):
    """One of the versions under test."""

    id: str
    name: str
    kind: str
    weight: float
    weight_now: float
    model: str | None = None
    model_version_id: str | None = None
    prompt: str | None = None
    prompt_digest: str | None = None


class Plan(Resource):
    """What was decided before there were data, and the units that follow from it."""

    baseline: float
    minimum_lift: float
    alpha: float
    power: float
    units_control: int
    units_treatment: int
    fixed_units: int


class Experiment(Resource):
    """A comparison of arms for a capability."""

    id: str
    name: str
    capability: str
    project_id: str | None = None
    unit: str
    state: str
    reason: str | None = None
    arms: list[Arm]
    plan: Plan
    share: float
    promoted_arm: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Interval(Resource):
    """An estimate and the ends of its confidence sequence; None where nothing is known yet."""

    estimate: float | None
    low: float | None
    high: float | None
    units: int


class Difference(Interval):
    """A treatment less the control, with an always-valid p-value."""

    p_value: float
    is_significant: bool


class ArmResults(Resource):
    """What one arm shows. `means` are by outcome: success, quality, cost (US dollars), latency (seconds)."""

    arm: str
    kind: str
    weight: float
    units: int
    jobs: int
    open: int
    left_out: int
    means: dict[str, Interval]
    latency_p95: Interval


class Comparison(Resource):
    """A treatment against the control, by outcome."""

    arm: str
    verdict: str
    differences: dict[str, Difference]


class Mismatch(Resource):
    """Whether the arms got the units that their weights promise."""

    p_value: float
    is_mismatched: bool


class Progress(Resource):
    """How far an experiment is on the way to its planned size."""

    units: int
    units_planned: int
    share: float


class Pairs(Resource):
    """A measure of a shadow's jobs beside that of the jobs they repeat."""

    shadow_mean: float | None
    shown_mean: float | None
    difference: Interval


class ShadowResults(Resource):
    """What a shadow arm measured: jobs run again, results discarded. Costs in US dollars, latency in seconds."""

    arm: str
    weight: float
    sampled: int
    due: int
    dropped: dict[str, int]
    open: int
    left_out: int
    success: Interval
    identical: Interval
    cost: Pairs
    latency: Pairs
    spent_usd: float


class Results(Resource):
    """What an experiment shows now."""

    experiment_id: str
    name: str
    state: str
    alpha: float
    progress: Progress
    sample_ratio: Mismatch
    arms: list[ArmResults]
    comparisons: list[Comparison]
    shadows: list[ShadowResults] = Field(default_factory=list)
