"""Prices: what is in force, and new dated ones."""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.bodies import given
from waybill.client.models import Page, Price

_PAGE = 1000


class AsyncPrices(AsyncEndpoints):
    """``/v1/prices``."""

    def list(
        self, *, provider: str | None = None, model: str | None = None, at: datetime | str | None = None
    ) -> AsyncIterator[Price]:
        """The prices in force, page by page as they are read."""
        return self._pages("/v1/prices", {"provider": provider, "model": model, "at": at})

    def history(self, provider: str, model: str) -> AsyncIterator[Price]:
        """Every price a model had or will have, the last written first."""
        return self._pages("/v1/prices/history", {"provider": provider, "model": model})

    async def set(
        self,
        provider: str,
        model: str,
        unit: str,
        usd_per_unit: Decimal | str,
        *,
        valid_from: datetime | str | None = None,
        above_input_tokens: int = 0,
    ) -> Price:
        """Add a dated price of the key's organisation. Raises `ApiProblem` for one that cannot be."""
        body = {"provider": provider, "model": model, "unit": unit, "usd_per_unit": str(usd_per_unit)}
        more = given(valid_from=valid_from, above_input_tokens=above_input_tokens)
        return await self._post(Price, "/v1/prices", {**body, **more})

    async def _pages(self, path: str, query: dict[str, Any]) -> AsyncIterator[Price]:
        cursor: str | None = None
        while True:
            page = await self._get(Page[Price], path, given(**query, limit=_PAGE, cursor=cursor))
            for price in page.data:
                yield price
            cursor = page.next_cursor
            if cursor is None:
                return
