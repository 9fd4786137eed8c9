"""Webhook endpoints and deliveries; and the check of what a receiver is sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_ENDPOINTS = "/v1/webhook-endpoints"
_DELIVERIES = "/v1/webhook-deliveries"
_SECRET = "/v1/webhook-secret"  # noqa: S105 - a path


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


class Webhooks:
    """``/v1/webhook-endpoints``, ``/v1/webhook-deliveries`` and ``/v1/webhook-secret``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self, url: str, events: Sequence[str] = (), *, description: str = "", include_result: bool = False
    ) -> WebhookEndpoint:
        """Add an endpoint; the answer holds its secret. No events means all."""
        body = {
            "url": url,
            "events": list(events),
            "description": description,
            "include_result": include_result,
        }
        return WebhookEndpoint.model_validate(self._transport.post(_ENDPOINTS, body).json())

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[WebhookEndpoint]:
        """One page of the project's endpoints, newest first."""
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        return Page[WebhookEndpoint].model_validate(self._transport.get(_ENDPOINTS, params).json())

    def get(self, endpoint_id: str) -> WebhookEndpoint:
        """One endpoint. Raises `ApiProblem` 404."""
        return WebhookEndpoint.model_validate(self._transport.get(f"{_ENDPOINTS}/{endpoint_id}").json())

    def update(self, endpoint_id: str, **changes: Any) -> WebhookEndpoint:
        """Change `url`, `events`, `description` or `include_result`."""
        return WebhookEndpoint.model_validate(self._transport.patch(f"{_ENDPOINTS}/{endpoint_id}", changes).json())

    def remove(self, endpoint_id: str) -> WebhookEndpoint:
        """Remove an endpoint; returns what it was."""
        return WebhookEndpoint.model_validate(self._transport.delete(f"{_ENDPOINTS}/{endpoint_id}").json())

    def pause(self, endpoint_id: str) -> WebhookEndpoint:
        """Keep what comes until it is resumed."""
        return self._act(endpoint_id, "pause")

    def resume(self, endpoint_id: str) -> WebhookEndpoint:
        """Deliver again."""
        return self._act(endpoint_id, "resume")

    def rotate(self, endpoint_id: str, *, overlap_seconds: int = 24 * 3600) -> WebhookEndpoint:
        """A new secret; both sign during the overlap."""
        return self._act(endpoint_id, "rotate", {"overlap_seconds": overlap_seconds})

    def test(self, endpoint_id: str) -> WebhookDelivery:
        """Send a test message."""
        return WebhookDelivery.model_validate(self._transport.post(f"{_ENDPOINTS}/{endpoint_id}/test", {}).json())

    def deliveries(self, *, limit: int = 50, cursor: str | None = None, **where: str) -> Page[WebhookDelivery]:
        """One page of deliveries, newest first; narrowed by `endpoint_id`, `job_id`, `state` or `event`."""
        params = {"limit": limit, **where} | ({"cursor": cursor} if cursor else {})
        return Page[WebhookDelivery].model_validate(self._transport.get(_DELIVERIES, params).json())

    def delivery(self, delivery_id: str) -> WebhookDelivery:
        """One delivery with its body and its attempts. Raises `ApiProblem` 404."""
        return WebhookDelivery.model_validate(self._transport.get(f"{_DELIVERIES}/{delivery_id}").json())

    def redeliver(self, delivery_id: str) -> WebhookDelivery:
        """Begin an ended delivery's schedule anew."""
        found = self._transport.post(f"{_DELIVERIES}/{delivery_id}/redeliver", {})
        return WebhookDelivery.model_validate(found.json())

    def redeliver_since(self, endpoint_id: str, since: datetime, *, with_delivered: bool = False) -> int:
        """Deliver again what failed since then, 10,000 at most; returns how many."""
        body = {"since": since.isoformat(), "with_delivered": with_delivered}
        return int(self._transport.post(f"{_ENDPOINTS}/{endpoint_id}/redeliver", body).json()["deliveries"])

    def secret(self) -> WebhookSecret:
        """When the project's own secret was made; `rotated_at` is None when there is none."""
        return WebhookSecret.model_validate(self._transport.get(_SECRET).json())

    def rotate_secret(self, *, overlap_seconds: int = 24 * 3600) -> WebhookSecret:
        """Make or rotate the project's own secret; the answer holds it."""
        found = self._transport.post(f"{_SECRET}/rotate", {"overlap_seconds": overlap_seconds})
        return WebhookSecret.model_validate(found.json())

    def _act(self, endpoint_id: str, act: str, body: dict[str, Any] | None = None) -> WebhookEndpoint:
        found = self._transport.post(f"{_ENDPOINTS}/{endpoint_id}/{act}", body or {})
        return WebhookEndpoint.model_validate(found.json())
