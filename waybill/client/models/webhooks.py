"""Webhook endpoints and deliveries."""

from datetime import datetime

from waybill.client.models.base import Resource


class WebhookEndpoint(Resource):
    """A receiver of the project's events. `secret` is there once: in the answer that made it."""

    id: str
    project_id: str
    url: str
    events: list[str]
    description: str
    include_result: bool
    state: str
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime
    previous_secret_until: datetime | None = None
    secret: str | None = None


class WebhookSecret(Resource):
    """The project's own secret, for the receivers that jobs name."""

    rotated_at: datetime | None = None
    previous_until: datetime | None = None
    secret: str | None = None


class WebhookAttempt(Resource):
    """What one attempt met."""

    number: int
    began_at: datetime
    latency_ms: int
    status: int | None = None
    error: str | None = None


class WebhookDelivery(Resource):
    """A message to one receiver. `body` and `attempt_list` are there when it was read by itself."""

    id: str
    endpoint_id: str | None = None
    url: str | None = None
    event: str
    job_id: str | None = None
    state: str
    attempts: int
    next_attempt_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    created_at: datetime
    finished_at: datetime | None = None
    body: str | None = None
    attempt_list: list[WebhookAttempt] = []  # noqa: RUF012 - pydantic copies it
