"""Batches and their lines, as stored."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, NUMERIC, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)
_USD: NUMERIC[Decimal] = NUMERIC(18, 9)
_ZERO = text("0")


class BatchRow(Base):
    """A batch. Its counts and its cost cover settled lines; those of live lines are read from their jobs."""

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(
            "state IN ('validating', 'in_progress', 'finalizing', 'completed', 'failed', 'cancelling', 'cancelled',"
            " 'expired')",
            name="batches_state",
        ),
        CheckConstraint("outcome IN ('completed', 'cancelled', 'expired')", name="batches_outcome"),
        CheckConstraint("priority BETWEEN 0 AND 2", name="batches_priority"),
        CheckConstraint("max_cost_usd > 0", name="batches_max_cost"),
        CheckConstraint("max_line_cost_usd > 0", name="batches_max_line_cost"),
        CheckConstraint(
            "(state IN ('completed', 'failed', 'cancelled', 'expired')) = (finished_at IS NOT NULL)",
            name="batches_finished",
        ),
        CheckConstraint("succeeded + failed + cancelled + expired <= total", name="batches_settled"),
        ForeignKeyConstraint(
            ["organization_id", "project_id"], ["projects.organization_id", "projects.id"], name="batches_project"
        ),
        Index("batches_of_project", "project_id", "id"),
        Index("batches_open", "state", "id", postgresql_where=text("finished_at IS NULL")),
        Index(
            "batches_with_payload",
            "project_id",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL AND payload_erased_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID]
    key_id: Mapped[UUID | None]
    # As for jobs: the caller, and a person's scopes.
    submitted_by: Mapped[str | None] = mapped_column(TEXT)
    grants: Mapped[list[str] | None] = mapped_column(ARRAY(TEXT))
    state: Mapped[str] = mapped_column(TEXT)
    outcome: Mapped[str | None] = mapped_column(TEXT)
    capability: Mapped[str | None] = mapped_column(TEXT)
    allowed: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    priority: Mapped[int] = mapped_column(SmallInteger)
    max_cost_usd: Mapped[Decimal | None] = mapped_column(_USD)
    max_line_cost_usd: Mapped[Decimal | None] = mapped_column(_USD)
    deadline_at: Mapped[datetime | None] = mapped_column(_TIME)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    webhook: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    input_file_id: Mapped[UUID | None]
    total: Mapped[int] = mapped_column(server_default=_ZERO)
    succeeded: Mapped[int] = mapped_column(server_default=_ZERO)
    failed: Mapped[int] = mapped_column(server_default=_ZERO)
    cancelled: Mapped[int] = mapped_column(server_default=_ZERO)
    expired: Mapped[int] = mapped_column(server_default=_ZERO)
    cost_usd: Mapped[Decimal] = mapped_column(_USD, server_default=_ZERO)
    priced: Mapped[bool] = mapped_column(server_default=text("true"))
    errors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    bad_lines: Mapped[int] = mapped_column(server_default=_ZERO)
    delayed_reason: Mapped[str | None] = mapped_column(TEXT)
    next_feed_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    results_file_id: Mapped[UUID | None]
    results_sha256: Mapped[str | None] = mapped_column(TEXT)
    results_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    traceparent: Mapped[str | None] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    started_at: Mapped[datetime | None] = mapped_column(_TIME)
    finished_at: Mapped[datetime | None] = mapped_column(_TIME)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(_TIME)
    payload_erased_at: Mapped[datetime | None] = mapped_column(_TIME)


class BatchLineRow(Base):
    """A line: queued, then live while a job works on it, then settled."""

    __tablename__ = "batch_lines"
    __table_args__ = (
        CheckConstraint("line >= 1", name="batch_lines_line"),
        CheckConstraint(
            "state IN ('queued', 'live', 'succeeded', 'failed', 'cancelled', 'expired')", name="batch_lines_state"
        ),
        CheckConstraint(
            "CASE state WHEN 'queued' THEN job_id IS NULL WHEN 'live' THEN job_id IS NOT NULL ELSE true END",
            name="batch_lines_job",
        ),
        Index("batch_lines_custom_id", "batch_id", "custom_id", unique=True),
        Index("batch_lines_of_job", "job_id", unique=True, postgresql_where=text("job_id IS NOT NULL")),
        Index("batch_lines_queued", "batch_id", "line", postgresql_where=text("state = 'queued'")),
        Index("batch_lines_live", "batch_id", "line", postgresql_where=text("state = 'live'")),
    )

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    custom_id: Mapped[str] = mapped_column(TEXT)
    capability: Mapped[str] = mapped_column(TEXT)
    input: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB(none_as_null=True))
    state: Mapped[str] = mapped_column(TEXT, server_default=text("'queued'"))
    job_id: Mapped[UUID | None]
    cap_usd: Mapped[Decimal | None] = mapped_column(_USD)
    cost_usd: Mapped[Decimal] = mapped_column(_USD, server_default=_ZERO)
    priced: Mapped[bool] = mapped_column(server_default=text("true"))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
