"""Money as plain data: what is counted, what a call asks for, what a budget says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.kit.money import ZERO


class Unit(StrEnum):
    """What is priced. A token counts in exactly one unit, so that the units of a call add up."""

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


class Scope(StrEnum):
    """Whose spending a budget bounds."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"


class Period(StrEnum):
    """When a budget begins anew: at midnight or on the first of the month, both UTC, or never."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class OnExhaustion(StrEnum):
    """What becomes of a job that a hard budget stops half-way."""

    FAIL = "fail"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class CallIdentity:
    """A model call: `number` counts from 1 within the attempt."""

    job_id: UUID
    attempt: int
    number: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call turned out to cost. `amounts` holds the US dollars of each unit in `quantities`."""

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


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget with what its present period has seen."""

    id: UUID
    name: str
    scope: Scope
    scope_id: UUID
    period: Period
    limit_usd: Decimal
    hard: bool
    on_exhaustion: OnExhaustion
    thresholds: list[int]
    created_at: datetime
    archived_at: datetime | None
    period_start: datetime | None
    reserved_usd: Decimal
    spent_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBudget:
    """What an administrator asks for, validated."""

    name: str
    scope: Scope
    scope_id: UUID
    period: Period
    limit_usd: Decimal
    hard: bool = True
    on_exhaustion: OnExhaustion = OnExhaustion.FAIL
    thresholds: tuple[int, ...] = (50, 80, 100)


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: which one, of what, and the two figures that should agree."""

    invariant: str
    subject: str
    expected: Any
    found: Any
