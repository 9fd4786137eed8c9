"""Backtests on the wire."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.budgets.schemas import Money, Period, Scope
from api.costs.parameters import Bound
from api.prices.schemas import MODEL_MAX, NAME_PATTERN, PROVIDER_MAX, UnitPrice
from core.forecasts.backtests.budget import BudgetBacktest as BudgetRecord
from core.forecasts.backtests.limits import LimitBacktest as LimitRecord
from core.forecasts.backtests.prices import Repriced
from core.kit.clock import isoformat
from core.kit.ids import JOB, encode
from core.kit.money import ZERO, format_money
from core.ledger.records import Unit

_FROM = "Jobs accepted then or later. Default: 30 days before `to`."
_TO = "Jobs accepted before it. Default: now."


class _Backtest(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    begins: Bound | None = Field(None, alias="from", description=_FROM)
    ends: Bound | None = Field(None, alias="to", description=_TO)


class BacktestBudget(_Backtest):
    """A hard budget that is not enforced."""

    limit_usd: Money = Field(description="What may be spent in a period.", examples=["25.00"])
    period: Period = Field("month", description="A day or month of UTC, or for ever.")
    scope: Scope = Field("organization", description="Whose spending counts.")
    scope_id: str | None = Field(None, max_length=40, description="The project or key; absent for the organization.")


class BacktestLimit(_Backtest):
    """A rate of requests that is not enforced."""

    requests_per_minute: int = Field(strict=True, ge=1, le=1_000_000, examples=[60])
    scope: Scope = Field("organization", description="Whose requests share the rate.")
    scope_id: str | None = Field(None, max_length=40, description="The project or key; absent for the organization.")


class TriedPrice(BaseModel):
    """A price that is not in force."""

    model_config = ConfigDict(extra="forbid")

    provider: str = Field(min_length=1, max_length=PROVIDER_MAX, pattern=NAME_PATTERN)
    model: str = Field(
        min_length=1, max_length=MODEL_MAX, pattern=NAME_PATTERN, description="`*`: every model of the provider."
    )
    unit: Unit
    usd_per_unit: UnitPrice


class BacktestPrices(_Backtest):
    """Prices that are not in force."""

    prices: list[TriedPrice] = Field(min_length=1, max_length=200)
    project_id: str | None = Field(None, max_length=40, description="Only what this project consumed.")


class BudgetOutcome(BaseModel):
    """What the budget would have done, decision by decision as it is enforced."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    jobs: int = Field(description="Jobs in that time, without those that jobs started.")
    accepted: int
    refused: int = Field(description="Jobs that would have been answered with 402 when they were submitted.")
    stopped: int = Field(description="Jobs that would have failed, or waited, before a model call that found no room.")
    history_usd: str = Field(description="What was spent.")
    spent_usd: str = Field(description="What would have been spent.")
    first_at: datetime | None = Field(description="When it would have said no for the first time.")
    by_day: dict[str, int] = Field(description="How often it would have said no, by day.")
    examples: list[str] = Field(description="The first ten of those jobs.")


class LimitOutcome(BaseModel):
    """What the rate would have done to requests that submitted jobs; other requests are not known."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    jobs: int
    refused: int = Field(description="Submissions that would have been answered with 429.")
    longest_wait_seconds: int = Field(description="The longest `Retry-After`.")
    first_at: datetime | None
    by_day: dict[str, int]
    examples: list[str]


class PriceLine(BaseModel):
    """A model's consumption of one kind."""

    provider: str
    model: str
    unit: str
    quantity: str
    calls: int
    charged_usd: str
    repriced_usd: str | None = Field(description="What it would have been; null where no price was tried.")
    difference_usd: str


class PriceOutcome(BaseModel):
    """What would have been charged."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    charged_usd: str
    repriced_usd: str = Field(description="With the tried prices, and the rest as it was charged.")
    difference_usd: str
    data: list[PriceLine]


Head = dict[str, str]


def to_budget_outcome(head: Head, found: BudgetRecord) -> dict[str, Any]:
    """The members of `BudgetOutcome`."""
    return {
        **head,
        "jobs": found.jobs,
        "accepted": found.accepted,
        "refused": found.refused,
        "stopped": found.stopped,
        "history_usd": format_money(found.history_usd),
        "spent_usd": format_money(found.spent_usd),
        **_refusals(found.first_at, found.by_day, found.examples),
    }


def to_limit_outcome(head: Head, found: LimitRecord) -> dict[str, Any]:
    """The members of `LimitOutcome`."""
    return {
        **head,
        "jobs": found.jobs,
        "refused": found.refused,
        "longest_wait_seconds": found.longest_wait_seconds,
        **_refusals(found.first_at, found.by_day, found.examples),
    }


def to_price_outcome(head: Head, lines: Sequence[Repriced]) -> dict[str, Any]:
    """The members of `PriceOutcome`."""
    charged: Decimal = sum((line.charged_usd for line in lines), ZERO)
    difference: Decimal = sum((line.difference_usd for line in lines), ZERO)
    return {
        **head,
        "charged_usd": format_money(charged),
        "repriced_usd": format_money(charged + difference),
        "difference_usd": format_money(difference),
        "data": [
            {
                "provider": line.provider,
                "model": line.model,
                "unit": line.unit,
                "quantity": f"{line.quantity:f}",
                "calls": line.calls,
                "charged_usd": format_money(line.charged_usd),
                "repriced_usd": None if line.repriced_usd is None else format_money(line.repriced_usd),
                "difference_usd": format_money(line.difference_usd),
            }
            for line in lines
        ],
    }


def _refusals(first_at: datetime | None, by_day: dict[str, int], examples: Sequence[UUID]) -> dict[str, Any]:
    return {
        "first_at": None if first_at is None else isoformat(first_at),
        "by_day": by_day,
        "examples": [encode(JOB, job_id) for job_id in examples],
    }
