"""Questions and children, as stored. Both are partitioned by month on the UUIDv7 of the job they belong to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSON, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.jobs.conditions import OPEN_QUESTION
from core.kit.db import Base

_TIME = TIMESTAMP(timezone=True)


class JobQuestion(Base):
    """A job's question and its outcome. `value` is the JSON value null where that was the answer."""

    __tablename__ = "job_questions"
    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 200", name="job_questions_key"),
        CheckConstraint(
            "(answered_at IS NULL) = (value IS NULL) AND (answered_at IS NULL) = (answered_by IS NULL)",
            name="job_questions_answer",
        ),
        CheckConstraint("answered_at IS NULL OR timed_out_at IS NULL", name="job_questions_one_end"),
        CheckConstraint("approves IN ('write', 'money')", name="job_questions_approves"),
        Index("job_questions_due", "due_at", postgresql_where=text(OPEN_QUESTION)),
        {"postgresql_partition_by": "RANGE (job_id)"},
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    question: Mapped[str] = mapped_column(TEXT)
    schema: Mapped[dict[str, Any]] = mapped_column(JSON)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    # The effect that the answer permits: `write` or `money`; None for a question that is not an approval.
    approves: Mapped[str | None] = mapped_column(TEXT)
    asked_at: Mapped[datetime] = mapped_column(_TIME, server_default=text("now()"))
    due_at: Mapped[datetime] = mapped_column(_TIME)
    value: Mapped[Any | None] = mapped_column(JSON)
    answered_by: Mapped[str | None] = mapped_column(TEXT)
    answered_at: Mapped[datetime | None] = mapped_column(_TIME)
    timed_out_at: Mapped[datetime | None] = mapped_column(_TIME)


class JobChild(Base):
    """The child that a job's call became. `reported`: the parent's events report that it has ended."""

    __tablename__ = "job_children"
    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 200", name="job_children_key"),
        {"postgresql_partition_by": "RANGE (parent_id)"},
    )

    parent_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    child_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(Integer)
    reported: Mapped[bool] = mapped_column("told", Boolean, server_default=text("false"))
