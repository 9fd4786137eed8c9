"""Webhook endpoint and delivery schemas. A secret is in one response only."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.times import Moment
from core.kit.clock import isoformat
from core.kit.ids import JOB, MESSAGE, PROJECT, WEBHOOK_ENDPOINT, encode
from core.webhooks.events import EventType
from core.webhooks.records import (
    Attempt,
    Delivery,
    DeliveryState,
    DeliveryWithAttempts,
    DisabledReason,
    Endpoint,
    EndpointState,
    Issued,
    Secret,
)
from core.webhooks.service import OVERLAP_MAX
from core.webhooks.targets import URL_MAX_CHARACTERS

_EXAMPLE_ID = "whe_01jd3q8v9tfq8a1b2c3d4e5f6g"
_EXAMPLE_URL = "https://example.com/hooks/waybill"
_SHOWN_ONCE = (
    "`whsec_…`, shown in this response only. Null when the response is replayed (`Idempotent-Replayed`): rotate"
    " the secret then."
)
_CURSOR = "Pass it as `cursor` to get the next page. Null on the last page."

Url = Annotated[str, StringConstraints(min_length=1, max_length=URL_MAX_CHARACTERS)]
Events = Annotated[list[EventType], Field(max_length=len(EventType))]
Description = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CreateEndpoint(BaseModel):
    """An endpoint to add to the project."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": _EXAMPLE_URL, "events": ["job.succeeded", "job.failed"]}]},
    )

    url: Url = Field(description="Where to POST: an https URL on the public internet.", examples=[_EXAMPLE_URL])
    events: Events = Field(
        default_factory=list,
        description=(
            "The events to send. Empty means all events of the project. Events of the whole organization (its"
            " budgets, its experiments) and events in OpenAI's format (`response.…`) are sent only if they are"
            " listed."
        ),
    )
    description: Description = Field("", description="A description.")
    include_result: bool = Field(
        False,
        description=(
            "Include a job's result, unless it is larger than 64 KiB. Otherwise messages only say where to read it."
        ),
    )


class UpdateEndpoint(BaseModel):
    """Fields to change. Pending deliveries go to the new URL."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"events": ["job.failed"]}]})

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    include_result: bool | None = None


class RotateSecret(BaseModel):
    """Options of a secret rotation."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: int = Field(
        24 * 3600,
        ge=0,
        le=int(OVERLAP_MAX.total_seconds()),
        description="How long messages also carry a signature of the old secret. 0 ends it immediately.",
    )


class WebhookEndpoint(BaseModel):
    """An endpoint that receives the project's events."""

    id: str = Field(examples=[_EXAMPLE_ID])
    project_id: str
    url: str
    events: list[EventType] = Field(description="Empty means all.")
    description: str
    include_result: bool
    state: EndpointState = Field(
        description=(
            "`paused`: messages are held back until the endpoint is resumed. `disabled`: Waybill gave up, and"
            " messages are dropped."
        )
    )
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: it answered 410. `failing`: every attempt failed for five days."
    )
    failing_since: datetime | None = Field(
        description="Since when every attempt has failed. Null when the last one succeeded."
    )
    created_at: datetime
    previous_secret_until: datetime | None = Field(description="Until when the old secret signs as well.")


class WebhookEndpointWithSecret(WebhookEndpoint):
    """An endpoint whose secret was just created."""

    secret: str | None = Field(description=_SHOWN_ONCE)


class WebhookEndpointPage(BaseModel):
    """A page of endpoints, newest first."""

    data: list[WebhookEndpoint]
    next_cursor: str | None = Field(description=_CURSOR)


class WebhookSecret(BaseModel):
    """The project's own webhook secret, without the secret itself."""

    rotated_at: datetime | None = Field(description="Null when there is none yet.")
    previous_until: datetime | None = Field(description="Until when the old secret signs as well.")


class WebhookSecretShown(WebhookSecret):
    """A newly created secret."""

    secret: str | None = Field(description=_SHOWN_ONCE)


class WebhookAttempt(BaseModel):
    """One attempt. The response body is not stored."""

    number: int
    began_at: datetime
    latency_ms: int
    status: int | None = Field(description="Status of the response. Null when there was none.")
    error: str | None = Field(description="Null for a success, otherwise a code from the reference of webhooks.")


class WebhookDelivery(BaseModel):
    """A message to one endpoint."""

    id: str = Field(description="Also the header `webhook-id`.", examples=["msg_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    project_id: str
    endpoint_id: str | None = Field(description="Null when the job itself named the webhook.")
    url: str | None = Field(description="The webhook that the job named.")
    event: str
    job_id: str | None
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None = Field(description="Null when the delivery has ended or is in progress.")
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class WebhookDeliveryWithAttempts(WebhookDelivery):
    """A delivery with its body and its last hundred attempts, oldest first."""

    body: str | None = Field(description="The exact body that is sent. Null when retention has deleted it.")
    attempt_list: list[WebhookAttempt]


class WebhookDeliveryPage(BaseModel):
    """A page of deliveries, newest first."""

    data: list[WebhookDelivery]
    next_cursor: str | None = Field(description=_CURSOR)


class RedeliverSince(BaseModel):
    """The messages to redeliver."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"since": "2026-11-23T05:00:00Z", "with_delivered": False}]}
    )

    since: Moment = Field(description="Messages created at or after this time.")
    with_delivered: bool = Field(False, description="Include messages that were delivered.")


class Redelivered(BaseModel):
    """The number of redelivered messages."""

    deliveries: int = Field(description="At most 10,000 per call, oldest first.")


def endpoint_to_wire(endpoint: Endpoint) -> dict[str, Any]:
    """`endpoint` as the members of `WebhookEndpoint`."""
    return {
        "id": encode(WEBHOOK_ENDPOINT, endpoint.id),
        "project_id": encode(PROJECT, endpoint.project_id),
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "include_result": endpoint.include_result,
        "state": endpoint.state,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": _time(endpoint.failing_since),
        "created_at": isoformat(endpoint.created_at),
        "previous_secret_until": _time(endpoint.previous_secret_until),
    }


def secret_to_wire(secret: Secret | None) -> dict[str, Any]:
    """`secret` as the members of `WebhookSecret`."""
    if secret is None:
        return {"rotated_at": None, "previous_until": None}
    return {"rotated_at": isoformat(secret.rotated_at), "previous_until": _time(secret.previous_until)}


def issued_to_wire(issued: Issued, *, with_secret: bool) -> dict[str, Any]:
    """`issued` as the members of `WebhookEndpointWithSecret`, or of `WebhookSecretShown`."""
    shown = {"secret": issued.secret if with_secret else None}
    if issued.endpoint is not None:
        return {**endpoint_to_wire(issued.endpoint), **shown}
    assert issued.project_secret is not None
    return {**secret_to_wire(issued.project_secret), **shown}


def delivery_to_wire(delivery: Delivery) -> dict[str, Any]:
    """`delivery` as the members of `WebhookDelivery`."""
    is_waiting = delivery.state is DeliveryState.PENDING and not delivery.is_held
    return {
        "id": encode(MESSAGE, delivery.id),
        "project_id": encode(PROJECT, delivery.project_id),
        "endpoint_id": None if delivery.endpoint_id is None else encode(WEBHOOK_ENDPOINT, delivery.endpoint_id),
        "url": delivery.url,
        "event": delivery.event,
        "job_id": None if delivery.job_id is None else encode(JOB, delivery.job_id),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": isoformat(delivery.next_attempt_at) if is_waiting else None,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": isoformat(delivery.created_at),
        "finished_at": _time(delivery.finished_at),
    }


def full_delivery_to_wire(found: DeliveryWithAttempts) -> dict[str, Any]:
    """`found` as the members of `WebhookDeliveryWithAttempts`."""
    return {
        **delivery_to_wire(found.delivery),
        "body": None if found.body is None else found.body.decode(),
        "attempt_list": [_attempt_to_wire(attempt) for attempt in found.attempts],
    }


def _attempt_to_wire(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "began_at": isoformat(attempt.began_at),
        "latency_ms": attempt.latency_ms,
        "status": attempt.status,
        "error": attempt.error,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
