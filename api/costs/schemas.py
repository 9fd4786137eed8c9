"""Costs and usage on the wire, as JSON and as CSV."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from core.kit.clock import isoformat
from core.kit.ids import KEY, MODEL_VERSION, PROJECT, encode
from core.kit.money import ZERO, format_cost, format_money
from core.ledger.records import Unit
from core.ledger.reports.delimited import to_csv
from core.ledger.reports.records import Grouping, Totals, Window

_PREFIXES = {"project_id": PROJECT, "key_id": KEY, "model_version_id": MODEL_VERSION}
_GROUP_HELP = (
    "The values of the requested groups: `project_id` and `project`, `capability`, `provider` and `model`,"
    " `model_version_id` and `model_version`, `deployment`, `provider`, `key_id` and `key`, `day`,"
    " `label:NAME`. A value is null when the charge has none."
)
_GROUP_EXAMPLE = {"project_id": "prj_01jd3q8v9tfq8a1b2c3d4e5f6g", "project": "claims", "day": "2026-11-23"}


class CostLine(BaseModel):
    """Cost of a group. Amounts are US dollars as decimal strings, exact to nine places."""

    group: dict[str, str | None] = Field(description=_GROUP_HELP, examples=[_GROUP_EXAMPLE])
    amount_usd: str | None = Field(
        description="The known cost. Null when no part of it had a price.", examples=["12.3456"]
    )
    estimated_usd: str = Field(description="The part that was estimated because the provider reported no usage.")
    corrections_usd: str = Field(description="The part added by corrections. May be negative.")
    calls: int = Field(description="Number of settled model calls.")
    jobs: int = Field(description="Number of jobs with these calls.")
    unpriced_calls: int = Field(description="Calls with usage that had no price. That usage is not part of the amount.")


class CostTotal(BaseModel):
    """The total of all lines."""

    amount_usd: str | None
    estimated_usd: str
    corrections_usd: str
    calls: int
    unpriced_calls: int


class CostReport(BaseModel):
    """Costs by group. A charge belongs to the time at which its job was accepted, as for budgets."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    group_by: list[str]
    data: list[CostLine]
    total: CostTotal


class UsageLine(BaseModel):
    """Usage of a group."""

    group: dict[str, str | None] = Field(description=_GROUP_HELP, examples=[_GROUP_EXAMPLE])
    quantities: dict[str, str] = Field(
        description="Quantities by kind, as decimal strings. Kinds without usage are left out.",
        examples=[{"input_tokens": "1200", "output_tokens": "340"}],
    )
    calls: int
    jobs: int


class UsageReport(BaseModel):
    """Usage by group, for the same charges as a cost report."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    group_by: list[str]
    data: list[UsageLine]


def to_cost_report(window: Window, groupings: Sequence[Grouping], lines: Sequence[Totals]) -> dict[str, Any]:
    """The members of `CostReport`."""
    unpriced = sum(line.unpriced_calls for line in lines)
    return {
        **_head(window, groupings),
        "data": [
            {
                "group": _group(line),
                "amount_usd": format_cost(line.amount_usd, priced=not line.unpriced_calls),
                "estimated_usd": format_money(line.estimated_usd),
                "corrections_usd": format_money(line.corrections_usd),
                "calls": line.calls,
                "jobs": line.jobs,
                "unpriced_calls": line.unpriced_calls,
            }
            for line in lines
        ],
        "total": {
            "amount_usd": format_cost(sum((line.amount_usd for line in lines), start=ZERO), priced=not unpriced),
            "estimated_usd": format_money(sum((line.estimated_usd for line in lines), start=ZERO)),
            "corrections_usd": format_money(sum((line.corrections_usd for line in lines), start=ZERO)),
            "calls": sum(line.calls for line in lines),
            "unpriced_calls": unpriced,
        },
    }


def to_cost_csv(groupings: Sequence[Grouping], lines: Sequence[Totals]) -> str:
    """A line per group, after a header."""
    measures = ("amount_usd", "estimated_usd", "corrections_usd", "calls", "jobs", "unpriced_calls")
    body = (
        [
            *_cells(line),
            "" if line.unpriced_calls and not line.amount_usd else line.amount_usd,
            line.estimated_usd,
            line.corrections_usd,
            line.calls,
            line.jobs,
            line.unpriced_calls,
        ]
        for line in lines
    )
    return to_csv([[*_columns(groupings), *measures], *body])


def to_usage_report(window: Window, groupings: Sequence[Grouping], lines: Sequence[Totals]) -> dict[str, Any]:
    """The members of `UsageReport`."""
    return {
        **_head(window, groupings),
        "data": [
            {
                "group": _group(line),
                "quantities": {unit.value: f"{quantity:f}" for unit, quantity in line.quantities.items()},
                "calls": line.calls,
                "jobs": line.jobs,
            }
            for line in lines
        ],
    }


def to_usage_csv(groupings: Sequence[Grouping], lines: Sequence[Totals]) -> str:
    """A line per group with a column per kind of quantity, after a header."""
    body = ([*_cells(line), *(line.quantities.get(unit, 0) for unit in Unit), line.calls, line.jobs] for line in lines)
    return to_csv([[*_columns(groupings), *(unit.value for unit in Unit), "calls", "jobs"], *body])


def _head(window: Window, groupings: Sequence[Grouping]) -> dict[str, Any]:
    return {
        "from": isoformat(window.begins),
        "to": isoformat(window.ends),
        "group_by": [f"label:{grouping.label}" if grouping.label else grouping.dimension for grouping in groupings],
    }


def _columns(groupings: Sequence[Grouping]) -> list[str]:
    return [column for grouping in groupings for column in grouping.columns]


def _group(line: Totals) -> dict[str, str | None]:
    return {column: _text(column, value) for column, value in line.group.items()}


def _cells(line: Totals) -> Iterator[str | None]:
    return (_text(column, value) for column, value in line.group.items())


def _text(column: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, UUID):
        return encode(_PREFIXES[column], value)
    return value.isoformat() if isinstance(value, date) else str(value)
