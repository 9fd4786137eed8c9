"""Webhook endpoints and deliveries on the wire. A secret is in one answer, once."""

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
_SHOWN_ONCE = "`whsec_…`, shown in this answer only. Null when the answer is repeated (`Idempotent-Replayed`): rotate."
_CURSOR = "Pass it as `cursor` for the next page; null on the last one."

Url = Annotated[str, StringConstraints(min_length=1, max_length=URL_MAX_CHARACTERS)]
Events = Annotated[list[EventType], Field(max_length=len(EventType))]
Description = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CreateEndpoint(BaseModel):
    """A receiver to add to the project."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": _EXAMPLE_URL, "events": ["job.succeeded", "job.failed"]}]},
    )

    url: Url = Field(description="Where to POST: https, on the public internet.", examples=[_EXAMPLE_URL])
    events: Events = Field(
        default_factory=list,
        description="Which events it receives; none means all of the project's. What concerns the whole organization"
        " (its budgets, its experiments), and what is told in OpenAI's shape (`response.…`), goes only to endpoints"
        " that name the event.",
    )
    description: Description = Field("", description="What it is for.")
    include_result: bool = Field(
        False, description="Send a job's result along, unless it is larger than 64 KiB; else only where to read it."
    )


class UpdateEndpoint(BaseModel):
    """What changes. Deliveries that wait go to the new URL."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"events": ["job.failed"]}]})

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    include_result: bool | None = None


class RotateSecret(BaseModel):
    """How to rotate a secret."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: int = Field(
        24 * 3600,
        ge=0,
        le=int(OVERLAP_MAX.total_seconds()),
        description="How long messages carry a signature of the old secret as well; 0 ends it at once.",
    )


class WebhookEndpoint(BaseModel):
    """A receiver of the project's events."""

    id: str = Field(examples=[_EXAMPLE_ID])
    project_id: str
    url: str
    events: list[EventType] = Field(description="Empty: all of them.")
    description: str
    include_result: bool
    state: EndpointState = Field(
        description="`paused`: what comes is kept until it is resumed. `disabled`: we gave up, and nothing is kept."
    )
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: it answered 410. `failing`: every attempt failed for five days."
    )
    failing_since: datetime | None = Field(
        description="Since when every attempt has failed; null when the last did not."
    )
    created_at: datetime
    previous_secret_until: datetime | None = Field(description="Until when the old secret signs as well.")


class WebhookEndpointWithSecret(WebhookEndpoint):
    """An endpoint whose secret was just made."""

    secret: str | None = Field(description=_SHOWN_ONCE)


class WebhookEndpointPage(BaseModel):
    """Endpoints, newest first."""

    data: list[WebhookEndpoint]
    next_cursor: str | None = Field(description=_CURSOR)


class WebhookSecret(BaseModel):
    """The project's own secret, without the secret."""

    rotated_at: datetime | None = Field(description="Null: there is none yet.")
    previous_until: datetime | None = Field(description="Until when the old secret signs as well.")


class WebhookSecretShown(WebhookSecret):
    """A secret that was just made."""

    secret: str | None = Field(description=_SHOWN_ONCE)


class WebhookAttempt(BaseModel):
    """One attempt. What the receiver said is not kept."""

    number: int
    began_at: datetime
    latency_ms: int
    status: int | None = Field(description="The answer's status; null when there was none.")
    error: str | None = Field(description="Null for a success; else a code, see the reference of webhooks.")


class WebhookDelivery(BaseModel):
    """A message to one receiver."""

    id: str = Field(description="Also the header `webhook-id`.", examples=["msg_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    project_id: str
    endpoint_id: str | None = Field(description="Null when the job itself named the receiver.")
    url: str | None = Field(description="The receiver that the job named.")
    event: str
    job_id: str | None
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None = Field(description="Null when it has ended, or is being sent now.")
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class WebhookDeliveryWithAttempts(WebhookDelivery):
    """A delivery with what it sends and its last hundred attempts, oldest first."""

    body: str | None = Field(description="The exact text that is sent; null when retention took it.")
    attempt_list: list[WebhookAttempt]


class WebhookDeliveryPage(BaseModel):
    """Deliveries, newest first."""

    data: list[WebhookDelivery]
    next_cursor: str | None = Field(description=_CURSOR)


class RedeliverSince(BaseModel):
    """What to deliver again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"since": "2026-11-23T05:00:00Z", "with_delivered": False}]}
    )

    since: Moment = Field(description="What was made at this moment or later.")
    with_delivered: bool = Field(False, description="Also what the receiver has taken already.")


class Redelivered(BaseModel):
    """How much is delivered again."""

    deliveries: int = Field(description="At most 10,000 at a time, the oldest first.")


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
