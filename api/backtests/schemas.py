"""Backtests schemas."""

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

_FROM = "Jobs accepted at or after this time. Default: 30 days before `to`."
_TO = "Jobs accepted before this time. Default: now."


class _Backtest(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    begins: Bound | None = Field(None, alias="from", description=_FROM)
    ends: Bound | None = Field(None, alias="to", description=_TO)


class BacktestBudget(_Backtest):
    """A hard budget to simulate."""

    limit_usd: Money = Field(description="The amount that may be spent in a period.", examples=["25.00"])
    period: Period = Field("month", description="How long the limit lasts: a UTC day or month, or in total.")
    scope: Scope = Field("organization", description="Whose spending counts.")
    scope_id: str | None = Field(
        None, max_length=40, description="Id of the project or key. Leave it out for the organization."
    )


class BacktestLimit(_Backtest):
    """A request rate limit to simulate."""

    requests_per_minute: int = Field(strict=True, ge=1, le=1_000_000, examples=[60])
    scope: Scope = Field("organization", description="Whose requests share the limit.")
    scope_id: str | None = Field(
        None, max_length=40, description="Id of the project or key. Leave it out for the organization."
    )


class TriedPrice(BaseModel):
    """A price to simulate."""

    model_config = ConfigDict(extra="forbid")

    provider: str = Field(min_length=1, max_length=PROVIDER_MAX, pattern=NAME_PATTERN)
    model: str = Field(
        min_length=1, max_length=MODEL_MAX, pattern=NAME_PATTERN, description="`*` matches every model of the provider."
    )
    unit: Unit
    usd_per_unit: UnitPrice


class BacktestPrices(_Backtest):
    """Prices to simulate."""

    prices: list[TriedPrice] = Field(min_length=1, max_length=200)
    project_id: str | None = Field(None, max_length=40, description="Include only this project's usage.")


class BudgetOutcome(BaseModel):
    """Outcome of a simulated budget, decision by decision as it would have been enforced."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    jobs: int = Field(description="Jobs accepted in the window, without child jobs.")
    accepted: int
    refused: int = Field(description="Jobs that would have been refused with 402 at submission.")
    stopped: int = Field(
        description="Jobs that would have failed or waited before a model call that exceeded the budget."
    )
    history_usd: str = Field(description="Amount actually spent.")
    spent_usd: str = Field(description="Amount that would have been spent.")
    first_at: datetime | None = Field(description="When the budget would first have refused.")
    by_day: dict[str, int] = Field(description="Refusals per day.")
    examples: list[str] = Field(description="The first ten affected jobs.")


class LimitOutcome(BaseModel):
    """Outcome of a simulated rate limit for requests that submitted jobs. Other requests are not recorded."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    jobs: int
    refused: int = Field(description="Submissions that would have been refused with 429.")
    longest_wait_seconds: int = Field(description="The longest `Retry-After`.")
    first_at: datetime | None
    by_day: dict[str, int]
    examples: list[str]


class PriceLine(BaseModel):
    """Usage of one kind by a model."""

    provider: str
    model: str
    unit: str
    quantity: str
    calls: int
    charged_usd: str
    repriced_usd: str | None = Field(description="The simulated price. Null where no price was given.")
    difference_usd: str


class PriceOutcome(BaseModel):
    """Outcome of simulated prices."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    charged_usd: str
    repriced_usd: str = Field(description="The total with simulated prices, and actual charges for everything else.")
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
