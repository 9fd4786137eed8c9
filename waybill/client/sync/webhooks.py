"""Webhook endpoints and deliveries; and the check of what a receiver is sent."""

# Written by `python -m waybill.client.generate` from aio/webhooks.py: change that, and run it again.

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import Page, WebhookDelivery, WebhookEndpoint, WebhookSecret
from waybill.client.sync.endpoints import Endpoints
from waybill.client.wire import json_of

_ENDPOINTS = "/v1/webhook-endpoints"
_DELIVERIES = "/v1/webhook-deliveries"
_SECRET = "/v1/webhook-secret"  # noqa: S105 - a path


class Webhooks(Endpoints):
    """``/v1/webhook-endpoints``, ``/v1/webhook-deliveries`` and ``/v1/webhook-secret``."""

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
        return self._post(WebhookEndpoint, _ENDPOINTS, body)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[WebhookEndpoint]:
        """One page of the project's endpoints, newest first."""
        params = given(limit=limit, cursor=cursor)
        return self._get(Page[WebhookEndpoint], _ENDPOINTS, params)

    def get(self, endpoint_id: str) -> WebhookEndpoint:
        """One endpoint. Raises `NotFound`."""
        return self._get(WebhookEndpoint, f"{_ENDPOINTS}/{endpoint_id}")

    def update(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        include_result: bool | None = None,
    ) -> WebhookEndpoint:
        """Change what is given; what waits goes to the new URL."""
        changes = given(
            url=url,
            events=None if events is None else [*events],
            description=description,
            include_result=include_result,
        )
        return self._patch(WebhookEndpoint, f"{_ENDPOINTS}/{endpoint_id}", changes)

    def remove(self, endpoint_id: str) -> WebhookEndpoint:
        """Remove an endpoint; returns what it was."""
        return self._delete(WebhookEndpoint, f"{_ENDPOINTS}/{endpoint_id}")

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
        return self._post(WebhookDelivery, f"{_ENDPOINTS}/{endpoint_id}/test", {})

    def deliveries(
        self,
        *,
        endpoint_id: str | None = None,
        job_id: str | None = None,
        state: str | None = None,
        event: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[WebhookDelivery]:
        """One page of deliveries, newest first; narrowed by what is given."""
        params = given(endpoint_id=endpoint_id, job_id=job_id, state=state, event=event, limit=limit, cursor=cursor)
        return self._get(Page[WebhookDelivery], _DELIVERIES, params)

    def delivery(self, delivery_id: str) -> WebhookDelivery:
        """One delivery with its body and its attempts. Raises `NotFound`."""
        return self._get(WebhookDelivery, f"{_DELIVERIES}/{delivery_id}")

    def redeliver(self, delivery_id: str) -> WebhookDelivery:
        """Send an ended delivery again, with a new retry schedule."""
        return self._post(WebhookDelivery, f"{_DELIVERIES}/{delivery_id}/redeliver", {})

    def redeliver_since(self, endpoint_id: str, since: datetime, *, with_delivered: bool = False) -> int:
        """Deliver again what failed since then, 10,000 at most; returns how many."""
        body = {"since": since.isoformat(), "with_delivered": with_delivered}
        answer = self._transport.post(f"{_ENDPOINTS}/{endpoint_id}/redeliver", body)
        return int(json_of(answer)["deliveries"])

    def secret(self) -> WebhookSecret:
        """When the project's own secret was made; `rotated_at` is None when there is none."""
        return self._get(WebhookSecret, _SECRET)

    def rotate_secret(self, *, overlap_seconds: int = 24 * 3600) -> WebhookSecret:
        """Make or rotate the project's own secret; the answer holds it."""
        return self._post(WebhookSecret, f"{_SECRET}/rotate", {"overlap_seconds": overlap_seconds})

    def _act(self, endpoint_id: str, act: str, body: dict[str, Any] | None = None) -> WebhookEndpoint:
        return self._post(WebhookEndpoint, f"{_ENDPOINTS}/{endpoint_id}/{act}", body or {})
