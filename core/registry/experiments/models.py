"""Experiments as stored. An arm's versions, an allocation and an exposure are written once."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, NUMERIC, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)
_SHARE: NUMERIC[Decimal] = NUMERIC(9, 8)
_AUDIENCE = ("organization_id", "capability", "project_id")


class ExperimentRow(Base):
    """A comparison of arms for a capability and an audience."""

    __tablename__ = "experiments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "project_id"], ["projects.organization_id", "projects.id"], name="experiments_project"
        ),
        CheckConstraint("length(capability) BETWEEN 3 AND 200", name="experiments_capability"),
        CheckConstraint("length(name) BETWEEN 1 AND 200", name="experiments_name_length"),
        CheckConstraint("unit IN ('job', 'end_user', 'key', 'project')", name="experiments_unit"),
        CheckConstraint(
            "state IN ('draft', 'running', 'paused', 'promoted', 'rolled_back', 'stopped')", name="experiments_state"
        ),
        CheckConstraint("octet_length(salt) = 32", name="experiments_salt"),
        CheckConstraint("share > 0 AND share <= 1", name="experiments_share"),
        CheckConstraint("allocation >= 0", name="experiments_allocation"),
        CheckConstraint("(state = 'promoted') <= (promoted_arm_id IS NOT NULL)", name="experiments_promoted_arm"),
        CheckConstraint("(state IN ('draft', 'stopped')) OR started_at IS NOT NULL", name="experiments_started"),
        Index("experiments_name", "organization_id", "name", unique=True),
        Index(
            "experiments_one_at_a_time",
            *_AUDIENCE,
            unique=True,
            postgresql_where=text("state IN ('running', 'paused', 'promoted')"),
            postgresql_nulls_not_distinct=True,
        ),
        Index("experiments_due", "evaluate_after", postgresql_where=text("state = 'running'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID | None]
    capability: Mapped[str] = mapped_column(TEXT)
    name: Mapped[str] = mapped_column(TEXT)
    unit: Mapped[str] = mapped_column(TEXT)
    state: Mapped[str] = mapped_column(TEXT, server_default=text("'draft'"))
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    plan: Mapped[dict[str, Any]] = mapped_column(JSONB)
    guardrails: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    ramp: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    canary: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    shadow: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    share: Mapped[Decimal] = mapped_column(_SHARE, server_default=text("1"))
    allocation: Mapped[int] = mapped_column(server_default=text("0"))
    promoted_arm_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    started_at: Mapped[datetime | None] = mapped_column(_TIME)
    ended_at: Mapped[datetime | None] = mapped_column(_TIME)
    evaluate_after: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class ExperimentArmRow(Base):
    """One of the versions under test. The model and prompt versions are the registry's; nothing here changes them."""

    __tablename__ = "experiment_arms"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="experiment_arms_name_length"),
        CheckConstraint("kind IN ('control', 'treatment', 'shadow')", name="experiment_arms_kind"),
        CheckConstraint("weight > 0 AND weight <= 1", name="experiment_arms_weight"),
        CheckConstraint("(model IS NULL) = (model_version_id IS NULL)", name="experiment_arms_model"),
        CheckConstraint("(prompt IS NULL) = (prompt_digest IS NULL)", name="experiment_arms_prompt"),
        UniqueConstraint("experiment_id", "name", name="experiment_arms_name"),
        UniqueConstraint("experiment_id", "position", name="experiment_arms_position"),
        Index("experiment_arms_one_control", "experiment_id", unique=True, postgresql_where=text("kind = 'control'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id"))
    organization_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str] = mapped_column(TEXT)
    kind: Mapped[str] = mapped_column(TEXT)
    weight: Mapped[Decimal] = mapped_column(_SHARE)
    model: Mapped[str | None] = mapped_column(TEXT)
    model_version_id: Mapped[UUID | None]
    prompt: Mapped[str | None] = mapped_column(TEXT)
    prompt_digest: Mapped[str | None] = mapped_column(TEXT)


class ExperimentAllocation(Base):
    """The weights in force since `began_at`, by the id of the arm."""

    __tablename__ = "experiment_allocations"

    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organization_id: Mapped[UUID]
    share: Mapped[Decimal] = mapped_column(_SHARE)
    weights: Mapped[dict[str, float]] = mapped_column(JSONB)
    began_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class ExperimentExposure(Base):
    """A job that took part: the arm and allocation of its unit's first exposure."""

    __tablename__ = "experiment_exposures"
    __table_args__ = (
        Index("experiment_exposures_unit", "experiment_id", "unit_digest", "exposed_at"),
        Index("experiment_exposures_job", "job_id"),
    )

    experiment_id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    arm_id: Mapped[UUID]
    allocation: Mapped[int]
    unit_digest: Mapped[bytes] = mapped_column(LargeBinary)
    exposed_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class ShadowRun(Base):
    """A job that an arm is to repeat with its result discarded; once, as the key enforces."""

    __tablename__ = "shadow_runs"
    __table_args__ = (
        CheckConstraint("state IN ('due', 'started', 'dropped')", name="shadow_runs_state"),
        CheckConstraint("(state = 'started') = (shadow_job_id IS NOT NULL)", name="shadow_runs_started"),
        CheckConstraint("(state = 'dropped') = (reason IS NOT NULL)", name="shadow_runs_dropped"),
        Index("shadow_runs_due", "made_at", postgresql_where=text("state = 'due'")),
        Index("shadow_runs_experiment", "experiment_id", "state"),
    )

    arm_id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    experiment_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(TEXT, server_default=text("'due'"))
    reason: Mapped[str | None] = mapped_column(TEXT)
    shadow_job_id: Mapped[UUID | None]
    made_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
