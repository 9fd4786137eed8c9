"""The client's door: one object with the API's resources as attributes."""

from types import TracebackType
from typing import Self

from waybill.client.audit import Audit
from waybill.client.budgets import Budgets
from waybill.client.capabilities import Capabilities
from waybill.client.costs import Costs
from waybill.client.experiments import Experiments
from waybill.client.files import Files
from waybill.client.jobs import Jobs
from waybill.client.knowledge import KnowledgeBases
from waybill.client.limits import Limits
from waybill.client.prices import Prices
from waybill.client.project_events import Events
from waybill.client.registry import Aliases, Models, Prompts
from waybill.client.retention import Retention
from waybill.client.tenancy import Keys, Members, Projects
from waybill.client.transport import Transport
from waybill.client.webhooks import Webhooks


class WaybillClient:
    """Talks to one Waybill API with one key. Use it as a context manager; safe in several threads.

    In place of a key it may hold a token of an identity provider; `project` is then the id of the project to work in.
    Methods raise `ApiProblem` when the API refuses and `ApiUnreachable` when nothing answers.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout_seconds: float = 30.0, project: str | None = None
    ) -> None:
        self._transport = Transport(url, api_key, timeout_seconds=timeout_seconds, project=project)
        self.url = self._transport.url
        self.jobs = Jobs(self._transport)
        self.events = Events(self._transport)
        self.knowledge_bases = KnowledgeBases(self._transport)
        self.capabilities = Capabilities(self._transport)
        self.projects = Projects(self._transport)
        self.keys = Keys(self._transport)
        self.members = Members(self._transport)
        self.budgets = Budgets(self._transport)
        self.limits = Limits(self._transport)
        self.retention = Retention(self._transport)
        self.files = Files(self._transport)
        self.costs = Costs(self._transport)
        self.prices = Prices(self._transport)
        self.models = Models(self._transport)
        self.aliases = Aliases(self._transport)
        self.prompts = Prompts(self._transport)
        self.experiments = Experiments(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.audit = Audit(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
