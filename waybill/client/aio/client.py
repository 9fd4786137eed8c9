"""The client's door: one object with the API's resources as attributes."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import httpx

from waybill.client.aio.audit import AsyncAudit
from waybill.client.aio.batches import AsyncBatches
from waybill.client.aio.budgets import AsyncBudgets
from waybill.client.aio.capabilities import AsyncCapabilities
from waybill.client.aio.costs import AsyncCosts
from waybill.client.aio.events import AsyncEvents
from waybill.client.aio.experiments import AsyncExperiments
from waybill.client.aio.files import AsyncFiles
from waybill.client.aio.forecasts import AsyncBacktests, AsyncQuotes
from waybill.client.aio.guard import AsyncGuard
from waybill.client.aio.jobs import AsyncJobs
from waybill.client.aio.knowledge import AsyncKnowledgeBases
from waybill.client.aio.limits import AsyncLimits
from waybill.client.aio.metrics import AsyncMetrics
from waybill.client.aio.prices import AsyncPrices
from waybill.client.aio.quality import AsyncQuality
from waybill.client.aio.registry import AsyncAliases, AsyncModels, AsyncPrompts
from waybill.client.aio.retention import AsyncRetention
from waybill.client.aio.tenancy import AsyncKeys, AsyncMembers, AsyncProjects
from waybill.client.aio.transport import AsyncTransport
from waybill.client.aio.webhooks import AsyncWebhooks
from waybill.client.models import Page
from waybill.client.wire import Patience

P = ParamSpec("P")
T = TypeVar("T")
_DEFAULT_URL = "http://127.0.0.1:8080"


class AsyncWaybillClient:
    """Talks to one Waybill API with one key. Use it as a context manager; keep one for as long as you talk to the API.

    In place of a key it may hold a token of an identity provider; `project` is then the id of the project to work in.
    A request is tried `attempts` times in all, where a repeat can change nothing, each with a timeout of
    `timeout_seconds`. `http_client` sets your own proxy, certificates or limits; it belongs to this client from
    then on. Methods raise `ApiProblem` when the API refuses and `ApiUnreachable` when nothing answers; the
    tree of errors is in `waybill.client.errors`.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        attempts: int = 4,
        project: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._use(
            AsyncTransport(
                url,
                api_key,
                patience=Patience(timeout_seconds=timeout_seconds, attempts=attempts),
                project=project,
                http_client=http_client,
            )
        )

    @classmethod
    def from_environment(cls) -> Self:
        """A client as ``WAYBILL_URL``, ``WAYBILL_API_KEY`` and, if it is set, ``WAYBILL_PROJECT`` say."""
        variables = os.environ
        return cls(
            variables.get("WAYBILL_URL") or _DEFAULT_URL,
            variables.get("WAYBILL_API_KEY"),
            project=variables.get("WAYBILL_PROJECT"),
        )

    def _use(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.url = transport.url
        self.jobs = AsyncJobs(transport)
        self.batches = AsyncBatches(transport)
        self.events = AsyncEvents(transport)
        self.knowledge_bases = AsyncKnowledgeBases(transport)
        self.capabilities = AsyncCapabilities(transport)
        self.projects = AsyncProjects(transport)
        self.keys = AsyncKeys(transport)
        self.members = AsyncMembers(transport)
        self.budgets = AsyncBudgets(transport)
        self.limits = AsyncLimits(transport)
        self.retention = AsyncRetention(transport)
        self.guard = AsyncGuard(transport)
        self.files = AsyncFiles(transport)
        self.costs = AsyncCosts(transport)
        self.metrics = AsyncMetrics(transport)
        self.quotes = AsyncQuotes(transport)
        self.backtests = AsyncBacktests(transport)
        self.prices = AsyncPrices(transport)
        self.models = AsyncModels(transport)
        self.aliases = AsyncAliases(transport)
        self.prompts = AsyncPrompts(transport)
        self.experiments = AsyncExperiments(transport)
        self.quality = AsyncQuality(transport)
        self.webhooks = AsyncWebhooks(transport)
        self.audit = AsyncAudit(transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def with_options(
        self, *, timeout_seconds: float | None = None, attempts: int | None = None
    ) -> "AsyncWaybillClient":
        """A client over the same connections that waits otherwise: ``client.with_options(attempts=1).jobs.get(…)``.

        Closing either closes both.
        """
        other = object.__new__(AsyncWaybillClient)
        other._use(self._transport.with_patience(timeout_seconds=timeout_seconds, attempts=attempts))
        return other

    async def every(
        self, listing: Callable[P, Awaitable[Page[T]]], *arguments: P.args, **filters: P.kwargs
    ) -> AsyncIterator[T]:
        """Everything that a listing holds, page after page: ``client.every(client.jobs.list, states=["failed"])``."""
        while True:
            page = await listing(*arguments, **filters)
            for each in page.data:
                yield each
            if page.next_cursor is None:
                return
            filters["cursor"] = page.next_cursor
