"""The client's door: one object with the API's resources as attributes."""

# Written by `python -m waybill.client.generate` from aio/client.py: change that, and run it again.

import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import httpx

from waybill.client.models import Page
from waybill.client.sync.audit import Audit
from waybill.client.sync.batches import Batches
from waybill.client.sync.budgets import Budgets
from waybill.client.sync.capabilities import Capabilities
from waybill.client.sync.costs import Costs
from waybill.client.sync.events import Events
from waybill.client.sync.experiments import Experiments
from waybill.client.sync.files import Files
from waybill.client.sync.forecasts import Backtests, Quotes
from waybill.client.sync.guard import Guard
from waybill.client.sync.jobs import Jobs
from waybill.client.sync.knowledge import KnowledgeBases
from waybill.client.sync.limits import Limits
from waybill.client.sync.metrics import Metrics
from waybill.client.sync.prices import Prices
from waybill.client.sync.quality import Quality
from waybill.client.sync.registry import Aliases, Models, Prompts
from waybill.client.sync.retention import Retention
from waybill.client.sync.tenancy import Keys, Members, Projects
from waybill.client.sync.transport import Transport
from waybill.client.sync.webhooks import Webhooks
from waybill.client.wire import Patience

P = ParamSpec("P")
T = TypeVar("T")
_DEFAULT_URL = "http://127.0.0.1:8080"


class WaybillClient:
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
        http_client: httpx.Client | None = None,
    ) -> None:
        self._use(
            Transport(
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

    def _use(self, transport: Transport) -> None:
        self._transport = transport
        self.url = transport.url
        self.jobs = Jobs(transport)
        self.batches = Batches(transport)
        self.events = Events(transport)
        self.knowledge_bases = KnowledgeBases(transport)
        self.capabilities = Capabilities(transport)
        self.projects = Projects(transport)
        self.keys = Keys(transport)
        self.members = Members(transport)
        self.budgets = Budgets(transport)
        self.limits = Limits(transport)
        self.retention = Retention(transport)
        self.guard = Guard(transport)
        self.files = Files(transport)
        self.costs = Costs(transport)
        self.metrics = Metrics(transport)
        self.quotes = Quotes(transport)
        self.backtests = Backtests(transport)
        self.prices = Prices(transport)
        self.models = Models(transport)
        self.aliases = Aliases(transport)
        self.prompts = Prompts(transport)
        self.experiments = Experiments(transport)
        self.quality = Quality(transport)
        self.webhooks = Webhooks(transport)
        self.audit = Audit(transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def with_options(self, *, timeout_seconds: float | None = None, attempts: int | None = None) -> "WaybillClient":
        """A client over the same connections that waits otherwise: ``client.with_options(attempts=1).jobs.get(…)``.

        Closing either closes both.
        """
        other = object.__new__(WaybillClient)
        other._use(self._transport.with_patience(timeout_seconds=timeout_seconds, attempts=attempts))
        return other

    def every(self, listing: Callable[P, Page[T]], *arguments: P.args, **filters: P.kwargs) -> Iterator[T]:
        """Everything that a listing holds, page after page: ``client.every(client.jobs.list, states=["failed"])``."""
        while True:
            page = listing(*arguments, **filters)
            yield from page.data
            if page.next_cursor is None:
                return
            filters["cursor"] = page.next_cursor
