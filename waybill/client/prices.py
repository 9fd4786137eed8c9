"""Prices: what is in force, and new dated ones."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_PAGE = 1000


class Price(Resource):
    """A price of one unit of a model, in US dollars."""

    id: str
    provider: str
    model: str
    unit: str
    usd_per_unit: Decimal
    above_input_tokens: int = 0
    valid_from: datetime
    recorded_at: datetime | None = None
    source: str = ""
    applies_to: str = ""


class Prices:
    """``/v1/prices``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, provider: str | None = None, model: str | None = None, at: str | None = None) -> Iterator[Price]:
        """The prices in force, page by page as they are read."""
        return self._pages("/v1/prices", {"provider": provider, "model": model, "at": at})

    def history(self, provider: str, model: str) -> Iterator[Price]:
        """Every price a model had or will have, the last written first."""
        return self._pages("/v1/prices/history", {"provider": provider, "model": model})

    def set(
        self,
        provider: str,
        model: str,
        unit: str,
        usd_per_unit: str,
        *,
        valid_from: str | None = None,
        above_input_tokens: int = 0,
    ) -> Price:
        """Add a dated price of the key's organisation. Raises `ApiProblem` for one that cannot be."""
        body = {"provider": provider, "model": model, "unit": unit, "usd_per_unit": usd_per_unit}
        times = {"valid_from": valid_from} if valid_from else {}
        answer = self._transport.post("/v1/prices", {**body, **times, "above_input_tokens": above_input_tokens})
        return Price.model_validate(answer.json())

    def _pages(self, path: str, query: dict[str, str | None]) -> Iterator[Price]:
        given: dict[str, str | int] = {name: value for name, value in query.items() if value is not None}
        given["limit"] = _PAGE
        while True:
            page = Page[Price].model_validate(self._transport.get(path, given).json())
            yield from page.data
            if page.next_cursor is None:
                return
            given["cursor"] = page.next_cursor
