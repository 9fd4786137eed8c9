"""A small, typed, synchronous client of the Waybill API. `WaybillClient` is the door; errors are in `errors`."""

from waybill.client.client import WaybillClient
from waybill.client.errors import ApiProblem, ApiUnreachable, ClientError, EventsLost, StreamLost
from waybill.client.models import Document, Event, Job, KnowledgeBase, Page
from waybill.client.project_events import ProjectEvent
from waybill.client.verification import WebhookMessage, WebhookRejected, WebhookVerifier

__all__ = [
    "ApiProblem",
    "ApiUnreachable",
    "ClientError",
    "Document",
    "Event",
    "EventsLost",
    "Job",
    "KnowledgeBase",
    "Page",
    "ProjectEvent",
    "StreamLost",
    "WaybillClient",
    "WebhookMessage",
    "WebhookRejected",
    "WebhookVerifier",
]
