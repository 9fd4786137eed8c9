"""The client's door: one object with the API's resources as attributes."""

from types import TracebackType
from typing import Self

from waybill.client.capabilities import Capabilities
from waybill.client.costs import Costs
from waybill.client.jobs import Jobs
from waybill.client.knowledge import KnowledgeBases
from waybill.client.prices import Prices
from waybill.client.transport import Transport


class WaybillClient:
    """Talks to one Waybill API with one key. Use it as a context manager; safe in several threads.

    Methods raise `ApiProblem` when the API refuses and `ApiUnreachable` when nothing answers.
    """

    def __init__(self, url: str, api_key: str | None = None, *, timeout_seconds: float = 30.0) -> None:
        self._transport = Transport(url, api_key, timeout_seconds=timeout_seconds)
        self.url = self._transport.url
        self.jobs = Jobs(self._transport)
        self.knowledge_bases = KnowledgeBases(self._transport)
        self.capabilities = Capabilities(self._transport)
        self.costs = Costs(self._transport)
        self.prices = Prices(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
