"""Jobs, their events and their checkpoints, as stored. All three are partitioned by month on the job's UUIDv7.

No foreign key points at or out of these tables: partitions must be droppable, and a check per insert is paid on the
hottest path of the product. Ids come from an authenticated principal, and the invariant checks take the place of
foreign keys.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY, ENUM, JSON, JSONB, NUMERIC, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.jobs.conditions import ACTIVE, DUE, ENDED_EVENT, FAILED, IN_FLIGHT
from core.jobs.states import JobState
from core.kit.data_classes import DataClass
from core.kit.db import DATA_CLASS, Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)
_STATE = ENUM(JobState, name="job_state", values_callable=lambda states: [s.value for s in states], create_type=False)


class Job(Base):
    """One request for a capability, from acceptance to its end."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled', 'expired', 'rejected')) = (finished_at IS NOT NULL)",
            name="jobs_terminal_is_finished",
        ),
        CheckConstraint("(state = 'running') = (lease_expires_at IS NOT NULL)", name="jobs_running_has_lease"),
        CheckConstraint("state <> 'waiting' OR reason IN ('input', 'children', 'budget')", name="jobs_waiting_reason"),
        CheckConstraint("state NOT IN ('failed', 'rejected') OR reason IS NOT NULL", name="jobs_failed_reason"),
        CheckConstraint("result IS NULL OR result_ref IS NULL", name="jobs_result_once"),
        CheckConstraint("input IS NULL OR input_ref IS NULL", name="jobs_input_once"),
        CheckConstraint("max_cost_usd > 0", name="jobs_max_cost"),
        CheckConstraint("attempt >= 0", name="jobs_attempt"),
        CheckConstraint("max_attempts BETWEEN 1 AND 100", name="jobs_max_attempts"),
        CheckConstraint("priority BETWEEN 0 AND 2", name="jobs_priority"),
        CheckConstraint("event_last <= event_limit", name="jobs_event_ids"),
        Index("jobs_due", "pool", "priority", "project_id", "run_at", "id", postgresql_where=text(DUE)),
        # Every column that limits count by, so that counting is an index-only scan whatever the planner's estimate.
        Index("jobs_in_flight", "pool", "project_id", "organization_id", "key_id", postgresql_where=text(IN_FLIGHT)),
        Index("jobs_deadline", "deadline_at", postgresql_where=text(ACTIVE)),
        Index("jobs_unpaid", "pool", postgresql_where=text("state = 'waiting' AND reason = 'budget'")),
        Index("jobs_project", "project_id", "id"),
        Index("jobs_failed", "project_id", "id", postgresql_where=text(FAILED)),
        Index("jobs_batch", "batch_id", "id", postgresql_where=text("batch_id IS NOT NULL")),
        Index(
            "jobs_with_payload_of_class",
            "project_id",
            "data_class",
            "id",
            postgresql_where=text("finished_at IS NOT NULL AND payload_erased_at IS NULL"),
        ),
        Index("jobs_open_children", "pool", postgresql_where=text(f"parent_id IS NOT NULL AND {ACTIVE}")),
        Index(
            "jobs_stopping",
            "pool",
            postgresql_where=text("cancel_requested_at IS NOT NULL AND state IN ('queued', 'running')"),
        ),
        Index("jobs_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    key_id: Mapped[UUID | None]
    # The caller as audit records name it, for children too; None for the platform itself.
    submitted_by: Mapped[str | None] = mapped_column(TEXT)
    # A person's scopes at submission; a key's are read again.
    grants: Mapped[list[str] | None] = mapped_column(ARRAY(TEXT))
    capability: Mapped[str] = mapped_column(TEXT)
    pool: Mapped[str] = mapped_column(TEXT)
    state: Mapped[JobState] = mapped_column(_STATE, server_default=text("'queued'"))
    reason: Mapped[str | None] = mapped_column(TEXT)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))

    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    run_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    deadline_at: Mapped[datetime | None] = mapped_column(_TIME)
    dispatched_at: Mapped[datetime | None] = mapped_column(_TIME)
    started_at: Mapped[datetime | None] = mapped_column(_TIME)
    finished_at: Mapped[datetime | None] = mapped_column(_TIME)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(_TIME)

    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    # How many attempts failed. `attempt` also counts resumptions: it is a fence, not a failure count.
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    max_attempts: Mapped[int] = mapped_column(server_default=text("3"))
    # How many attempts ended because a dependency was unavailable. They fence like any other, and do not count as
    # failures.
    outages: Mapped[int] = mapped_column(server_default=text("0"))
    # Not indexed, so that a heartbeat stays a heap-only update; the sweep reads the few running rows instead.
    lease_expires_at: Mapped[datetime | None] = mapped_column(_TIME)
    worker: Mapped[str | None] = mapped_column(TEXT)

    parent_id: Mapped[UUID | None]
    root_id: Mapped[UUID | None]
    traceparent: Mapped[str | None] = mapped_column(TEXT)
    # A receiver that the client named for this job only: url, events, include_result.
    webhook: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))

    # Stored verbatim: nothing searches them (ADR 26).
    input: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    input_ref: Mapped[str | None] = mapped_column(TEXT)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    result_ref: Mapped[str | None] = mapped_column(TEXT)
    # The mark that discloses a machine-generated result; None where there is none.
    disclosure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    usage: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    cost_usd: Mapped[Decimal] = mapped_column(NUMERIC(18, 9), server_default=text("0"))
    max_cost_usd: Mapped[Decimal | None] = mapped_column(NUMERIC(18, 9))
    # When retention removed input and result; None while they are present.
    payload_erased_at: Mapped[datetime | None] = mapped_column(_TIME)
    # The experiment's arm of a shadow job; None for every job that a client requested.
    shadow_arm_id: Mapped[UUID | None]
    batch_id: Mapped[UUID | None]
    # The class in force, which only rises; and what the client declared, if it did.
    data_class: Mapped[DataClass] = mapped_column(DATA_CLASS, server_default=text("'internal'"))
    declared_class: Mapped[DataClass | None] = mapped_column(DATA_CLASS)
    # SHA-256 of the payloads' canonical JSON: proofs need it after the payloads are deleted.
    input_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    result_digest: Mapped[bytes | None] = mapped_column(LargeBinary)

    # event_last: id of the newest persisted event. event_limit: no id above it was ever published.
    event_last: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    event_limit: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))


class JobEvent(Base):
    """One persisted event. Ids rise within a job; `previous` is the one before, so a reader sees gaps."""

    __tablename__ = "job_events"
    __table_args__ = (
        Index("job_events_order", "organization_id", "position", "job_id", "id"),
        Index("job_events_ended", "position", "job_id", "id", postgresql_where=text(ENDED_EVENT)),
        {"postgresql_partition_by": "RANGE (job_id)"},
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    previous: Mapped[int] = mapped_column(BigInteger)
    organization_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(TEXT)
    attempt: Mapped[int]
    data: Mapped[dict[str, Any]] = mapped_column(JSON, server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    # Its position in the order of all events, assigned by a trigger (ADR 17).
    position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class EventCursor(Base):
    """The position that a reader of ended jobs has reached (`core.jobs.endings`)."""

    __tablename__ = "event_cursors"

    reader: Mapped[str] = mapped_column(TEXT, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, server_default=text("-1"))
    job_id: Mapped[UUID] = mapped_column(server_default=text("'00000000-0000-0000-0000-000000000000'"))
    event_id: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    moved_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class EventsDropped(Base):
    """The position up to which retention has dropped events; one row for each dropped partition."""

    __tablename__ = "job_events_dropped"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    dropped_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class JobCheckpoint(Base):
    """The state of a graph after a step, written by the attempt that owned the job."""

    __tablename__ = "job_checkpoints"
    __table_args__ = ({"postgresql_partition_by": "RANGE (job_id)"},)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(TEXT, primary_key=True)
    id: Mapped[str] = mapped_column(TEXT, primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(TEXT)
    organization_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(TEXT)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB)


class JobCheckpointWrite(Base):
    """The writes of one finished task of a step, stored so that a sibling's failure does not repeat it."""

    __tablename__ = "job_checkpoint_writes"
    __table_args__ = ({"postgresql_partition_by": "RANGE (job_id)"},)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(TEXT, primary_key=True)
    checkpoint_id: Mapped[str] = mapped_column(TEXT, primary_key=True)
    task_id: Mapped[str] = mapped_column(TEXT, primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organization_id: Mapped[UUID]
    channel: Mapped[str] = mapped_column(TEXT)
    kind: Mapped[str] = mapped_column(TEXT)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class JobFeedback(Base):
    """A rating of a job's result. One for each person or key; the last one counts."""

    __tablename__ = "job_feedback"
    __table_args__ = (CheckConstraint("score BETWEEN 0 AND 1", name="job_feedback_score"),)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    score: Mapped[Decimal] = mapped_column(NUMERIC(5, 4))
    comment: Mapped[str | None] = mapped_column(TEXT)
    given_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class JobArtifact(Base):
    """A file that a job produced. Rows are deleted with their job's payload, so the table is not partitioned."""

    __tablename__ = "job_artifacts"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    attempt: Mapped[int]
    content_type: Mapped[str] = mapped_column(TEXT)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(TEXT)
    blob_key: Mapped[str] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
