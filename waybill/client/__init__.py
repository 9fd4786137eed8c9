"""A typed client of the Waybill API, with `await` and without. `AsyncWaybillClient` and `WaybillClient` are the doors.

Both have the same resources, methods and parameters. Errors are in `waybill.client.errors`, what the API answers is in
`waybill.client.models`.
"""

from waybill.client.aio.client import AsyncWaybillClient
from waybill.client.aio.jobs import AsyncJob
from waybill.client.aio.streaming import AsyncEventStream
from waybill.client.errors import (
    ApiProblem,
    ApiUnreachable,
    BudgetExhausted,
    ClientError,
    Conflict,
    EventsLost,
    Gone,
    InvalidRequest,
    JobFailed,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    RateLimited,
    ServerProblem,
    StreamLost,
    WaitTimedOut,
)
from waybill.client.models import Document, Event, JobRecord, KnowledgeBase, Page, ProjectEvent
from waybill.client.sync.client import WaybillClient
from waybill.client.sync.jobs import Job
from waybill.client.sync.streaming import EventStream
from waybill.client.verification import WebhookMessage, WebhookRejected, WebhookVerifier

__all__ = [
    "ApiProblem",
    "ApiUnreachable",
    "AsyncEventStream",
    "AsyncJob",
    "AsyncWaybillClient",
    "BudgetExhausted",
    "ClientError",
    "Conflict",
    "Document",
    "Event",
    "EventStream",
    "EventsLost",
    "Gone",
    "InvalidRequest",
    "Job",
    "JobFailed",
    "JobRecord",
    "KnowledgeBase",
    "NotAuthenticated",
    "NotFound",
    "NotPermitted",
    "Page",
    "ProjectEvent",
    "RateLimited",
    "ServerProblem",
    "StreamLost",
    "WaitTimedOut",
    "WaybillClient",
    "WebhookMessage",
    "WebhookRejected",
    "WebhookVerifier",
]
