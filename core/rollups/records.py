"""The inputs and sums of roll-ups as plain data."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from core.kit.money import ZERO

# Stands for all projects of an organization in a sum.
ALL_PROJECTS = UUID(int=0)


class Grain(StrEnum):
    """Length of an interval."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that has ended: its outcome, times in seconds (None where unknown) and money.

    `waited` is from being due to its first start, `ran` from there to its end. `tree_usd` includes the jobs below it.
    `model` is the one with most of its own cost. `size_bytes` is the length of its input as JSON.
    """

    id: UUID
    organization_id: UUID
    project_id: UUID
    capability: str
    state: str
    finished_at: datetime
    waited: float | None
    ran: float | None
    failures: int
    outages: int
    cost_usd: Decimal
    tree_usd: Decimal
    is_priced: bool
    is_shadow: bool
    model: str
    size_bytes: int
    open_calls: int


@dataclass(frozen=True, slots=True)
class CallGroup:
    """The key by which model calls are added up."""

    organization_id: UUID
    project_id: UUID
    key_id: UUID | None
    capability: str
    provider: str
    model: str
    model_version: str | None


@dataclass(frozen=True, slots=True)
class SettledCall:
    """A settlement of the ledger, or a correction (`is_correction`: money only, no call)."""

    group: CallGroup
    settled_at: datetime
    seconds: float | None
    amount_usd: Decimal
    quantities: dict[str, int]
    is_estimated: bool
    is_lost: bool
    is_unpriced: bool
    is_correction: bool


@dataclass(slots=True)
class JobSums:
    """The sums of a group's jobs; `wait`, and `duration` of those that succeeded, are sketches of seconds."""

    jobs: int = 0
    failures: int = 0
    outages: int = 0
    cost_usd: Decimal = ZERO
    wait: Counter[int] = field(default_factory=Counter)
    duration: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class CallSums:
    """The sums of a group's calls; `duration` is a sketch of seconds."""

    calls: int = 0
    estimated_calls: int = 0
    lost_calls: int = 0
    unpriced_calls: int = 0
    amount_usd: Decimal = ZERO
    quantities: Counter[str] = field(default_factory=Counter)
    duration: Counter[int] = field(default_factory=Counter)
