"""Limits and their usage, as stored. Only ``sql/limits.sql`` writes usage."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import NUMERIC, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)


class Limit(Base):
    """How much of something an organization, a project or a key may have; `value` is US dollars for ``cost_per_…``."""

    __tablename__ = "limits"
    __table_args__ = (
        CheckConstraint("scope IN ('organization', 'project', 'key')", name="limits_scope"),
        CheckConstraint(
            "kind IN ('requests_per_minute', 'tokens_per_minute', 'concurrent_jobs', 'jobs_per_day',"
            " 'jobs_per_month', 'tokens_per_day', 'tokens_per_month', 'cost_per_day', 'cost_per_month')",
            name="limits_kind",
        ),
        CheckConstraint("value >= 0", name="limits_value"),
        CheckConstraint(
            "(scope = 'organization') = (scope_id = organization_id)", name="limits_organization_is_its_own_scope"
        ),
        CheckConstraint(
            "kind NOT IN ('requests_per_minute', 'tokens_per_minute') OR value >= 1",
            name="limits_rate_lets_something_pass",
        ),
        Index("limits_once", "organization_id", "scope_id", "kind", unique=True),
        Index("limits_concurrency", "scope_id", postgresql_where=text("kind = 'concurrent_jobs'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    scope: Mapped[str] = mapped_column(TEXT)
    scope_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(TEXT)
    value: Mapped[Decimal] = mapped_column(NUMERIC(21, 9))
    updated_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class QuotaUsage(Base):
    """The use within a period of a quota, or the level of a bucket at `updated_at`."""

    __tablename__ = "quota_usage"
    __table_args__ = (Index("quota_usage_period", "period_start"),)

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    scope_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(TEXT, primary_key=True)
    period_start: Mapped[datetime] = mapped_column(_TIME, primary_key=True)
    used: Mapped[Decimal] = mapped_column(NUMERIC(30, 9), server_default=text("0"))
    updated_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
