"""Roll-ups schemas."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from core.kit.clock import isoformat
from core.kit.ids import KEY, PROJECT, encode
from core.kit.money import format_cost
from core.rollups.repository import OF_CALLS_ONLY, Dimension, Figures, Place, Selection, Waiting, columns_of
from core.rollups.sketch import SECONDS, Sketch

_SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_PREFIXES = {"project_id": PROJECT, "key_id": KEY}
_COUNTED = ("succeeded", "failed", "expired")
_DIGITS = 4


class Quantiles(BaseModel):
    """Percentiles of a duration in seconds, each accurate to 5 %. Null without data."""

    p50: float | None
    p95: float | None
    p99: float | None


class Measures(BaseModel):
    """Totals of ended jobs and their model calls."""

    jobs: dict[str, int] | None = Field(
        description="Ended jobs by state. Null when grouped by model or key.",
        examples=[{"succeeded": 96, "failed": 4}],
    )
    error_rate: float | None = Field(
        description="Share of `failed` and `expired` among those and `succeeded`. Null without any.",
        examples=[0.04],
    )
    failed_attempts: int | None = Field(description="Failed attempts of these jobs.")
    outages: int | None = Field(description="Attempts that ended because a dependency was unavailable.")
    wait_seconds: Quantiles | None = Field(
        description="Time from being due to the first start. Jobs that were postponed are not included."
    )
    duration_seconds: Quantiles | None = Field(
        description="Time from the first start to the end, for successful jobs. Includes waiting for people."
    )
    calls: int = Field(description="Settled model calls, by time of settlement.")
    lost_calls: int = Field(description="Of these, calls whose worker was lost, settled at their maximum cost.")
    unpriced_calls: int = Field(description="Of these, calls with usage that had no price.")
    amount_usd: str | None = Field(description="Cost including corrections. Null when no part of it had a price.")
    quantities: dict[str, int] = Field(
        description="Usage by kind.", examples=[{"input_tokens": 1200, "output_tokens": 340}]
    )
    call_seconds: Quantiles = Field(description="Time from a call's intent to its settlement in the ledger.")


class MetricsLine(Measures):
    """The metrics of a group."""

    group: dict[str, str | None] = Field(
        description=(
            "The values of the groups: `capability`, `project_id`, `key_id`, or `provider`, `model`, `model_version`."
        ),
        examples=[{"capability": "knowledge.search"}],
    )


class MetricsPoint(MetricsLine):
    """The metrics of a group in one interval. Intervals without data are left out."""

    at: datetime = Field(description="Start of the interval.")


class BacklogLine(BaseModel):
    """Unfinished jobs."""

    project_id: str
    capability: str
    state: str = Field(examples=["queued"])
    jobs: int
    oldest_at: datetime = Field(description="When the oldest of them was accepted.")
    counted_at: datetime = Field(description="When they were counted. Updated every 15 seconds.")


class Metrics(BaseModel):
    """Metrics from roll-ups, which are written about every five seconds and kept for 90 days."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    interval: str = Field(examples=["hour"])
    group_by: str | None
    as_of: datetime = Field(description="Time of the last roll-up. Jobs that ended later are not included yet.")
    total: Measures
    data: list[MetricsLine] = Field(description="One line per group. Empty without `group_by`.")
    series: list[MetricsPoint]
    backlog: list[BacklogLine]


def to_metrics(
    selection: Selection,
    dimension: Dimension | None,
    *,
    as_of: datetime,
    total: Figures,
    groups: Mapping[tuple[Any, ...], Figures],
    series: Mapping[Place, Figures],
    backlog: Iterable[Waiting],
) -> dict[str, Any]:
    """The members of `Metrics`."""
    of_jobs = dimension not in OF_CALLS_ONLY
    names = columns_of(dimension)
    return {
        "from": isoformat(selection.begins),
        "to": isoformat(selection.ends),
        "interval": selection.grain.value,
        "group_by": None if dimension is None else dimension.value,
        "as_of": isoformat(as_of),
        "total": _measures(total, of_jobs=True),
        "data": [
            {"group": _group(names, values), **_measures(figures, of_jobs=of_jobs)}
            for values, figures in sorted(groups.items(), key=lambda item: _rank(*item))
        ],
        "series": [
            {
                "at": isoformat(at),
                "group": _group(names, values),
                **_measures(figures, of_jobs=of_jobs),
            }
            for (values, at), figures in sorted(
                series.items(), key=lambda item: (item[0][1], _rank(item[0][0], item[1]))
            )
        ],
        "backlog": [
            {
                "project_id": encode(PROJECT, each.project_id),
                "capability": each.capability,
                "state": each.state,
                "jobs": each.jobs,
                "oldest_at": isoformat(each.oldest_at),
                "counted_at": isoformat(each.counted_at),
            }
            for each in backlog
        ],
    }


def _measures(figures: Figures, *, of_jobs: bool) -> dict[str, Any]:
    counted = {state: figures.jobs.get(state, 0) for state in _COUNTED}
    ended = sum(counted.values())
    failed = ended - counted["succeeded"]
    return {
        "jobs": dict(sorted(figures.jobs.items())) if of_jobs else None,
        "error_rate": round(failed / ended, _DIGITS) if of_jobs and ended else None,
        "failed_attempts": figures.failures if of_jobs else None,
        "outages": figures.outages if of_jobs else None,
        "wait_seconds": _quantiles(figures.wait) if of_jobs else None,
        "duration_seconds": _quantiles(figures.duration) if of_jobs else None,
        "calls": figures.calls,
        "lost_calls": figures.lost_calls,
        "unpriced_calls": figures.unpriced_calls,
        "amount_usd": format_cost(figures.amount_usd, priced=not figures.unpriced_calls),
        "quantities": dict(sorted(figures.quantities.items())),
        "call_seconds": _quantiles(figures.call_duration),
    }


def _quantiles(sketch: Sketch) -> dict[str, float | None]:
    found = {name: SECONDS.quantile(sketch, share) for name, share in _SHARES.items()}
    # More digits than the sketch is accurate to would be misleading.
    return {name: None if value is None else float(f"{value:.3g}") for name, value in found.items()}


def _group(names: Sequence[str], values: Sequence[Any]) -> dict[str, str | None]:
    return {name: _text(name, value) for name, value in zip(names, values, strict=True)}


def _text(name: str, value: Any) -> str | None:
    if isinstance(value, UUID):
        return encode(_PREFIXES[name], value)
    return None if value is None else str(value)


def _rank(values: tuple[Any, ...], figures: Figures) -> tuple[Any, ...]:
    return (-figures.amount_usd, -sum(figures.jobs.values()), tuple(str(value) for value in values))
