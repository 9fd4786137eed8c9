"""Guard policies and reviewed findings, as stored."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)


class GuardPolicyVersion(Base):
    """A version of the policy of an organization, or of one of its projects. It never changes."""

    __tablename__ = "guard_policies"
    __table_args__ = (
        CheckConstraint("version >= 1", name="guard_policies_version"),
        CheckConstraint("jsonb_typeof(document) = 'object'", name="guard_policies_document"),
        ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["projects.organization_id", "projects.id"],
            name="guard_policies_project",
        ),
        Index(
            "guard_policies_once",
            "organization_id",
            "project_id",
            "version",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID | None]
    version: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    created_by: Mapped[str | None] = mapped_column(TEXT)


class GuardReview(Base):
    """A person's review of a finding. `value` is sealed for the row, and null once the job's payloads are deleted."""

    __tablename__ = "guard_reviews"
    __table_args__ = (
        CheckConstraint("kind ~ '^[a-z][a-z0-9_]{0,39}$'", name="guard_reviews_kind"),
        CheckConstraint("length(value) <= 4096", name="guard_reviews_value"),
        CheckConstraint("verdict IN ('false_positive', 'correct')", name="guard_reviews_verdict"),
        CheckConstraint("verdict = 'false_positive' OR NOT is_allowed", name="guard_reviews_allows_false_positives"),
        ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["projects.organization_id", "projects.id"],
            name="guard_reviews_project",
        ),
        Index("guard_reviews_organization", "organization_id", "id"),
        Index("guard_reviews_job", "job_id", postgresql_where=text("value IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(TEXT)
    value: Mapped[bytes | None] = mapped_column(BYTEA)
    verdict: Mapped[str] = mapped_column(TEXT)
    is_allowed: Mapped[bool] = mapped_column(server_default=text("false"))
    reviewed_by: Mapped[str | None] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
