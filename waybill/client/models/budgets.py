"""Budgets and their balances."""

from datetime import datetime

from waybill.client.models.base import Resource


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


class BudgetAlert(Resource):
    """A threshold, in percent of the limit, that was crossed once in a period."""

    threshold: int
    spent_usd: str
    limit_usd: str
    period_start: datetime | None = None
    raised_at: datetime
