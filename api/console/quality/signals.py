"""``/console/quality``: signals with their intervals, over time, and changes that were noticed."""

import math
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.console.forms import parse_form
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import form, new_router, redirect, requires
from api.console.work import change, read
from api.deps import Runtime
from api.quality.routes import select
from api.quality.schemas import CloseAlert
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.kit.ids import QUALITY_ALERT
from core.ledger.reports.records import Window
from core.quality import series
from core.quality.alerts import service as alerts
from core.quality.alerts.records import AlertState
from core.quality.series import Group, Point, Step
from core.quality.signals import DEFINITIONS, Kind, Signal

router = new_router("/quality")

_ALERTS = "/console/quality/alerts"
_PAGE = 50
_DAYS = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}
_LINES_MAX = 5
Span = Annotated[Literal["24h", "7d", "30d", "90d"], Query(description="How far back.")]


@router.get("")
@requires("quality:read")
async def quality(
    request: Request,
    span: Span = "7d",
    capability: Annotated[str, Query(max_length=200, description="Only this capability.")] = "",
    signal: Annotated[Signal | Literal[""], Query(description="Only this signal.")] = "",
    project: Annotated[str, Query(max_length=100, description="Only this project.")] = "",
) -> Response:
    """Signals by version; with a capability and a signal, over time as well."""
    window = _window(span)
    step = Step.HOUR if span == "24h" else Step.DAY
    wanted = [Signal(signal)] if signal else []

    def find(_runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        selection = select(principal, capability or None, wanted, None, None, window, project or None)
        points = series.summarize(session, selection, [Group.MODEL_VERSION])
        over_time = series.series(session, selection, [Group.MODEL_VERSION], step) if capability and wanted else []
        return {"points": points, "over_time": over_time}

    values = await read(request, find)
    points: list[Point] = values.pop("points")
    over_time: list[Point] = values.pop("over_time")
    return render(
        request,
        "quality/signals.html",
        span=span,
        spans=list(_DAYS),
        capability=capability,
        signal=signal,
        project=project,
        signals=[each.value for each in Signal],
        capabilities=sorted({each.capability for each in points}),
        lines=_scaled(points),
        chart=_chart(over_time) if over_time else None,
        over_time=[_line(each) for each in over_time],
        definition=DEFINITIONS[wanted[0]] if wanted else None,
        step=step,
    )


@router.get("/alerts")
@requires("quality:read", organization_wide=True)
async def changes(
    request: Request,
    state: Annotated[AlertState | Literal[""], Query(description="Filter by state.")] = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Changes of signals that were noticed, newest first."""
    before = None if cursor is None else cursors.decode(cursor)
    wanted = AlertState(state) if state else None
    found = await read(
        request,
        lambda _runtime, session, principal: alerts.list_alerts(
            session, principal, state=wanted, cursor=before, limit=_PAGE + 1
        ),
    )
    return render(
        request,
        "quality/alerts.html",
        alerts=[(each, _shown(each.signal)) for each in found[:_PAGE]],
        older=cursors.encode(found[_PAGE - 1].id) if len(found) > _PAGE else None,
        state=state,
        states=[each.value for each in AlertState],
    )


@router.get("/alerts/{alert_id}")
@requires("quality:read", organization_wide=True)
async def alert(request: Request, alert_id: str) -> Response:
    """One change: before, since, how sure, and the jobs that moved furthest."""
    found = parse_id(QUALITY_ALERT, alert_id, "quality_alert")
    shown = await read(request, lambda _runtime, session, principal: alerts.get(session, principal, found))
    return render(
        request,
        "quality/alert.html",
        alert=shown,
        definition=DEFINITIONS[shown.signal],
        unit=_shown(shown.signal),
    )


@router.post("/alerts/{alert_id}/acknowledge")
@requires("quality:write", organization_wide=True)
async def acknowledge(request: Request, alert_id: str) -> Response:
    """Someone handles it."""
    found = parse_id(QUALITY_ALERT, alert_id, "quality_alert")
    await change(request, lambda _runtime, session, principal: alerts.acknowledge(session, principal, found))
    return flash(redirect(request, f"{_ALERTS}/{alert_id}"), _("You are handling it."))


@router.post("/alerts/{alert_id}/close")
@requires("quality:write", organization_wide=True)
async def close(request: Request, alert_id: str) -> Response:
    """The signal is watched again, against its old level or a new one."""
    found, fields = parse_id(QUALITY_ALERT, alert_id, "quality_alert"), form(request)
    given = {"reason": fields.get("reason") or None, "is_new_normal": fields.get("is_new_normal") == "yes"}
    body = parse_form(CloseAlert, given)
    await change(
        request,
        lambda _runtime, session, principal: alerts.close(
            session, principal, found, reason=body.reason, is_new_normal=body.is_new_normal
        ),
    )
    return flash(redirect(request, f"{_ALERTS}/{alert_id}"), _("It is closed. The signal is watched again."))


def _window(span: str) -> Window:
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    if span == "24h":
        now = utc_now().replace(minute=0, second=0, microsecond=0)
        return Window(now - timedelta(hours=23), now + timedelta(hours=1))
    return Window(today - timedelta(days=_DAYS[span] - 1), today + timedelta(days=1))


def _shown(signal: Signal) -> str:
    """How its values are written: as a share, or with a unit."""
    definition = DEFINITIONS[signal]
    return "%" if definition.kind is Kind.RATE else definition.unit


def _scaled(points: list[Point]) -> list[tuple[Point, dict[str, Any], float, float]]:
    """Each point with the scale on which its interval is drawn: from 0 to 1, or what the signal reaches."""
    most: dict[tuple[str, Signal], float] = {}
    for each in points:
        ends = [end for end in (each.interval.estimate, each.interval.high) if math.isfinite(end)]
        place = (each.capability, each.signal)
        most[place] = max(most.get(place, 0.0), *ends)
    return [
        (
            each,
            _line(each),
            0.0,
            most[each.capability, each.signal] if DEFINITIONS[each.signal].kind is Kind.MEAN else 1.0,
        )
        for each in points
    ]


def _line(point: Point) -> dict[str, Any]:
    found = point.interval
    return {
        "start": point.start,
        "version": _version(point),
        "estimate": found.estimate,
        "low": found.low if math.isfinite(found.low) else None,
        "high": found.high if math.isfinite(found.high) else None,
        "jobs": found.units,
        "unit": _shown(point.signal),
    }


def _version(point: Point) -> str:
    if point.model_name is not None:
        return f"{point.model_name} v{point.model_number}"
    return point.model_version or _("no model")


def _chart(points: list[Point]) -> tuple[list[list[float | int | None]], list[str], bool]:
    """The estimates by version; for a single version its interval as well."""
    factor = 100 if DEFINITIONS[points[0].signal].kind is Kind.RATE else 1
    by_version: dict[str, dict[datetime, Point]] = {}
    for each in points:
        assert each.start is not None
        by_version.setdefault(_version(each), {})[each.start] = each
    moments = sorted({start for found in by_version.values() for start in found})
    largest = sorted(by_version, key=lambda name: -sum(each.interval.units for each in by_version[name].values()))
    shown = largest[:_LINES_MAX]

    def values(version: str, end: str) -> list[float | None]:
        found = (by_version[version].get(moment) for moment in moments)
        return [None if each is None else _finite(getattr(each.interval, end) * factor) for each in found]

    lines, labels = [values(version, "estimate") for version in shown], list(shown)
    if len(shown) == 1:
        lines += [values(shown[0], "low"), values(shown[0], "high")]
        labels += [_("lower bound"), _("upper bound")]
    return [[int(moment.timestamp()) for moment in moments], *lines], labels, len(largest) > len(shown)


def _finite(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
