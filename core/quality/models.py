"""Signals, their sums, and alerts, as stored. No foreign keys: partitions of jobs must be droppable."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Float, Index, LargeBinary, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, TEXT, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)
_FLOAT = Float(53)


class QualitySignal(Base):
    """One signal of one job. Only numbers: never any text of a job."""

    __tablename__ = "quality_signals"
    __table_args__ = (
        CheckConstraint("signal ~ '^[a-z_]{1,40}$'", name="quality_signals_signal"),
        CheckConstraint("denominator > 0", name="quality_signals_denominator"),
        Index("quality_signals_series", "organization_id", "capability", "signal", "ended_at"),
        {"postgresql_partition_by": "RANGE (job_id)"},
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    signal: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    capability: Mapped[str] = mapped_column(TEXT)
    model_version: Mapped[str] = mapped_column(TEXT)
    prompt_version: Mapped[str] = mapped_column(TEXT)
    arm_id: Mapped[UUID | None]
    is_shadow: Mapped[bool]
    numerator: Mapped[float] = mapped_column(_FLOAT)
    denominator: Mapped[float] = mapped_column(_FLOAT)
    ended_at: Mapped[datetime] = mapped_column(_TIME)


class QualityInput(Base):
    """The words of an input, as a histogram of hashes; deleted with the payload."""

    __tablename__ = "quality_inputs"
    __table_args__ = (
        CheckConstraint("octet_length(words) = 512", name="quality_inputs_words"),
        Index("quality_inputs_series", "organization_id", "capability", "ended_at", "job_id"),
        {"postgresql_partition_by": "RANGE (job_id)"},
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    capability: Mapped[str] = mapped_column(TEXT)
    words: Mapped[bytes] = mapped_column(LargeBinary)
    ended_at: Mapped[datetime] = mapped_column(_TIME)


class QualityHour(Base):
    """Sums over the jobs that ended within an hour: of 1, n, y, y², n y and n²."""

    __tablename__ = "quality_hours"
    __table_args__ = (Index("quality_hours_age", "hour"),)

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    capability: Mapped[str] = mapped_column(TEXT, primary_key=True)
    signal: Mapped[str] = mapped_column(TEXT, primary_key=True)
    hour: Mapped[datetime] = mapped_column(_TIME, primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    model_version: Mapped[str] = mapped_column(TEXT, primary_key=True)
    prompt_version: Mapped[str] = mapped_column(TEXT, primary_key=True)
    jobs: Mapped[int] = mapped_column(BigInteger)
    denominators: Mapped[float] = mapped_column(_FLOAT)
    numerators: Mapped[float] = mapped_column(_FLOAT)
    numerators_squared: Mapped[float] = mapped_column(_FLOAT)
    products: Mapped[float] = mapped_column(_FLOAT)
    denominators_squared: Mapped[float] = mapped_column(_FLOAT)


class QualityPending(Base):
    """A job that was rated since its signals were written."""

    __tablename__ = "quality_pending"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    noted_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class QualityStream(Base):
    """One signal of one version: its baseline, and the statistics that detect a change."""

    __tablename__ = "quality_streams"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    capability: Mapped[str] = mapped_column(TEXT, primary_key=True)
    signal: Mapped[str] = mapped_column(TEXT, primary_key=True)
    model_version: Mapped[str] = mapped_column(TEXT, primary_key=True)
    state: Mapped[dict[str, Any]] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class QualityAlert(Base):
    """A change of a version's signal. At most one unclosed alert for each."""

    __tablename__ = "quality_alerts"
    __table_args__ = (
        CheckConstraint("direction IN ('lower', 'higher', 'drift')", name="quality_alerts_direction"),
        CheckConstraint("state IN ('open', 'acknowledged', 'closed')", name="quality_alerts_state"),
        CheckConstraint("cardinality(job_ids) <= 10", name="quality_alerts_cases"),
        CheckConstraint("length(reason) <= 1000", name="quality_alerts_reason"),
        CheckConstraint("state <> 'acknowledged' OR acknowledged_at IS NOT NULL", name="quality_alerts_acknowledged"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="quality_alerts_closed"),
        Index(
            "quality_alerts_one_at_a_time",
            "organization_id",
            "capability",
            "signal",
            "model_version",
            unique=True,
            postgresql_where=text("state <> 'closed'"),
        ),
        Index("quality_alerts_of_organization", "organization_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    capability: Mapped[str] = mapped_column(TEXT)
    model_version: Mapped[str] = mapped_column(TEXT)
    signal: Mapped[str] = mapped_column(TEXT)
    direction: Mapped[str] = mapped_column(TEXT)
    is_worse: Mapped[bool]
    state: Mapped[str] = mapped_column(TEXT, server_default=text("'open'"))
    baseline_version: Mapped[str] = mapped_column(TEXT)
    baseline_mean: Mapped[float | None] = mapped_column(_FLOAT)
    baseline_jobs: Mapped[int] = mapped_column(BigInteger)
    observed_mean: Mapped[float | None] = mapped_column(_FLOAT)
    observed_jobs: Mapped[int] = mapped_column(BigInteger)
    evidence: Mapped[float] = mapped_column(_FLOAT)
    threshold: Mapped[float] = mapped_column(_FLOAT)
    began_at: Mapped[datetime] = mapped_column(_TIME)
    raised_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    job_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID(as_uuid=True)))
    acknowledged_by: Mapped[str | None] = mapped_column(TEXT)
    acknowledged_at: Mapped[datetime | None] = mapped_column(_TIME)
    closed_by: Mapped[str | None] = mapped_column(TEXT)
    closed_at: Mapped[datetime | None] = mapped_column(_TIME)
    reason: Mapped[str | None] = mapped_column(TEXT)


class QualityAnnotation(Base):
    """A job that people are asked to label; it leaves the queue with its last required label."""

    __tablename__ = "quality_annotations"
    __table_args__ = (
        CheckConstraint("how IN ('random', 'uncertain', 'named')", name="quality_annotations_how"),
        CheckConstraint("labels_wanted BETWEEN 1 AND 5", name="quality_annotations_wanted"),
        CheckConstraint("labels >= 0", name="quality_annotations_labels"),
        Index(
            "quality_annotations_open",
            "project_id",
            "created_at",
            "job_id",
            postgresql_where=text("labels < labels_wanted"),
        ),
        Index("quality_annotations_of_project", "project_id", "created_at", "job_id"),
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    capability: Mapped[str] = mapped_column(TEXT)
    how: Mapped[str] = mapped_column(TEXT)
    labels_wanted: Mapped[int] = mapped_column(SmallInteger)
    labels: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    created_by: Mapped[str | None] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class QualityLabel(Base):
    """A label of a result by a person or key. The correct result and the note are deleted with the payload."""

    __tablename__ = "quality_labels"
    __table_args__ = (
        CheckConstraint("verdict IN ('good', 'bad', 'unsure')", name="quality_labels_verdict"),
        CheckConstraint("length(note) <= 4000", name="quality_labels_note"),
        Index("quality_labels_of_project", "project_id", "capability", "labeled_at"),
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    labeler: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    capability: Mapped[str] = mapped_column(TEXT)
    is_judge: Mapped[bool]
    verdict: Mapped[str] = mapped_column(TEXT)
    expected: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    note: Mapped[str | None] = mapped_column(TEXT)
    labeled_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class QualityRun(Base):
    """The result of running a data set at one model version: how many cases were as expected."""

    __tablename__ = "quality_runs"
    __table_args__ = (
        CheckConstraint("length(dataset) BETWEEN 1 AND 200", name="quality_runs_dataset"),
        CheckConstraint("dataset_digest ~ '^sha256:[0-9a-f]{64}$'", name="quality_runs_digest"),
        CheckConstraint("0 <= passed AND passed <= checked AND checked <= cases", name="quality_runs_counts"),
        Index("quality_runs_once", "batch_id", "dataset_digest", unique=True),
        Index("quality_runs_of_version", "organization_id", "model_version", "dataset", "recorded_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    batch_id: Mapped[UUID]
    dataset: Mapped[str] = mapped_column(TEXT)
    dataset_digest: Mapped[str] = mapped_column(TEXT)
    model_version: Mapped[str] = mapped_column(TEXT)
    cases: Mapped[int]
    checked: Mapped[int]
    passed: Mapped[int]
    recorded_by: Mapped[str | None] = mapped_column(TEXT)
    recorded_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class QualityGate(Base):
    """The requirements for a version of a model to be promoted."""

    __tablename__ = "quality_gates"
    __table_args__ = (
        CheckConstraint("length(dataset) BETWEEN 1 AND 200", name="quality_gates_dataset"),
        CheckConstraint("min_share BETWEEN 0 AND 1", name="quality_gates_share"),
        CheckConstraint("min_cases >= 1", name="quality_gates_cases"),
        Index("quality_gates_of_organization", "organization_id", "model_id"),
    )

    model_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    dataset: Mapped[str] = mapped_column(TEXT)
    min_share: Mapped[float] = mapped_column(_FLOAT)
    min_cases: Mapped[int]
    set_by: Mapped[str | None] = mapped_column(TEXT)
    set_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
