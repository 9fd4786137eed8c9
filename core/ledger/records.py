"""Money as plain data: units, calls, settlements and budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from core.kit.money import ZERO

Scope = Literal["organization", "project", "key"]
Period = Literal["day", "month", "total"]
OnExhaustion = Literal["fail", "pause"]

THRESHOLDS = (50, 80, 100)


class Unit(StrEnum):
    """The unit of a price. A token counts in exactly one unit, so that the units of a call add up."""

    INPUT_TOKENS = "input_tokens"
    CACHED_INPUT_TOKENS = "cached_input_tokens"
    CACHE_WRITE_TOKENS = "cache_write_tokens"
    OUTPUT_TOKENS = "output_tokens"
    REASONING_TOKENS = "reasoning_tokens"
    EMBEDDING_TOKENS = "embedding_tokens"
    IMAGE = "image"
    AUDIO_SECOND = "audio_second"
    OCR_PAGE = "ocr_page"
    WORKER_SECOND = "worker_second"


@dataclass(frozen=True, slots=True)
class CallIdentity:
    """A model call: `number` counts from 1 within the attempt."""

    job_id: UUID
    attempt: int
    number: int


@dataclass(frozen=True, slots=True)
class LostCall:
    """An open call that no attempt will settle."""

    call: CallIdentity
    organization_id: UUID
    bound_usd: Decimal
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """The final cost of a call. `amounts` holds the US dollars of each unit in `quantities`."""

    amount_usd: Decimal = ZERO
    quantities: Mapping[Unit, int] = field(default_factory=dict)
    amounts: Mapping[Unit, Decimal] = field(default_factory=dict)
    price_ids: tuple[UUID, ...] = ()
    estimated: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger."""

    job_id: UUID
    attempt: int
    call: int
    entry: int
    recorded_at: datetime
    kind: str
    capability: str
    provider: str
    model: str
    model_version: str | None
    quantities: dict[str, int]
    amounts: dict[str, str]
    bound_usd: Decimal
    amount_usd: Decimal
    estimated: bool
    reason: str | None
    step: str | None

    @property
    def is_priced(self) -> bool:
        """Whether every quantity had a price; those without one are not in the amount."""
        return self.quantities.keys() <= self.amounts.keys()


@dataclass(frozen=True, slots=True)
class NewBudget:
    """A budget to create. `scope_id` is the project's or key's id; None for the organization."""

    name: str
    limit_usd: Decimal
    scope: Scope = "organization"
    scope_id: UUID | None = None
    period: Period = "month"
    hard: bool = True
    on_exhaustion: OnExhaustion = "fail"
    thresholds: tuple[int, ...] = THRESHOLDS


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """A threshold, in percent of the limit, that a budget crossed; `period_start` is None without periods."""

    id: UUID
    period_start: datetime | None
    threshold: int
    spent_usd: Decimal
    limit_usd: Decimal
    raised_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """The changes to a budget; None leaves a field unchanged."""

    limit_usd: Decimal | None = None
    hard: bool | None = None
    on_exhaustion: OnExhaustion | None = None
    thresholds: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget with the balance of its current period; an unused period has zeros.

    `period_start` is None for a budget without periods, `alerted` the thresholds that were crossed in this one.
    """

    id: UUID
    organization_id: UUID
    name: str
    scope: Scope
    scope_id: UUID
    period: Period
    limit_usd: Decimal
    hard: bool
    on_exhaustion: OnExhaustion
    thresholds: tuple[int, ...]
    created_at: datetime
    archived_at: datetime | None
    period_start: datetime | None
    reserved_usd: Decimal = ZERO
    spent_usd: Decimal = ZERO
    alerted: tuple[int, ...] = ()

    @property
    def available_usd(self) -> Decimal:
        """What may still be reserved; never below zero, whatever a lowered limit or a correction did."""
        return max(self.limit_usd - self.spent_usd - self.reserved_usd, ZERO)


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: its name, its row, and the two figures that should agree.

    The row is a job's, or a reservation's with its job's id, unless `is_of_balance`.
    """

    invariant: str
    subject: UUID
    expected: Any
    found: Any
    is_of_balance: bool = False
