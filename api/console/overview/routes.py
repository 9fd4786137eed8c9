"""``/console/overview``: what `GET /v1/metrics` reports, from roll-ups."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response

from api.console.rendering import gettext as _
from api.console.rendering import render
from api.console.routing import new_router, requires
from api.console.work import read
from api.costs.parameters import parse_reach
from api.deps import Runtime
from api.metrics.routes import LENGTHS, parse_span
from api.metrics.schemas import to_metrics
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.rollups import repository
from core.rollups.repository import Dimension, Figures, Selection
from core.rollups.sketch import SECONDS

router = new_router("/overview")

_SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_RUNNING, _WAITING_FOR_WORKER = ("running", "dispatched"), ("queued",)


@router.get("")
@requires("costs:read")
async def overview(
    request: Request,
    span: Annotated[Literal["1h", "24h", "7d", "30d"], Query(description="How far back.")] = "24h",
    project: Annotated[str, Query(max_length=100, description="Only this project.")] = "",
) -> Response:
    """The state of the jobs now, and over a time."""
    now = utc_now()
    grain, begins, ends = parse_span(now - _SPANS[span], now, None)

    def find(_runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        selection = Selection(parse_reach(principal, project or None), grain, begins, ends)
        by_capability = repository.read(session, selection, Dimension.CAPABILITY)
        by_model = repository.read(session, selection, Dimension.MODEL)
        backlog = repository.backlog(session, selection.reach)
        report = to_metrics(
            selection,
            Dimension.CAPABILITY,
            as_of=(as_of := repository.as_of(session)),
            total=repository.total(by_capability),
            groups=repository.by_group(by_capability),
            series={},
            backlog=(),
        )
        models = to_metrics(
            selection,
            Dimension.MODEL,
            as_of=as_of,
            total=repository.total(by_model),
            groups=repository.by_group(by_model),
            series={},
            backlog=(),
        )
        return {
            "as_of": as_of,
            "total": report["total"],
            "capabilities": report["data"],
            "models": models["data"],
            "backlog": sorted(backlog, key=lambda each: (each.capability, each.state)),
            "queued": sum(each.jobs for each in backlog if each.state in _WAITING_FOR_WORKER),
            "running": sum(each.jobs for each in backlog if each.state in _RUNNING),
            "unfinished": sum(each.jobs for each in backlog),
            "oldest": min((each.oldest_at for each in backlog if each.state in _WAITING_FOR_WORKER), default=None),
            **_charts(by_capability, selection),
        }

    values = await read(request, find)
    total = values["total"]
    ended = sum(total["jobs"].values())
    return render(
        request,
        "overview/overview.html",
        fragment="overview/_figures.html",
        span=span,
        spans=list(_SPANS),
        project=project,
        ended=ended,
        per_hour=ended / (_SPANS[span] / timedelta(hours=1)),
        amount=None if total["amount_usd"] is None else Decimal(total["amount_usd"]),
        grain=grain,
        **values,
    )


def _charts(found: Mapping[repository.Place, Figures], selection: Selection) -> dict[str, Any]:
    """Jobs that ended and the 95th percentiles, by interval. An interval without jobs has none, but no time."""
    by_time: dict[datetime, Figures] = {}
    for (_group, at), figures in found.items():
        by_time.setdefault(at, Figures()).add(figures)
    step, at, points = LENGTHS[selection.grain], selection.begins, []
    while at < selection.ends:
        points.append((at, by_time.get(at) or Figures()))
        at += step
    seconds = [int(at.timestamp()) for at, _figures in points]
    succeeded = [figures.jobs.get("succeeded", 0) for _at, figures in points]
    failed = [figures.jobs.get("failed", 0) + figures.jobs.get("expired", 0) for _at, figures in points]
    waits = [SECONDS.quantile(figures.wait, 0.95) for _at, figures in points]
    runs = [SECONDS.quantile(figures.duration, 0.95) for _at, figures in points]
    return {
        "throughput": [seconds, succeeded, failed],
        "latency": [seconds, _short(runs), _short(waits)],
        "labels": {"throughput": [_("succeeded"), _("failed")], "latency": [_("run"), _("wait")]},
        "points": [
            (at, ended, lost, run, wait)
            for (at, _figures), ended, lost, run, wait in zip(
                points, succeeded, failed, _short(runs), _short(waits), strict=True
            )
            if ended or lost or run is not None
        ],
    }


def _short(values: list[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.3g}") for value in values]
