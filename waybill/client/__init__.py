"""A typed client of the Waybill API, with `await` and without. `AsyncWaybillClient` and `WaybillClient` are the doors.

Both have the same resources, methods and parameters. Errors are in `waybill.client.errors`, what the API answers is in
`waybill.client.models`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from waybill.client.aio.client import AsyncWaybillClient
    from waybill.client.aio.jobs import AsyncJob
    from waybill.client.aio.streaming import AsyncEventStream
else:
    # Loaded when they are asked for: the command line, which needs none of them, starts sooner.
    _AWAITED = {"AsyncWaybillClient": "client", "AsyncJob": "jobs", "AsyncEventStream": "streaming"}

    def __getattr__(name: str) -> object:
        if name not in _AWAITED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"waybill.client.aio.{_AWAITED[name]}"), name)


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
