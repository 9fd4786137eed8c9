"""Budgets: create, read, list, change, archive."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_BUDGETS = "/v1/budgets"


class Balance(Resource):
    """What is spent and reserved in the current period, in US dollars as text."""

    spent_usd: str
    reserved_usd: str
    available_usd: str


class Budget(Resource):
    """What an organisation, a project or a key may spend in a period."""

    id: str
    name: str
    scope: str
    scope_id: str
    period: str
    limit_usd: str
    hard: bool
    on_exhaustion: str
    thresholds: list[int]
    balance: Balance
    created_at: datetime
    archived_at: datetime | None = None


class Budgets:
    """``/v1/budgets``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, body: Mapping[str, Any]) -> Budget:
        """A new budget; `body` holds ``name``, ``limit_usd`` and what else the API takes."""
        return Budget.model_validate(self._transport.post(_BUDGETS, body).json())

    def get(self, budget_id: str) -> Budget:
        """The budget with that id. Raises `ApiProblem` 404."""
        return Budget.model_validate(self._transport.get(f"{_BUDGETS}/{budget_id}").json())

    def list(self, *, archived: bool = False, limit: int = 50, cursor: str | None = None) -> Page[Budget]:
        """One page of the organisation's budgets, newest first."""
        params = {"archived": str(archived).lower(), "limit": limit} | ({"cursor": cursor} if cursor else {})
        return Page[Budget].model_validate(self._transport.get(_BUDGETS, params).json())

    def update(self, budget_id: str, change: Mapping[str, Any]) -> Budget:
        """Change what `change` names."""
        return Budget.model_validate(self._transport.patch(f"{_BUDGETS}/{budget_id}", change).json())

    def archive(self, budget_id: str) -> Budget:
        """End a budget; one that has ended stays as it is."""
        return Budget.model_validate(self._transport.post(f"{_BUDGETS}/{budget_id}/archive").json())
