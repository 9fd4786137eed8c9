"""The parameters and the results of reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.ledger.records import Unit

LABEL_PREFIX = "label:"
LABEL_MAX = 64
GROUPS_MAX = 10_000
GROUPINGS_MAX = 8


class Dimension(StrEnum):
    """Something that charges can be grouped by."""

    PROJECT = "project"
    CAPABILITY = "capability"
    MODEL = "model"
    MODEL_VERSION = "model_version"
    DEPLOYMENT = "deployment"
    PROVIDER = "provider"
    KEY = "key"
    DAY = "day"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Grouping:
    """A dimension, with the label's name where it is a label."""

    dimension: Dimension
    label: str = ""

    @classmethod
    def parse(cls, text: str) -> "Grouping":
        """The grouping written as its dimension (``project``, ``model_version``), or ``label:NAME``.

        Raises ValueError, with a human-readable message, for anything else.
        """
        if text.startswith(LABEL_PREFIX):
            label = text.removeprefix(LABEL_PREFIX)
            if not 1 <= len(label) <= LABEL_MAX:
                raise ValueError(f"the name of a label has 1 to {LABEL_MAX} characters")
            return cls(Dimension.LABEL, label)
        offered = [dimension.value for dimension in Dimension if dimension is not Dimension.LABEL]
        if text not in offered:
            raise ValueError(f"group by {', '.join(offered)} or {LABEL_PREFIX}NAME")
        return cls(Dimension(text))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the grouping adds to a report."""
        match self.dimension:
            case Dimension.PROJECT:
                return ("project_id", "project")
            case Dimension.MODEL:
                return ("provider", "model")
            case Dimension.MODEL_VERSION:
                return ("model_version_id", "model_version")
            case Dimension.KEY:
                return ("key_id", "key")
            case Dimension.LABEL:
                return (LABEL_PREFIX + self.label,)
            case _:
                return (self.dimension.value,)


@dataclass(frozen=True, slots=True)
class Window:
    """Charges of jobs accepted at or after `begins` and before `ends`."""

    begins: datetime
    ends: datetime

    @classmethod
    def month(cls, year: int, month: int) -> "Window":
        """A calendar month in UTC. Raises ValueError for an invalid month."""
        following = (year + 1, 1) if month == 12 else (year, month + 1)  # noqa: PLR2004 - December
        return cls(datetime(year, month, 1, tzinfo=UTC), datetime(*following, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Reach:
    """The charges covered: a project's or, with `project_id` None, the whole organization's."""

    organization_id: UUID
    project_id: UUID | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a group's ledger lines.

    `calls` counts settled model calls, `jobs` the jobs they belong to. `estimated_usd` and `corrections_usd` are the
    parts of `amount_usd` that no provider reported and that were corrected later. `quantities` may be left empty.
    """

    group: Mapping[str, Any]
    amount_usd: Decimal
    estimated_usd: Decimal
    corrections_usd: Decimal
    calls: int
    jobs: int
    quantities: Mapping[Unit, Decimal]
    # Calls with a quantity that had no price and so is not in `amount_usd`.
    unpriced_calls: int = 0


@dataclass(frozen=True, slots=True)
class ProjectHeader:
    """The recipient of a statement."""

    id: UUID
    name: str
    organization_id: UUID
    organization: str
    cost_centre: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A project's charges of a month: one line per day, capability, model and key, which add up to `total`."""

    project: ProjectHeader
    window: Window
    made_at: datetime
    lines: Sequence[Totals]
    total: Decimal
    jobs: int

    @property
    def unpriced_calls(self) -> int:
        """Calls with a quantity that had no price and so is not in `total`."""
        return sum(line.unpriced_calls for line in self.lines)


@dataclass(frozen=True, slots=True)
class EntryKey:
    """The position where a page of ledger lines ended."""

    job_id: UUID
    attempt: int
    call: int
    entry: int


@dataclass(frozen=True, slots=True)
class Charge:
    """A settlement or correction in the ledger, with the names of what it refers to."""

    key: EntryKey
    accepted_on: date
    recorded_at: datetime
    is_correction: bool
    organization_id: UUID
    organization: str
    project_id: UUID
    project: str | None
    key_id: UUID | None
    capability: str
    provider: str
    model: str
    model_version: str | None
    quantities: Mapping[str, str | int]
    amounts: Mapping[str, str]
    amount_usd: Decimal
    estimated: bool
    reason: str | None
    step: str | None
    labels: Mapping[str, str]
