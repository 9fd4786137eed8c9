"""Limits as services hand them around."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal
from uuid import UUID

Scope = Literal["organization", "project", "key"]


class LimitKind(StrEnum):
    """The kind of a limit. Days and months are in UTC; ``cost_…`` counts US dollars."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    CONCURRENT_JOBS = "concurrent_jobs"
    JOBS_PER_DAY = "jobs_per_day"
    JOBS_PER_MONTH = "jobs_per_month"
    TOKENS_PER_DAY = "tokens_per_day"
    TOKENS_PER_MONTH = "tokens_per_month"
    COST_PER_DAY = "cost_per_day"
    COST_PER_MONTH = "cost_per_month"

    @property
    def is_money(self) -> bool:
        """Whether its value is an amount of US dollars; otherwise it is a whole number."""
        return self.value.startswith("cost_")

    @property
    def is_asked_at_submit(self) -> bool:
        """Whether Postgres counts it and refuses a job when it is used up."""
        return self not in {LimitKind.REQUESTS_PER_MINUTE, LimitKind.CONCURRENT_JOBS}


@dataclass(frozen=True, slots=True)
class ScopeId:
    """The owner of a limit: the organization, or one of its projects or keys."""

    scope: Scope
    id: UUID


@dataclass(frozen=True, slots=True)
class LimitRecord:
    """A limit and its current use.

    `used` is None for requests, which Redis counts. `period_start` and `resets_at` are None for limits without a
    period; `updated_at` and `id` are None for the default, which no one set.
    """

    id: UUID | None
    scope: Scope
    scope_id: UUID
    kind: LimitKind
    value: Decimal
    used: Decimal | None
    period_start: datetime | None
    resets_at: datetime | None
    updated_at: datetime | None
