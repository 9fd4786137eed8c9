"""Endpoints, deliveries and attempts as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class EndpointState(StrEnum):
    """`active` receives messages. `paused` holds them back until it is resumed. `disabled` receives none."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why Waybill disabled an endpoint."""

    GONE = "gone"
    FAILING = "failing"


class DeliveryState(StrEnum):
    """`pending` until the message was delivered, its schedule has ended, or its endpoint was removed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver. Empty `events`: all of them."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    url: str
    description: str
    events: tuple[str, ...]
    include_result: bool
    state: EndpointState
    disabled_reason: DisabledReason | None
    failing_since: datetime | None
    created_at: datetime
    previous_secret_until: datetime | None


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """A receiver to add."""

    url: str
    description: str = ""
    events: tuple[str, ...] = ()
    include_result: bool = False


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What changes; None leaves a field as it is."""

    url: str | None = None
    description: str | None = None
    events: tuple[str, ...] | None = None
    include_result: bool | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """When a project's own secret was created or rotated, and until when the previous one signs as well."""

    rotated_at: datetime
    previous_until: datetime | None


@dataclass(frozen=True, slots=True)
class Issued:
    """A secret in the form given to a receiver, shown once. `endpoint` is None for a project's own."""

    secret: str
    endpoint: Endpoint | None = None
    project_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class JobWebhook:
    """A receiver named by one job. Empty `events`: every event of the job."""

    url: str
    events: tuple[str, ...] = ()
    include_result: bool = False

    def as_json(self) -> dict[str, Any]:
        """The form that is stored with the job."""
        return {"url": self.url, "events": list(self.events), "include_result": self.include_result}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one receiver, without its body."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    endpoint_id: UUID | None
    url: str | None
    event: str
    job_id: UUID | None
    state: DeliveryState
    attempts: int
    is_held: bool
    next_attempt_at: datetime
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of one attempt."""

    number: int
    began_at: datetime
    latency_ms: int
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DeliveryWithAttempts:
    """A delivery with its body, None after retention deleted it, and its attempts, oldest first."""

    delivery: Delivery
    body: bytes | None
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Filters of a listing."""

    endpoint_id: UUID | None = None
    job_id: UUID | None = None
    state: DeliveryState | None = None
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery held by this process: `attempt` fences its writes."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    endpoint_id: UUID | None
    url: str
    lane: UUID
    event: str
    body: bytes = field(repr=False)
    attempt: int
    failures: int
    failing_since: datetime | None
    began_at: datetime
    traceparent: str | None
    job_id: UUID | None
    sealed: bytes | None = field(repr=False)
    previous: bytes | None = field(repr=False)

    @property
    def owner_id(self) -> UUID:
        """The owner of the signing secret: the endpoint, or the project for a receiver that a job named."""
        return self.endpoint_id or self.project_id


@dataclass(frozen=True, slots=True)
class Backlog:
    """Pending deliveries: due, waiting for a retry or under way, or held back by a paused endpoint."""

    due: int
    later: int
    paused: int
    oldest_due_seconds: float
