"""``/console/money``: what was spent, on what, and hours in which it was far more than usual."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

from fastapi import Request, Response

from api.console.money.parameters import Filter
from api.console.rendering import render
from api.console.routing import new_router, requires
from api.console.work import read
from api.costs.parameters import parse_groupings, parse_reach
from api.costs.routes import export_focus, report_costs
from api.deps import Runtime
from core.forecasts.anomalies import anomalies
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.kit.ids import KEY, MODEL_VERSION, PROJECT, encode
from core.kit.money import ZERO
from core.ledger.reports.costs import report
from core.ledger.reports.records import Dimension, Grouping, Totals, Window

router = new_router("/money")

GROUPS = tuple(each.value for each in Dimension if each is not Dimension.LABEL)
_DEFAULT_GROUPS = ("model",)
_SHOWN = 200
_ANOMALIES = timedelta(days=7)
_PREFIXES = {"project_id": PROJECT, "key_id": KEY, "model_version_id": MODEL_VERSION}
_NAMED = {"project_id": "project", "key_id": "key", "model_version_id": "model_version"}


@router.get("")
@requires("costs:read")
async def spending(request: Request, chosen: Filter) -> Response:
    """Spending by any groups, and by day."""
    groupings = parse_groupings(chosen.group_by or _DEFAULT_GROUPS)
    now = utc_now()

    def find(_runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        reach = parse_reach(principal, chosen.project)
        return {
            "lines": report(session, reach, chosen.window, groupings),
            "days": report(session, reach, chosen.window, [Grouping(Dimension.DAY)]),
            "anomalies": anomalies(session, reach, Window(now - _ANOMALIES, now)),
        }

    values = await read(request, find)
    lines: list[Totals] = sorted(values.pop("lines"), key=lambda line: -line.amount_usd)
    days = {line.group["day"]: line for line in values.pop("days")}
    columns = [column for grouping in groupings for column in grouping.columns if column not in _NAMED]
    # A project, a key and a version are shown by their names, and found by their ids.
    total = _total(list(days.values()))
    return render(
        request,
        "money/spending.html",
        chosen=chosen,
        group_by=",".join(chosen.group_by or _DEFAULT_GROUPS),
        groups=GROUPS,
        heads=[column if ":" in column else column.replace("_", " ").capitalize() for column in columns],
        lines=[(_cells(line, columns), line) for line in lines[:_SHOWN]],
        left_out=max(0, len(lines) - _SHOWN),
        total=total,
        largest=max((line.amount_usd for line in lines), default=ZERO),
        by_day=[(day, days[day]) for day in sorted(days)],
        series=series(chosen.window, {day: line.amount_usd for day, line in days.items()}),
        **values,
    )


@router.get("/costs.csv")
@requires("costs:read")
async def costs_file(request: Request, chosen: Filter) -> Response:
    """The same lines as `GET /v1/costs` gives as CSV."""
    groups = list(chosen.group_by or _DEFAULT_GROUPS)
    answer: Response = await report_costs(
        request, groups, chosen.window.begins, chosen.window.ends, chosen.project, "csv"
    )
    return answer


@router.get("/focus.csv")
@requires("costs:read")
async def focus_file(request: Request, chosen: Filter) -> Response:
    """The same lines as `GET /v1/costs/focus`."""
    answer: Response = await export_focus(request, chosen.window.begins, chosen.window.ends, chosen.project)
    return answer


def _total(lines: Sequence[Totals]) -> Totals:
    return Totals(
        {},
        sum((line.amount_usd for line in lines), start=ZERO),
        sum((line.estimated_usd for line in lines), start=ZERO),
        sum((line.corrections_usd for line in lines), start=ZERO),
        sum(line.calls for line in lines),
        sum(line.jobs for line in lines),
        {},
        sum(line.unpriced_calls for line in lines),
    )


def _cells(line: Totals, columns: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Each group's value, and the id behind a name."""
    ids = {name: encode(_PREFIXES[column], line.group[column]) for column, name in _NAMED.items() if _has(line, column)}
    return [
        (ids.get(column) if (value := line.group[column]) is None else str(value), ids.get(column))
        for column in columns
    ]


def _has(line: Totals, column: str) -> bool:
    return line.group.get(column) is not None


def series(window: Window, days: dict[Any, Decimal]) -> list[list[float | int]]:
    """The amount of each day up to today; a day without charges cost nothing."""
    at, ends = window.begins.replace(hour=0, minute=0, second=0, microsecond=0), min(window.ends, utc_now())
    if not days or (ends - at) > timedelta(days=366):
        moments = [datetime.combine(day, datetime.min.time(), window.begins.tzinfo) for day in sorted(days)]
    else:
        # The window ends before `ends`: at midnight, with the day before.
        whole = ceil((ends - at) / timedelta(days=1))
        moments = [at + timedelta(days=number) for number in range(whole)]
    return [
        [int(moment.timestamp()) for moment in moments],
        [float(days.get(moment.date(), ZERO)) for moment in moments],
    ]
