"""Jobs and events as plain data: services return these, so that no caller holds a live database object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from core.jobs.states import TERMINAL, JobState, Priority
from core.kit.data_classes import DataClass
from core.kit.errors import Unprocessable
from core.kit.money import ZERO


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job without its payloads, which may be large and are loaded separately."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    key_id: UUID | None
    capability: str
    pool: str
    state: JobState
    reason: str | None
    error: dict[str, Any] | None
    priority: int
    created_at: datetime
    run_at: datetime
    deadline_at: datetime | None
    dispatched_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    attempt: int
    failures: int
    max_attempts: int
    parent_id: UUID | None
    root_id: UUID | None
    traceparent: str | None
    metadata: dict[str, Any]
    usage: list[dict[str, Any]]
    cost_usd: Decimal
    max_cost_usd: Decimal | None
    event_last: int
    payload_erased_at: datetime | None = None
    # The experiment's arm that reruns what another job has answered, with the result discarded.
    shadow_arm_id: UUID | None = None
    # `core.webhooks.records.JobWebhook.as_json`: the receiver that the job names.
    webhook: dict[str, Any] | None = None
    # The key or person that made the request, as audit records name it; None for the platform itself.
    submitted_by: str | None = None
    # How many attempts did not count because a dependency was unavailable. `attempt` counts them too: it is the fence.
    outages: int = 0
    # `core.guard.disclosure.Mark.plain` of the result; None without a result, and where nothing was generated.
    disclosure: dict[str, Any] | None = None
    data_class: DataClass = DataClass.INTERNAL
    # The cost of the jobs below it, and whether all of it had a price; only reading a single job loads it.
    children_cost_usd: Decimal = ZERO
    children_are_priced: bool = True

    @property
    def is_priced(self) -> bool:
        """Whether each of its model calls had a price; calls without one are not in `cost_usd`."""
        return all(line.get("priced", True) for line in self.usage)

    @property
    def attempts_spent(self) -> int:
        """How many attempts were started, without those that do not count because of an outage."""
        return self.attempt - self.outages

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended; an ended job never changes again."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job. `previous` is the id of the persisted event before it; 0 for a live-only delta."""

    job_id: UUID
    id: int
    previous: int
    type: str
    attempt: int
    data: Mapping[str, Any]
    created_at: datetime

    @property
    def is_persisted(self) -> bool:
        """Whether Postgres holds this event."""
        return self.previous > 0 or self.id == 1

    @property
    def is_final(self) -> bool:
        """Whether nothing follows this event."""
        return self.type in FINAL_EVENTS


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt left its job. `usage` is empty unless requested."""

    state: JobState
    reason: str | None
    finished_at: datetime | None
    cost_usd: Decimal
    usage: Sequence[Mapping[str, Any]] = ()


FINAL_EVENTS = frozenset(f"job.{state}" for state in TERMINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A client's request, validated.

    `deadline_at` wins over `deadline_seconds`, which counts from submission, or from `run_at` when that is later.
    `reserve_usd` is set aside from every budget at submission; `max_cost_usd` is the amount that the job may never
    exceed. `needs` are the scopes that the caller must hold: `core.capability.Manifest.needs` of the input.
    """

    capability: str
    pool: str
    input: Mapping[str, Any]
    needs: frozenset[str] = frozenset()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    run_at: datetime | None = None
    deadline_at: datetime | None = None
    deadline_seconds: float | None = None
    max_attempts: int = 3
    reserve_usd: Decimal = ZERO
    max_cost_usd: Decimal | None = None
    traceparent: str | None = None
    parent_id: UUID | None = None
    root_id: UUID | None = None
    # `core.webhooks.records.JobWebhook.as_json`: a receiver for this job only.
    webhook: Mapping[str, Any] | None = None
    shadow_arm_id: UUID | None = None
    # The batch whose line this is.
    batch_id: UUID | None = None
    # The class that the client declares for its input, and that of the job it is submitted for; `internal` when neither
    # is set. The job's class is the highest of these and its project's.
    declared_class: DataClass | None = None
    inherited_class: DataClass | None = None


# The label with which a batch's line, or a request in a compatible API, declares the class of its input.
CLASS_LABEL = "data_class"


def declared_class(metadata: Mapping[str, str]) -> DataClass | None:
    """The class that the labels declare. Raises `Unprocessable` for an unknown class."""
    declared = metadata.get(CLASS_LABEL)
    try:
        return None if declared is None else DataClass(declared)
    except ValueError:
        message = f"metadata.{CLASS_LABEL} is one of {', '.join(DataClass)}"
        raise Unprocessable(message, code="data_class_unknown") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """The filter of a listing; an empty one matches every job that a client requested.

    `shadows`: instead, the jobs of experiments' shadow arms, which no client requested.
    """

    states: tuple[JobState, ...] = ()
    capability: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    shadows: bool = False
    reason: str | None = None
    # A model that one of its calls went to, by the name in its usage.
    model: str | None = None
    key_id: UUID | None = None
    min_cost_usd: Decimal | None = None
    # From its start to its end, or until now.
    min_seconds: float | None = None
    # A project of the organization, or all of them; None for the caller's own.
    project: UUID | Literal["all"] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job taken by a worker: the attempt that fences it, its input, and where its event ids start and end."""

    job: JobRecord
    input: dict[str, Any] | None
    input_ref: str | None
    event_id: int
    event_limit: int
    previous: int
    claimed_at: datetime
    key_id: UUID | None
    submitted_by: str | None
    grants: list[str] | None
    # The caller's details for `core.keys.authority`.
    standing: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class LeaseRenewal:
    """The result of a heartbeat for one held job."""

    job_id: UUID
    attempt: int
    cancel_requested: bool
    is_caller_gone: bool
