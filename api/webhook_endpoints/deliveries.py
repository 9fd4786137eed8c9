"""``/v1/webhook-deliveries``: what was sent, its outcome, and sending it again."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.jobs.schemas import clamp
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.webhook_endpoints.schemas import (
    Redelivered,
    RedeliverSince,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookDeliveryWithAttempts,
    delivery_to_wire,
    full_delivery_to_wire,
)
from api.work import Cursor, answer_once, per_page, read, respond_page
from core.keys.idempotency import Answer
from core.kit.data_classes import DataClass
from core.kit.ids import JOB, MESSAGE, WEBHOOK_ENDPOINT
from core.kit.json_values import dumps
from core.webhooks.records import DeliveryFilter, DeliveryState, DeliveryWithAttempts

router = new_router("/v1", "webhooks")

DeliveryId = Annotated[str, Path(description="The delivery's id.", examples=["msg_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
EndpointId = Annotated[str, Path(description="The endpoint's id.", examples=["whe_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.get(
    "/webhook-deliveries",
    response_model=WebhookDeliveryPage,
    summary="List webhook deliveries",
    responses={200: {"description": "A page of results, newest first."}, **problems(404)},
)
@requires("webhooks:read")
async def list_deliveries(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    endpoint_id: Annotated[str | None, Query(max_length=100, description="Filter by endpoint.")] = None,
    job_id: Annotated[str | None, Query(max_length=100, description="Filter by job.")] = None,
    state: Annotated[DeliveryState | None, Query(description="Filter by state.")] = None,
    event: Annotated[str | None, Query(max_length=100, description="Filter by event.")] = None,
    limit: Annotated[int, per_page("Deliveries")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the project's deliveries."""
    where = DeliveryFilter(
        endpoint_id=None if endpoint_id is None else parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint"),
        job_id=None if job_id is None else parse_id(JOB, job_id, "job"),
        state=state,
        event=event,
    )
    before = cursors.decode_given(cursor)
    found = await read(request, get_runtime(request).webhooks.deliveries, where, cursor=before, limit=limit + 1)
    return respond_page(found, limit, delivery_to_wire)


@router.get(
    "/webhook-deliveries/{delivery_id}",
    response_model=WebhookDeliveryWithAttempts,
    summary="Read a webhook delivery",
    responses={200: {"description": "Returns the delivery with its body and its attempts."}, **problems(404)},
)
@requires("webhooks:read")
async def read_delivery(request: Request, delivery_id: DeliveryId) -> Response:
    """Read a delivery."""
    found = parse_id(MESSAGE, delivery_id, "webhook_delivery")
    return respond_json(full_delivery_to_wire(await get_runtime(request).in_thread(open_delivery, request, found)))


def open_delivery(request: Request, delivery_id: UUID) -> DeliveryWithAttempts:
    """A delivery whose body the caller may see. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    session = runtime.database.single_tenant(principal.organization_id)
    found = runtime.webhooks.delivery(session, principal, delivery_id)
    if found.delivery.job_id is not None and principal.clearance is not DataClass.RESTRICTED:
        # Its body may contain the job's result.
        runtime.jobs.open(session, principal, found.delivery.job_id)
    return found


@router.post(
    "/webhook-deliveries/{delivery_id}/redeliver",
    status_code=202,
    response_model=WebhookDelivery,
    summary="Redeliver a message",
    description=(
        "Restarts the schedule of an ended delivery with the same `webhook-id`, the same body and a new signature."
    ),
    responses={202: {"description": "The delivery.", "headers": REPLAYED}, **problems(400, 404, 409, 410)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def redeliver(request: Request, delivery_id: DeliveryId) -> Response:
    """Redeliver a message."""
    runtime, principal = get_runtime(request), caller(request)
    found = parse_id(MESSAGE, delivery_id, "webhook_delivery")
    return await answer_once(
        request,
        lambda session: Answer(202, dumps(delivery_to_wire(runtime.webhooks.redeliver(session, principal, found)))),
    )


@router.post(
    "/webhook-endpoints/{endpoint_id}/redeliver",
    status_code=202,
    response_model=Redelivered,
    summary="Redeliver messages of an endpoint",
    description=(
        "Redelivers messages that failed since a time, and with `with_delivered` also those that were delivered."
        " At most 10,000 per call."
    ),
    responses={
        202: {"description": "The number of messages.", "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def redeliver_since(request: Request, endpoint_id: EndpointId, body: RedeliverSince) -> Response:
    """Redeliver messages of an endpoint."""
    runtime, principal = get_runtime(request), caller(request)
    found = parse_id(WEBHOOK_ENDPOINT, endpoint_id, "webhook_endpoint")
    since = clamp(body.since)
    assert since is not None

    def produce(session: Session) -> Answer:
        count = runtime.webhooks.redeliver_since(session, principal, found, since, with_delivered=body.with_delivered)
        return Answer(202, dumps({"deliveries": count}))

    return await answer_once(request, produce, await request.body())
