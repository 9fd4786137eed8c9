"""Budgets: create, read, list, change, archive."""

# Written by `python -m waybill.client.generate` from aio/budgets.py: change that, and run it again.

from collections.abc import Mapping
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import Budget, BudgetAlert, BudgetForecast, Page
from waybill.client.sync.endpoints import Endpoints

_BUDGETS = "/v1/budgets"


class Budgets(Endpoints):
    """``/v1/budgets``."""

    def create(self, body: Mapping[str, Any]) -> Budget:
        """A new budget; `body` holds ``name``, ``limit_usd`` and what else the API takes."""
        return self._post(Budget, _BUDGETS, body)

    def get(self, budget_id: str) -> Budget:
        """The budget with that id. Raises `NotFound`."""
        return self._get(Budget, f"{_BUDGETS}/{budget_id}")

    def list(self, *, archived: bool = False, limit: int = 50, cursor: str | None = None) -> Page[Budget]:
        """One page of the organisation's budgets, newest first."""
        params = given(archived=archived or None, limit=limit, cursor=cursor)
        return self._get(Page[Budget], _BUDGETS, params)

    def update(self, budget_id: str, change: Mapping[str, Any]) -> Budget:
        """Change what `change` names."""
        return self._patch(Budget, f"{_BUDGETS}/{budget_id}", change)

    def alerts(self, budget_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[BudgetAlert]:
        """One page of the thresholds that were crossed, newest first."""
        return self._get(Page[BudgetAlert], f"{_BUDGETS}/{budget_id}/alerts", given(limit=limit, cursor=cursor))

    def forecast(self, budget_id: str) -> BudgetForecast:
        """When the budget will be used up, with an interval. Raises `NotFound`."""
        return self._get(BudgetForecast, f"{_BUDGETS}/{budget_id}/forecast")

    def archive(self, budget_id: str) -> Budget:
        """Archive a budget. Has no effect on an archived one."""
        return self._post(Budget, f"{_BUDGETS}/{budget_id}/archive")
