"""Experiments: create, read, list, start, ramp, end, and what they show."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_EXPERIMENTS = "/v1/experiments"


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
    """What a shadow arm shows: jobs run again, for nobody to see. Costs in US dollars, latency in seconds."""

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


class Experiments:
    """``/v1/experiments``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, body: Mapping[str, Any]) -> Experiment:
        """A draft; `body` holds ``name``, ``capability``, ``arms``, ``plan`` and what else the API takes."""
        return Experiment.model_validate(self._transport.post(_EXPERIMENTS, body).json())

    def get(self, experiment_id: str) -> Experiment:
        """The experiment with that id. Raises `ApiProblem` 404."""
        return Experiment.model_validate(self._transport.get(f"{_EXPERIMENTS}/{experiment_id}").json())

    def list(self, *, state: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Experiment]:
        """One page of the organization's experiments, newest first."""
        optional = {"state": state, "cursor": cursor}
        params = {"limit": limit} | {name: value for name, value in optional.items() if value is not None}
        return Page[Experiment].model_validate(self._transport.get(_EXPERIMENTS, params).json())

    def start(self, experiment_id: str) -> Experiment:
        """Begin to assign, or go on after a pause."""
        return Experiment.model_validate(self._transport.post(f"{_EXPERIMENTS}/{experiment_id}/start").json())

    def pause(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """Assign nobody until it is started again."""
        return self._end(experiment_id, "pause", reason)

    def stop(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """End it for good."""
        return self._end(experiment_id, "stop", reason)

    def rollback(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """End it for the control."""
        return self._end(experiment_id, "rollback", reason)

    def promote(self, experiment_id: str, arm: str, reason: str | None = None) -> Experiment:
        """End it for one arm, which everybody gets until it is stopped."""
        return self._end(experiment_id, "promote", reason, arm=arm)

    def set_weights(
        self, experiment_id: str, *, share: float | None = None, weights: Mapping[str, float] | None = None
    ) -> Experiment:
        """Change how much of the weights is in force, or the weights by the arms' names."""
        body = {name: value for name, value in {"share": share, "weights": weights}.items() if value is not None}
        return Experiment.model_validate(self._transport.put(f"{_EXPERIMENTS}/{experiment_id}/weights", body).json())

    def results(self, experiment_id: str) -> Results:
        """What it shows now; ask as often as you like."""
        return Results.model_validate(self._transport.get(f"{_EXPERIMENTS}/{experiment_id}/results").json())

    def _end(self, experiment_id: str, how: str, reason: str | None, **given: str) -> Experiment:
        body = {**given, **({"reason": reason} if reason else {})}
        return Experiment.model_validate(self._transport.post(f"{_EXPERIMENTS}/{experiment_id}/{how}", body).json())
