"""Quotes, forecasts, anomalies and backtests."""

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from waybill.client.models.base import Resource


class Quote(Resource):
    """What a job will probably cost; `basis` says which jobs that is made of, and is ``none`` for too few."""

    capability: str
    p50_usd: Decimal | None = None
    p90_usd: Decimal | None = None
    cap_usd: Decimal | None = None
    capped_by: str | None = None
    basis: str
    jobs: int
    size_bytes: int


class Amounts(Resource):
    """US dollars: four in five draws lie between `p10` and `p90`."""

    p10: Decimal
    p50: Decimal
    p90: Decimal


class Exhaustion(Resource):
    """When a limit is reached; None when that lies behind the period's end."""

    early: datetime | None = None
    middle: datetime | None = None
    late: datetime | None = None


class BudgetForecast(Resource):
    """The rest of a budget's period."""

    budget_id: str
    made_at: datetime
    limit_usd: Decimal
    spent_usd: Decimal
    period_end: datetime | None = None
    burn_usd_per_day: Decimal
    projected_usd: Amounts | None = None
    exhausted_at: Exhaustion | None = None
    probability: float | None = None
    based_on_hours: int


class SpendingPart(Resource):
    """What an hour's money went to."""

    project_id: str
    capability: str
    provider: str
    model: str
    amount_usd: Decimal
    expected_usd: Decimal


class CostAnomaly(Resource):
    """An hour in which a key spent far more than it does."""

    at: datetime
    key_id: str | None = None
    amount_usd: Decimal
    expected_usd: Decimal
    highest_usd: Decimal
    score: float | None = None
    causes: list[SpendingPart]


class CostAnomalies(Resource):
    """Anomalous hours, the largest excess first."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    data: list[CostAnomaly]


class BudgetBacktest(Resource):
    """What a budget would have done to real jobs."""

    jobs: int
    accepted: int
    refused: int
    stopped: int
    history_usd: Decimal
    spent_usd: Decimal
    first_at: datetime | None = None
    by_day: dict[str, int]
    examples: list[str]


class LimitBacktest(Resource):
    """What a rate would have done to real submissions."""

    jobs: int
    refused: int
    longest_wait_seconds: int
    first_at: datetime | None = None
    by_day: dict[str, int]
    examples: list[str]


class PriceLine(Resource):
    """A model's consumption of one kind, as charged and at the tried price (None: none was tried)."""

    provider: str
    model: str
    unit: str
    quantity: Decimal
    calls: int
    charged_usd: Decimal
    repriced_usd: Decimal | None = None
    difference_usd: Decimal


class PriceBacktest(Resource):
    """What other prices would have charged."""

    charged_usd: Decimal
    repriced_usd: Decimal
    difference_usd: Decimal
    data: list[PriceLine]
