"""Retention as plain data: kinds of data, their retention periods, and the result of a run."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from core.kit.data_classes import DataClass
from core.kit.settings import Settings

DAYS_MAX = 36_500

Source = Literal["project", "organization", "installation"]


class Kind(StrEnum):
    """A kind of data with its own retention period."""

    PAYLOADS = "payloads"
    EVENTS = "events"
    JOBS = "jobs"
    LEDGER = "ledger"
    AUDIT = "audit"


# Payloads are blanked row by row, project by project; everything else is dropped by the month, once it is past every
# retention period.
PARTITIONED = {
    Kind.EVENTS: ("job_events", "webhook_attempts", "webhook_deliveries"),
    Kind.PAYLOADS: ("job_checkpoint_writes", "job_checkpoints", "job_questions", "job_effects", "quality_inputs"),
    Kind.LEDGER: ("ledger_entries",),
    Kind.JOBS: ("job_children", "quality_signals", "jobs"),
    Kind.AUDIT: ("audit_records",),
}


@dataclass(frozen=True, slots=True)
class RetentionPeriod:
    """How long a project keeps one kind of data, and where that is set; no number of days means forever.

    With a `data_class` it applies to payloads of jobs of that class and above, and only where it is the shortest.
    """

    kind: Kind
    days: int | None
    source: Source
    set_at: datetime | None = None
    data_class: DataClass | None = None


@dataclass(frozen=True, slots=True)
class DuePayload:
    """An ended job whose payload is past its retention period, and whether blobs may belong to it."""

    job_id: UUID
    organization_id: UUID
    data_class: DataClass
    may_have_blobs: bool


@dataclass(slots=True)
class Run:
    """What one run removed: jobs whose payload was blanked, by organization, and partitions by name."""

    blanked: dict[UUID, int] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    is_complete: bool = True


def default_days(settings: Settings) -> dict[Kind, int | None]:
    """The installation's retention periods."""
    return {
        Kind.PAYLOADS: settings.retention_payload_days,
        Kind.EVENTS: settings.retention_event_days,
        Kind.JOBS: settings.retention_job_days,
        Kind.LEDGER: settings.retention_ledger_days,
        Kind.AUDIT: settings.retention_audit_days,
    }
