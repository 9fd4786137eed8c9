"""``/v1/quality/alerts``: list, read, acknowledge, close."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import parse_id, respond_json
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.quality.schemas import CloseAlert, QualityAlert, QualityAlertPage, to_alert
from api.routing import caller, new_router, requires
from api.work import Cursor, answer_once, per_page, read, respond_page
from core.keys.idempotency import Answer
from core.kit.ids import QUALITY_ALERT
from core.kit.json_values import dumps
from core.quality.alerts import service
from core.quality.alerts.records import Alert as AlertRecord
from core.quality.alerts.records import AlertState

router = new_router("/v1/quality/alerts", "quality")

AlertId = Annotated[str, Path(description="The alert's id.", examples=["qal_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.get(
    "",
    response_model=QualityAlertPage,
    summary="List quality alerts",
    responses={200: {"description": "A page of results, newest first."}, **problems()},
)
@requires("quality:read", organization_wide=True)
async def list_quality_alerts(
    request: Request,
    state: Annotated[AlertState | None, Query(description="Filter by state.")] = None,
    limit: Annotated[int, per_page("Alerts")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the organization's alerts."""
    before = cursors.decode_given(cursor)
    found = await read(request, service.list_alerts, state=state, cursor=before, limit=limit + 1)
    return respond_page(found, limit, to_alert)


@router.get(
    "/{alert_id}",
    response_model=QualityAlert,
    summary="Read a quality alert",
    responses={200: {"description": "Returns the alert, with examples of affected jobs."}, **problems(404)},
)
@requires("quality:read", organization_wide=True)
async def read_quality_alert(request: Request, alert_id: AlertId) -> Response:
    """Read an alert."""
    found = parse_id(QUALITY_ALERT, alert_id, "quality_alert")
    shown = await read(request, service.get, found)
    return respond_json(to_alert(shown))


@router.post(
    "/{alert_id}/acknowledge",
    response_model=QualityAlert,
    summary="Acknowledge a quality alert",
    description=(
        "Marks the alert as being handled: it no longer counts as open, and its signal raises no other alert meanwhile."
    ),
    responses={200: {"description": "The updated alert.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("quality:write", organization_wide=True)
async def acknowledge_quality_alert(request: Request, alert_id: AlertId) -> Response:
    """Acknowledge an alert."""
    found, principal = parse_id(QUALITY_ALERT, alert_id, "quality_alert"), caller(request)
    return await _change(request, b"", lambda session: service.acknowledge(session, principal, found))


@router.post(
    "/{alert_id}/close",
    response_model=QualityAlert,
    summary="Close a quality alert",
    description="Resumes watching the signal, against its previous baseline or a new one.",
    responses={
        200: {"description": "The updated alert.", "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("quality:write", organization_wide=True)
async def close_quality_alert(request: Request, alert_id: AlertId, body: CloseAlert) -> Response:
    """Close an alert."""
    found, principal = parse_id(QUALITY_ALERT, alert_id, "quality_alert"), caller(request)
    return await _change(
        request,
        await request.body(),
        lambda session: service.close(session, principal, found, reason=body.reason, is_new_normal=body.is_new_normal),
    )


async def _change(request: Request, body: bytes, act: Callable[[Session], AlertRecord]) -> Response:
    return await answer_once(request, lambda session: Answer(200, dumps(to_alert(act(session)))), body)
