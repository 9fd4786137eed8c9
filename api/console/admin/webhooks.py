"""``/console/admin/webhooks``: endpoints, what was sent to them, and sending it again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.console.admin.organization import ADMIN, PAGE, Cursor
from api.console.fields import body_of, field
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import form, new_router, redirect, requires
from api.console.work import change, read
from api.deps import Runtime, get_runtime
from api.webhook_endpoints.deliveries import open_delivery
from api.webhook_endpoints.schemas import CreateEndpoint, RotateSecret
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.kit.ids import MESSAGE, WEBHOOK_ENDPOINT
from core.webhooks.events import EventType
from core.webhooks.records import Delivery, DeliveryFilter, DeliveryState, NewEndpoint

router = new_router("/admin/webhooks")

WEBHOOKS = f"{ADMIN}/webhooks"
_AGAIN = timedelta(hours=24)
_BODY_MAX = 64 * 1024
EndpointId = Annotated[str, Path(max_length=100)]
DeliveryId = Annotated[str, Path(max_length=100)]


@router.get("")
@requires("webhooks:read")
async def webhooks(request: Request) -> Response:
    """The endpoints of the project."""
    return await _list(request)


async def _list(request: Request, secret: str | None = None) -> Response:
    found = await read(
        request,
        lambda runtime, session, principal: runtime.webhooks.endpoints(session, principal, cursor=None, limit=PAGE),
    )
    events = [each.value for each in EventType]
    return render(request, "admin/webhooks.html", endpoints=found, events=events, secret=secret)


@router.post("")
@requires("webhooks:write")
async def create_endpoint(request: Request) -> Response:
    """Add an endpoint, and show its secret: now and never again."""
    given = {
        "url": field(request, "url") or "",
        "description": field(request, "description") or "",
        "events": [str(each) for each in form(request).getlist("event")],
        "include_result": field(request, "include_result") is not None,
    }
    body = body_of(CreateEndpoint, given)
    await get_runtime(request).webhook_targets.check_soon(body.url)
    events = tuple(dict.fromkeys(str(each) for each in body.events))
    new = NewEndpoint(body.url, body.description, events, body.include_result)
    issued = await change(request, lambda runtime, session, principal: runtime.webhooks.create(session, principal, new))
    return await _list(request, issued.secret)


@router.get("/deliveries/{delivery_id}")
@requires("webhooks:read")
async def delivery(request: Request, delivery_id: DeliveryId) -> Response:
    """One message: its body, and how each attempt went."""
    found = parse_id(MESSAGE, delivery_id, "webhook_delivery")
    seen = await get_runtime(request).in_thread(open_delivery, request, found)
    body = None if seen.body is None else seen.body[:_BODY_MAX].decode("utf-8", errors="replace").replace("\x00", "")
    return render(request, "admin/delivery.html", id=delivery_id, seen=seen, body=body)


@router.post("/deliveries/{delivery_id}/redeliver")
@requires("webhooks:write")
async def redeliver(request: Request, delivery_id: DeliveryId) -> Response:
    """Send a message again."""
    found = parse_id(MESSAGE, delivery_id, "webhook_delivery")
    await change(request, lambda runtime, session, principal: runtime.webhooks.redeliver(session, principal, found))
    return flash(redirect(request, f"{WEBHOOKS}/deliveries/{delivery_id}"), _("The message is sent again."))


@router.get("/{endpoint_id}")
@requires("webhooks:read")
async def endpoint(
    request: Request,
    endpoint_id: EndpointId,
    state: Annotated[DeliveryState | None, Query()] = None,
    cursor: Cursor = None,
) -> Response:
    """One endpoint, and what was sent to it."""
    return await _one(request, endpoint_id, state, cursor)


async def _one(
    request: Request,
    endpoint_id: str,
    state: DeliveryState | None = None,
    cursor: str | None = None,
    secret: str | None = None,
) -> Response:
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    before = None if cursor is None else cursors.decode(cursor)
    where = DeliveryFilter(endpoint_id=found, state=state)

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        sent: list[Delivery] = runtime.webhooks.deliveries(session, principal, where, cursor=before, limit=PAGE + 1)
        return {
            "endpoint": runtime.webhooks.get(session, principal, found),
            "deliveries": sent[:PAGE],
            "older": cursors.encode(sent[PAGE - 1].id) if len(sent) > PAGE else None,
        }

    values = await read(request, find)
    states = [each.value for each in DeliveryState]
    return render(
        request, "admin/endpoint.html", id=endpoint_id, secret=secret, states=states, state_chosen=state or "", **values
    )


@router.post("/{endpoint_id}/pause")
@requires("webhooks:write")
async def pause(request: Request, endpoint_id: EndpointId) -> Response:
    """Hold messages back."""
    return await _act(request, endpoint_id, lambda service: service.pause, _("The endpoint is paused; messages wait."))


@router.post("/{endpoint_id}/resume")
@requires("webhooks:write")
async def resume(request: Request, endpoint_id: EndpointId) -> Response:
    """Send what was held back."""
    return await _act(request, endpoint_id, lambda service: service.resume, _("The endpoint receives messages again."))


@router.post("/{endpoint_id}/test")
@requires("webhooks:write")
async def send_test(request: Request, endpoint_id: EndpointId) -> Response:
    """Send a message of type ``webhook.test``."""
    return await _act(request, endpoint_id, lambda service: service.test, _("A test message is on its way."))


@router.post("/{endpoint_id}/remove")
@requires("webhooks:write")
async def remove(request: Request, endpoint_id: EndpointId) -> Response:
    """Remove the endpoint."""
    text = _("The endpoint was removed.")
    return await _act(request, endpoint_id, lambda service: service.remove, text, to=WEBHOOKS)


@router.post("/{endpoint_id}/rotate")
@requires("webhooks:write")
async def rotate(request: Request, endpoint_id: EndpointId) -> Response:
    """Make a new secret, and show it: now and never again."""
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    overlap = timedelta(seconds=RotateSecret().overlap_seconds)
    issued = await change(
        request, lambda runtime, session, principal: runtime.webhooks.rotate(session, principal, found, overlap)
    )
    return await _one(request, endpoint_id, secret=issued.secret)


@router.post("/{endpoint_id}/redeliver")
@requires("webhooks:write")
async def redeliver_failed(request: Request, endpoint_id: EndpointId) -> Response:
    """Send again what failed in the last day."""
    found: UUID = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    count = await change(
        request,
        lambda runtime, session, principal: runtime.webhooks.redeliver_since(
            session, principal, found, utc_now() - _AGAIN, with_delivered=False
        ),
    )
    return flash(redirect(request, f"{WEBHOOKS}/{endpoint_id}"), _("%(count)s messages are sent again.", count=count))


async def _act(
    request: Request, endpoint_id: str, choose: Callable[[Any], Callable[..., Any]], text: str, to: str | None = None
) -> Response:
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    await change(request, lambda runtime, session, principal: choose(runtime.webhooks)(session, principal, found))
    return flash(redirect(request, to or f"{WEBHOOKS}/{endpoint_id}"), text)
