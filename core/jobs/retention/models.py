"""Retention policies, as stored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.data_classes import DataClass
from core.kit.db import DATA_CLASS, Base


class RetentionPolicy(Base):
    """How many days an organization, or one of its projects, keeps one kind of data; no number means forever."""

    __tablename__ = "retention_policies"
    __table_args__ = (
        CheckConstraint("kind IN ('payloads', 'events', 'jobs', 'ledger', 'audit')", name="retention_policies_kind"),
        CheckConstraint("days BETWEEN 1 AND 36500", name="retention_policies_days"),
        ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["projects.organization_id", "projects.id"],
            name="retention_policies_project",
        ),
        Index(
            "retention_policies_once",
            "organization_id",
            "kind",
            "project_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(TEXT)
    days: Mapped[int | None]
    set_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))


class RetentionClassPolicy(Base):
    """How many days an organization, or one of its projects, keeps the payloads of jobs of a class and above."""

    __tablename__ = "retention_class_policies"
    __table_args__ = (
        CheckConstraint("days BETWEEN 1 AND 36500", name="retention_class_policies_days"),
        ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["projects.organization_id", "projects.id"],
            name="retention_class_policies_project",
        ),
        Index(
            "retention_class_policies_once",
            "organization_id",
            "data_class",
            "project_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID | None]
    data_class: Mapped[DataClass] = mapped_column(DATA_CLASS)
    days: Mapped[int]
    set_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
