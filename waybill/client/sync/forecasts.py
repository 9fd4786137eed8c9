"""Quotes and backtests."""

# Written by `python -m waybill.client.generate` from aio/forecasts.py: change that, and run it again.

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import BudgetBacktest, LimitBacktest, PriceBacktest, Quote
from waybill.client.sync.endpoints import Endpoints


class Quotes(Endpoints):
    """``/v1/quotes``."""

    def make(
        self,
        capability: str,
        payload: Mapping[str, Any],
        *,
        max_cost_usd: Decimal | str | None = None,
        model: str | None = None,
    ) -> Quote:
        """What a job with this input will probably cost; nothing is submitted."""
        cap = None if max_cost_usd is None else str(max_cost_usd)
        body = given(capability=capability, input=dict(payload), max_cost_usd=cap, model=model)
        return self._post(Quote, "/v1/quotes", body)


class Backtests(Endpoints):
    """``/v1/backtests``: nothing is enforced, nothing is stored."""

    def budget(
        self,
        limit_usd: Decimal | str,
        *,
        period: str = "month",
        scope: str = "organization",
        scope_id: str | None = None,
        begins: str | None = None,
        ends: str | None = None,
    ) -> BudgetBacktest:
        """What a hard budget would have done to jobs accepted from `begins` on and before `ends`."""
        body = given(
            limit_usd=str(limit_usd), period=period, scope=scope, scope_id=scope_id, **{"from": begins, "to": ends}
        )
        return self._post(BudgetBacktest, "/v1/backtests/budget", body)

    def limit(
        self,
        requests_per_minute: int,
        *,
        scope: str = "organization",
        scope_id: str | None = None,
        begins: str | None = None,
        ends: str | None = None,
    ) -> LimitBacktest:
        """What a rate of requests would have done to the submissions of those jobs."""
        body = given(
            requests_per_minute=requests_per_minute, scope=scope, scope_id=scope_id, **{"from": begins, "to": ends}
        )
        return self._post(LimitBacktest, "/v1/backtests/limit", body)

    def prices(
        self,
        prices: Sequence[Mapping[str, Any]],
        *,
        project_id: str | None = None,
        begins: str | None = None,
        ends: str | None = None,
    ) -> PriceBacktest:
        """What those jobs would have been charged at other `prices` (provider, model, unit, usd_per_unit)."""
        body = given(prices=list(prices), project_id=project_id, **{"from": begins, "to": ends})
        return self._post(PriceBacktest, "/v1/backtests/prices", body)
