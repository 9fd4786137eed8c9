"""Retention schemas."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.jobs.retention.records import DAYS_MAX, Kind
from core.jobs.retention.records import RetentionPeriod as PeriodRecord
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass

Days = Annotated[int, Field(strict=True, ge=1, le=DAYS_MAX)]


class SetRetention(BaseModel):
    """A retention period to set."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"kind": "payloads", "days": 30}]})

    kind: Kind = Field(
        description=(
            "`payloads`: inputs and results. `events`: what streams replay. `jobs`: the jobs themselves."
            " `ledger` and `audit`: their lines and records."
        )
    )
    days: Days | None = Field(description="Number of days. Null means forever.")
    scope: Literal["organization", "project"] = Field(
        "project", description="Applies to this project, or to every project without a period of its own."
    )
    data_class: DataClass | None = Field(
        None,
        description=(
            "Only with `payloads`: limit the period to jobs of this data class and above. The shortest period"
            " that applies to a job wins, so `days` must be a number."
        ),
    )


class RetentionPeriod(BaseModel):
    """How long this project keeps one kind of data."""

    kind: Kind
    days: int | None = Field(description="Null means forever.")
    source: Literal["project", "organization", "installation"] = Field(description="Where the period was set.")
    set_at: datetime | None = Field(description="Null for the installation's default.")
    data_class: DataClass | None = Field(
        description=(
            "The period applies to payloads of jobs of this data class and above. Null for all data of the kind."
        )
    )


class Retention(BaseModel):
    """The retention periods of a project."""

    data: list[RetentionPeriod] = Field(description="One period per kind, then those set for a data class.")


def to_wire(periods: list[PeriodRecord]) -> dict[str, Any]:
    """`periods` as the members of `Retention`."""
    return {
        "data": [
            {
                "kind": period.kind.value,
                "days": period.days,
                "source": period.source,
                "set_at": None if period.set_at is None else isoformat(period.set_at),
                "data_class": period.data_class,
            }
            for period in periods
        ]
    }
