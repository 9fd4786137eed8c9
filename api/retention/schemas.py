"""Retention on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.jobs.retention.records import DAYS_MAX, Clock, Kind
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass

Days = Annotated[int, Field(strict=True, ge=1, le=DAYS_MAX)]


class SetRetention(BaseModel):
    """How long to keep a kind of data."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"kind": "payloads", "days": 30}]})

    kind: Kind = Field(
        description="`payloads` are inputs and results, `events` what streams replay, `jobs` the jobs themselves,"
        " `ledger` and `audit` their lines and records."
    )
    days: Days | None = Field(description="Whole days; null is for ever.")
    scope: Literal["organization", "project"] = Field(
        "project", description="Whether it counts for this project, or for every project that has set nothing."
    )
    data_class: DataClass | None = Field(
        None,
        description="With `payloads`: only those of jobs of this class and above. Of all clocks that hold for a job the"
        " shortest wins, so `days` is a number then.",
    )


class RetentionClock(BaseModel):
    """How long this project keeps one kind of data."""

    kind: Kind
    days: int | None = Field(description="Null is for ever.")
    source: Literal["project", "organization", "installation"] = Field(description="Who said so.")
    set_at: datetime | None = Field(description="Null for the installation's default.")
    data_class: DataClass | None = Field(
        description="The clock is for payloads of jobs of this class and above. Null for all data of the kind."
    )


class Retention(BaseModel):
    """The clocks of a project."""

    data: list[RetentionClock] = Field(description="One of each kind, then those that are set for a data class.")


def to_wire(clocks: list[Clock]) -> dict[str, Any]:
    """`clocks` as the members of `Retention`."""
    return {
        "data": [
            {
                "kind": clock.kind.value,
                "days": clock.days,
                "source": clock.source,
                "set_at": None if clock.set_at is None else isoformat(clock.set_at),
                "data_class": clock.data_class,
            }
            for clock in clocks
        ]
    }
