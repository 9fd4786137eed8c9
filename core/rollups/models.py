"""Roll-ups as stored. Partitioned by month on the bucket; kept for 90 days (`core.rollups.collect.RETENTION_DAYS`)."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import ENUM, JSONB, NUMERIC, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.jobs.states import JobState
from core.kit.db import Base

_TIME = TIMESTAMP(timezone=True)
_USD: NUMERIC[Decimal] = NUMERIC(18, 9)
_STATE = ENUM(JobState, name="job_state", values_callable=lambda states: [s.value for s in states], create_type=False)
_ZERO = text("0")


class RollupPending(Base):
    """An item to add later: an ended job with open calls (entry 0), or a correction (its entry)."""

    __tablename__ = "rollup_pending"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, server_default=_ZERO)
    call: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, server_default=_ZERO)
    entry: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, server_default=_ZERO)
    organization_id: Mapped[UUID]


class JobRollup(Base):
    """Jobs that ended within a bucket, of a project or (`ALL_PROJECTS`) of the organization.

    `wait` and `duration` are sketches of seconds (`core.rollups.sketch`).
    """

    __tablename__ = "job_rollups"
    __table_args__ = (
        CheckConstraint("grain IN ('minute', 'hour', 'day')", name="job_rollups_grain"),
        {"postgresql_partition_by": "RANGE (bucket)"},
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    grain: Mapped[str] = mapped_column(TEXT, primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    bucket: Mapped[datetime] = mapped_column(_TIME, primary_key=True)
    capability: Mapped[str] = mapped_column(TEXT, primary_key=True)
    state: Mapped[str] = mapped_column(TEXT, primary_key=True)
    jobs: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(BigInteger)
    outages: Mapped[int] = mapped_column(BigInteger)
    cost_usd: Mapped[Decimal] = mapped_column(_USD)
    wait: Mapped[dict[str, Any]] = mapped_column(JSONB)
    duration: Mapped[dict[str, Any]] = mapped_column(JSONB)


class CallRollup(Base):
    """Model calls settled within a bucket, of jobs that have ended; of a project or of the organization.

    `duration` is a sketch of seconds.
    """

    __tablename__ = "call_rollups"
    __table_args__ = (
        CheckConstraint("grain IN ('minute', 'hour', 'day')", name="call_rollups_grain"),
        Index(
            "call_rollups_once",
            "organization_id",
            "grain",
            "project_id",
            "bucket",
            "key_id",
            "capability",
            "provider",
            "model",
            "model_version",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        {"postgresql_partition_by": "RANGE (bucket)"},
    )

    organization_id: Mapped[UUID] = mapped_column()
    grain: Mapped[str] = mapped_column(TEXT)
    bucket: Mapped[datetime] = mapped_column(_TIME)
    project_id: Mapped[UUID] = mapped_column()
    key_id: Mapped[UUID | None] = mapped_column()
    capability: Mapped[str] = mapped_column(TEXT)
    provider: Mapped[str] = mapped_column(TEXT)
    model: Mapped[str] = mapped_column(TEXT)
    model_version: Mapped[str | None] = mapped_column(TEXT)
    calls: Mapped[int] = mapped_column(BigInteger)
    estimated_calls: Mapped[int] = mapped_column(BigInteger)
    lost_calls: Mapped[int] = mapped_column(BigInteger)
    unpriced_calls: Mapped[int] = mapped_column(BigInteger)
    amount_usd: Mapped[Decimal] = mapped_column(_USD)
    quantities: Mapped[dict[str, Any]] = mapped_column(JSONB)
    duration: Mapped[dict[str, Any]] = mapped_column(JSONB)
    # Keys and versions may be null, so Postgres has the unique index only.
    __mapper_args__ = {  # noqa: RUF012 - as SQLAlchemy wants it
        "primary_key": (
            organization_id,
            grain,
            bucket,
            project_id,
            key_id,
            capability,
            provider,
            model,
            model_version,
        )
    }


class JobCostRollup(Base):
    """The cost of jobs with everything below them, by day; `cost` is a sketch of US dollars.

    `model` is the one with most of the job's cost (empty: no model was called); `size_band` is the binary logarithm of
    the input's length in bytes.
    """

    __tablename__ = "job_cost_rollups"
    __table_args__ = ({"postgresql_partition_by": "RANGE (bucket)"},)

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    capability: Mapped[str] = mapped_column(TEXT, primary_key=True)
    bucket: Mapped[datetime] = mapped_column(_TIME, primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(TEXT, primary_key=True)
    size_band: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    jobs: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[dict[str, Any]] = mapped_column(JSONB)


class JobBacklog(Base):
    """Jobs of a project that have not ended, as last counted."""

    __tablename__ = "job_backlog"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    capability: Mapped[str] = mapped_column(TEXT, primary_key=True)
    state: Mapped[JobState] = mapped_column(_STATE, primary_key=True)
    jobs: Mapped[int] = mapped_column(BigInteger)
    oldest_at: Mapped[datetime] = mapped_column(_TIME)
    counted_at: Mapped[datetime] = mapped_column(_TIME)
