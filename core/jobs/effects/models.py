"""Effects, as stored: partitioned by month on the UUIDv7 of the job they belong to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Integer, text
from sqlalchemy.dialects.postgresql import JSON, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_TIME = TIMESTAMP(timezone=True)


class JobEffect(Base):
    """A call with an effect: the row is its intent, `outcome` its receipt. Without one the effect may have happened."""

    __tablename__ = "job_effects"
    __table_args__ = (
        CheckConstraint("length(call) BETWEEN 1 AND 400", name="job_effects_call"),
        CheckConstraint("effect IN ('write', 'money')", name="job_effects_effect"),
        CheckConstraint("(outcome IS NULL) = (settled_at IS NULL)", name="job_effects_settled"),
        {"postgresql_partition_by": "RANGE (job_id)"},
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    # The step, and the call within it: ``step:call``.
    call: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    operation: Mapped[str] = mapped_column(TEXT)
    tool: Mapped[str] = mapped_column(TEXT)
    server: Mapped[str] = mapped_column(TEXT)
    effect: Mapped[str] = mapped_column(TEXT)
    arguments_digest: Mapped[str] = mapped_column(TEXT)
    # The attempt that made the call last, how often it was made, and when.
    attempt: Mapped[int] = mapped_column(Integer)
    tries: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    tried_at: Mapped[datetime] = mapped_column(_TIME, server_default=text("now()"))
    asked_at: Mapped[datetime | None] = mapped_column(_TIME)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    settled_at: Mapped[datetime | None] = mapped_column(_TIME)
