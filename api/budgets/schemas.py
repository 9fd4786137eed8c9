"""Budgets schemas."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.kit.clock import isoformat
from core.kit.ids import BUDGET, KEY, ORGANIZATION, PROJECT, encode
from core.kit.money import format_money
from core.ledger.budgets import NAME_MAX_CHARACTERS, THRESHOLD_MAX_PERCENT, THRESHOLDS_MAX
from core.ledger.records import THRESHOLDS
from core.ledger.records import Budget as BudgetRecord

Scope = Literal["organization", "project", "key"]
Period = Literal["day", "month", "total"]
OnExhaustion = Literal["fail", "pause"]
# Text, because a JSON number passes through a float in most clients.
Money = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")]
Threshold = Annotated[int, Field(ge=1, le=THRESHOLD_MAX_PERCENT)]
Thresholds = Annotated[list[Threshold], Field(max_length=THRESHOLDS_MAX)]
Name = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=NAME_MAX_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
    ),
]

_SCOPE_PREFIXES = {"organization": ORGANIZATION, "project": PROJECT, "key": KEY}
_LIMIT_HELP = "The amount that may be spent in a period: US dollars as a string with at most nine decimals."
_HARD_HELP = "Refuse work that exceeds the limit. A soft budget (false) only warns."
_EXHAUSTION_HELP = (
    "What happens to a running job that exceeds the budget: it fails, or waits until the limit is raised."
)
_THRESHOLDS_HELP = "Percentages of the limit. Crossing one is recorded once per period."


class CreateBudget(BaseModel):
    """A request for a budget. It applies to every job accepted after it was created."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "research, monthly", "limit_usd": "250.00"}]}
    )

    name: Name = Field(description="The name, unique among the organization's active budgets.")
    limit_usd: Money = Field(description=_LIMIT_HELP, examples=["250.00"])
    scope: Scope = Field("organization", description="Whose spending counts.")
    scope_id: str | None = Field(
        None, max_length=40, description="Id of the project or key. Leave it out for the organization."
    )
    period: Period = Field("month", description="How long the limit lasts: a UTC day or month, or in total.")
    hard: bool = Field(True, strict=True, description=_HARD_HELP)
    on_exhaustion: OnExhaustion = Field("fail", description=_EXHAUSTION_HELP)
    thresholds: Thresholds = Field(list(THRESHOLDS), description=_THRESHOLDS_HELP)


class UpdateBudget(BaseModel):
    """Fields to change. Fields left out keep their value."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit_usd": "400.00"}]})

    limit_usd: Money | None = Field(None, description=_LIMIT_HELP)
    hard: bool | None = Field(None, strict=True, description=_HARD_HELP)
    on_exhaustion: OnExhaustion | None = Field(None, description=_EXHAUSTION_HELP)
    thresholds: Thresholds | None = Field(None, description=_THRESHOLDS_HELP)


class Balance(BaseModel):
    """The amounts that a budget has reserved and spent in its current period."""

    period_start: datetime | None = Field(description="Null for a budget without periods.")
    spent_usd: str = Field(description="Settled model calls and their corrections: the sum of the ledger lines.")
    reserved_usd: str = Field(description="Amount reserved for jobs that have not ended.")
    available_usd: str = Field(description="Amount that can still be reserved.")
    crossed: list[int] = Field(description="Thresholds crossed in this period, in percent.")


class Budget(BaseModel):
    """A spending limit of an organization, a project or a key."""

    id: str = Field(examples=["bud_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    name: str
    scope: Scope
    scope_id: str
    period: Period
    limit_usd: str
    hard: bool
    on_exhaustion: OnExhaustion
    thresholds: list[int]
    balance: Balance
    created_at: datetime
    archived_at: datetime | None


class BudgetPage(BaseModel):
    """A page of budgets, newest first."""

    data: list[Budget]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(budget: BudgetRecord) -> dict[str, Any]:
    """`budget` as the members of `Budget`."""
    return {
        "id": encode(BUDGET, budget.id),
        "name": budget.name,
        "scope": budget.scope,
        "scope_id": encode(_SCOPE_PREFIXES[budget.scope], budget.scope_id),
        "period": budget.period,
        "limit_usd": format_money(budget.limit_usd),
        "hard": budget.hard,
        "on_exhaustion": budget.on_exhaustion,
        "thresholds": list(budget.thresholds),
        "balance": {
            "period_start": None if budget.period_start is None else isoformat(budget.period_start),
            "spent_usd": format_money(budget.spent_usd),
            "reserved_usd": format_money(budget.reserved_usd),
            "available_usd": format_money(budget.available_usd),
            "crossed": sorted(budget.alerted),
        },
        "created_at": isoformat(budget.created_at),
        "archived_at": None if budget.archived_at is None else isoformat(budget.archived_at),
    }


def to_amount(money: str) -> Decimal:
    """The amount behind a `Money` text."""
    return Decimal(money)
