"""An experiment's rules as the JSON that Postgres holds, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from core.registry.experiments.definition import Canary, Guardrail, Metric, RampStep, ShadowLimits, State
from core.registry.experiments.statistics.planning import Plan


def dump_plan(plan: Plan) -> dict[str, Any]:
    """`plan` as JSON values."""
    return asdict(plan)


def load_plan(stored: Mapping[str, Any]) -> Plan:
    """The plan behind `dump_plan`."""
    return Plan(**stored)


def dump_guardrails(guardrails: Sequence[Guardrail]) -> list[dict[str, Any]]:
    """`guardrails` as JSON values."""
    return [{"metric": each.metric.value, "bound": each.bound} for each in guardrails]


def load_guardrails(stored: Sequence[Mapping[str, Any]]) -> tuple[Guardrail, ...]:
    """The guardrails behind `dump_guardrails`."""
    return tuple(Guardrail(Metric(each["metric"]), float(each["bound"])) for each in stored)


def dump_ramp(ramp: Sequence[RampStep]) -> list[dict[str, Any]]:
    """`ramp` as JSON values."""
    return [asdict(step) for step in ramp]


def load_ramp(stored: Sequence[Mapping[str, Any]]) -> tuple[RampStep, ...]:
    """The ramp behind `dump_ramp`."""
    return tuple(RampStep(**step) for step in stored)


def dump_canary(canary: Canary | None) -> dict[str, Any] | None:
    """`canary` as JSON values."""
    return None if canary is None else {**asdict(canary), "undecided": canary.undecided.value}


def load_canary(stored: Mapping[str, Any] | None) -> Canary | None:
    """The canary behind `dump_canary`."""
    return None if stored is None else Canary(**{**stored, "undecided": State(stored["undecided"])})


def dump_shadow_limits(limits: ShadowLimits | None) -> dict[str, str] | None:
    """`limits` as JSON values."""
    return None if limits is None else {name: str(amount) for name, amount in asdict(limits).items()}


def load_shadow_limits(stored: Mapping[str, str] | None) -> ShadowLimits | None:
    """The limits behind `dump_shadow_limits`."""
    return None if stored is None else ShadowLimits(**{name: Decimal(amount) for name, amount in stored.items()})
