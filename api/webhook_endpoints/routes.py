"""``/v1/webhook-endpoints``: add, read, list, change, remove, pause, resume, rotate, test."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import Body, Path, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.webhook_endpoints.issuing import issue_once
from api.webhook_endpoints.schemas import (
    CreateEndpoint,
    RotateSecret,
    UpdateEndpoint,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointPage,
    WebhookEndpointWithSecret,
    delivery_to_wire,
    endpoint_to_wire,
)
from api.work import Cursor, answer_once, change, per_page, read, respond_page
from core.keys.idempotency import Answer
from core.kit.ids import MESSAGE, WEBHOOK_ENDPOINT, encode
from core.kit.json_values import dumps
from core.webhooks.records import EndpointChange, NewEndpoint

router = new_router("/v1/webhook-endpoints", "webhooks")

_LOCATION = {"Location": {"description": "The endpoint.", "schema": {"type": "string"}}}
EndpointId = Annotated[str, Path(description="The endpoint's id.", examples=["whe_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.post(
    "",
    status_code=201,
    response_model=WebhookEndpointWithSecret,
    summary="Add a webhook endpoint",
    description=(
        "Sends the project's events to the endpoint from now on, signed according to the Standard Webhooks"
        " specification. The response shows the secret once. The URL must use https and be on the public"
        " internet; its name is resolved and checked now and at every attempt."
    ),
    responses={
        201: {"description": "Added.", "headers": {**_LOCATION, **REPLAYED}},
        **problems(400, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def create_endpoint(request: Request, body: CreateEndpoint) -> Response:
    """Add an endpoint."""
    runtime, principal = get_runtime(request), caller(request)
    new = NewEndpoint(body.url, body.description, _events(body.events), body.include_result)
    identity = identify_request(request, await request.body())

    await runtime.webhook_targets.check_soon(new.url)

    def create() -> Answer:
        return issue_once(request, identity, lambda session: runtime.webhooks.create(session, principal, new), 201)

    return respond_answer(await runtime.in_thread(create))


def _events(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each) for each in given))


@router.get(
    "",
    response_model=WebhookEndpointPage,
    summary="List webhook endpoints",
    responses={200: {"description": "A page of results, newest first."}, **problems()},
)
@requires("webhooks:read")
async def list_endpoints(
    request: Request,
    limit: Annotated[int, per_page("Endpoints")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the project's endpoints."""
    before = cursors.decode_given(cursor)
    found = await read(request, get_runtime(request).webhooks.endpoints, cursor=before, limit=limit + 1)
    return respond_page(found, limit, endpoint_to_wire)


@router.get(
    "/{endpoint_id}",
    response_model=WebhookEndpoint,
    summary="Read a webhook endpoint",
    responses={200: {"description": "Returns the endpoint, without its secret."}, **problems(404)},
)
@requires("webhooks:read")
async def read_endpoint(request: Request, endpoint_id: EndpointId) -> Response:
    """Read an endpoint."""
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    shown = await read(request, get_runtime(request).webhooks.get, found)
    return respond_json(endpoint_to_wire(shown))


@router.patch(
    "/{endpoint_id}",
    response_model=WebhookEndpoint,
    summary="Change a webhook endpoint",
    responses={200: {"description": "The updated endpoint."}, **problems(400, 404, 408, 413, 415)},
)
@requires("webhooks:write")
async def update_endpoint(request: Request, endpoint_id: EndpointId, body: UpdateEndpoint) -> Response:
    """Update the fields in the body."""
    events = None if body.events is None else _events(body.events)
    wanted = EndpointChange(body.url, body.description, events, body.include_result)
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    if wanted.url is not None:
        await get_runtime(request).webhook_targets.check_soon(wanted.url)
    shown = await change(request, get_runtime(request).webhooks.update, found, wanted)
    return respond_json(endpoint_to_wire(shown))


@router.delete(
    "/{endpoint_id}",
    response_model=WebhookEndpoint,
    summary="Remove a webhook endpoint",
    description="Removes the endpoint and cancels its pending deliveries. Past deliveries remain listed.",
    responses={200: {"description": "The removed endpoint."}, **problems(404)},
)
@requires("webhooks:write")
async def remove_endpoint(request: Request, endpoint_id: EndpointId) -> Response:
    """Remove an endpoint."""
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    shown = await change(request, get_runtime(request).webhooks.remove, found)
    return respond_json(endpoint_to_wire(shown))


@router.post(
    "/{endpoint_id}/pause",
    response_model=WebhookEndpoint,
    summary="Pause a webhook endpoint",
    description="Holds messages back until the endpoint is resumed. Pausing twice has no further effect.",
    responses={200: {"description": "The updated endpoint.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def pause_endpoint(request: Request, endpoint_id: EndpointId) -> Response:
    """Pause an endpoint."""
    runtime, principal = get_runtime(request), caller(request)
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    return await answer_once(
        request, lambda session: Answer(200, dumps(endpoint_to_wire(runtime.webhooks.pause(session, principal, found))))
    )


@router.post(
    "/{endpoint_id}/resume",
    response_model=WebhookEndpoint,
    summary="Resume a webhook endpoint",
    description=(
        "Sends the messages that were held back during a pause. An endpoint that Waybill had disabled only"
        " receives new messages; use `redeliver` for those that failed meanwhile. Resuming twice has no"
        " further effect."
    ),
    responses={200: {"description": "The updated endpoint.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def resume_endpoint(request: Request, endpoint_id: EndpointId) -> Response:
    """Resume an endpoint."""
    runtime, principal = get_runtime(request), caller(request)
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    return await answer_once(
        request,
        lambda session: Answer(200, dumps(endpoint_to_wire(runtime.webhooks.resume(session, principal, found)))),
    )


@router.post(
    "/{endpoint_id}/rotate",
    response_model=WebhookEndpointWithSecret,
    summary="Rotate an endpoint's secret",
    description="Messages carry two signatures for `overlap_seconds`, one for each secret.",
    responses={
        200: {"description": "The endpoint with its new secret.", "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def rotate_endpoint_secret(
    request: Request, endpoint_id: EndpointId, body: Annotated[RotateSecret | None, Body()] = None
) -> Response:
    """Rotate an endpoint's secret."""
    runtime, principal = get_runtime(request), caller(request)
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    overlap = timedelta(seconds=(body or RotateSecret()).overlap_seconds)
    identity = identify_request(request, await request.body())

    def rotate() -> Answer:
        return issue_once(
            request, identity, lambda session: runtime.webhooks.rotate(session, principal, found, overlap), 200
        )

    return respond_answer(await runtime.in_thread(rotate))


@router.post(
    "/{endpoint_id}/test",
    status_code=202,
    response_model=WebhookDelivery,
    summary="Send a test message",
    description="Sends a message of type `webhook.test` like any other; the delivery shows the outcome.",
    responses={
        202: {"description": "The delivery.", "headers": {**_LOCATION, **REPLAYED}},
        **problems(400, 404, 409),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def test_endpoint(request: Request, endpoint_id: EndpointId) -> Response:
    """Send a test message."""
    runtime, principal = get_runtime(request), caller(request)
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")

    def produce(session: Session) -> Answer:
        delivery = runtime.webhooks.test(session, principal, found)
        location = f"/v1/webhook-deliveries/{encode(MESSAGE, delivery.id)}"
        return Answer(202, dumps(delivery_to_wire(delivery)), location)

    return await answer_once(request, produce)
