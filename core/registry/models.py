"""The registry's tables. Rows without an organization are shared: all read them, only the operator writes them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_ID = text("uuidv7()")
_NOW = text("now()")
_CLOCK = text("clock_timestamp()")
_TIME = TIMESTAMP(timezone=True)
_TEXTS = text("'{}'")


class ModelRow(Base):
    """A model: its name and its owner."""

    __tablename__ = "models"
    __table_args__ = (
        UniqueConstraint("organization_id", "id", name="models_organization_id"),
        Index("models_organization_name", "organization_id", "name", unique=True, postgresql_nulls_not_distinct=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_ID)
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(TEXT)
    description: Mapped[str] = mapped_column(TEXT, server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class ModelVersionRow(Base):
    """The content of a version; never changed."""

    __tablename__ = "model_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "model_id"],
            ["models.organization_id", "models.id"],
            name="model_versions_model_of_organization",
        ),
        UniqueConstraint("model_id", "number", name="model_versions_number"),
        UniqueConstraint("model_id", "id", name="model_versions_model_id"),
        UniqueConstraint("organization_id", "id", name="model_versions_organization_id"),
        CheckConstraint("number >= 1", name="model_versions_number_positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_ID)
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"))
    organization_id: Mapped[UUID | None]
    number: Mapped[int] = mapped_column(Integer)
    provider: Mapped[str] = mapped_column(TEXT)
    deployment: Mapped[str] = mapped_column(TEXT)
    provider_model: Mapped[str] = mapped_column(TEXT)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_TEXTS)
    context_window: Mapped[int | None] = mapped_column(BigInteger)
    max_output_tokens: Mapped[int | None] = mapped_column(BigInteger)
    abilities: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=_TEXTS)
    price_provider: Mapped[str] = mapped_column(TEXT)
    price_model: Mapped[str] = mapped_column(TEXT)
    data_class_ceiling: Mapped[str] = mapped_column(TEXT)
    regions: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=_TEXTS)
    prompt_set: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=_TEXTS)
    fallbacks: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=_TEXTS)
    digest: Mapped[str] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class ModelStageRow(Base):
    """The current stage of a version; one champion per model."""

    __tablename__ = "model_stages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model_id", "version_id"],
            ["model_versions.model_id", "model_versions.id"],
            name="model_stages_version_of_model",
        ),
        ForeignKeyConstraint(
            ["organization_id", "version_id"],
            ["model_versions.organization_id", "model_versions.id"],
            name="model_stages_version_of_organization",
        ),
        Index("model_stages_champion", "model_id", unique=True, postgresql_where=text("stage = 'champion'")),
    )

    version_id: Mapped[UUID] = mapped_column(primary_key=True)
    model_id: Mapped[UUID]
    organization_id: Mapped[UUID | None]
    stage: Mapped[str] = mapped_column(TEXT)


class ModelStageChangeRow(Base):
    """The history of stages; never changed. `number` counts a model's changes."""

    __tablename__ = "model_stage_changes"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model_id", "model_version_id"],
            ["model_versions.model_id", "model_versions.id"],
            name="model_stage_changes_version_of_model",
        ),
        ForeignKeyConstraint(
            ["organization_id", "model_version_id"],
            ["model_versions.organization_id", "model_versions.id"],
            name="model_stage_changes_version_of_organization",
        ),
        UniqueConstraint("model_id", "number", name="model_stage_changes_number"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_ID)
    model_id: Mapped[UUID]
    model_version_id: Mapped[UUID]
    organization_id: Mapped[UUID | None]
    number: Mapped[int] = mapped_column(Integer)
    stage: Mapped[str] = mapped_column(TEXT)
    cause: Mapped[str] = mapped_column(TEXT)
    reason: Mapped[str] = mapped_column(TEXT, server_default=text("''"))
    actor_kind: Mapped[str] = mapped_column(TEXT)
    actor_id: Mapped[str | None] = mapped_column(TEXT)
    changed_at: Mapped[datetime] = mapped_column(_TIME, server_default=_CLOCK)


class ModelAliasRow(Base):
    """A name for a model, in an organization, a project of it, or one capability there."""

    __tablename__ = "model_aliases"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["projects.organization_id", "projects.id"],
            name="model_aliases_project_of_organization",
        ),
        ForeignKeyConstraint(
            ["model_id", "model_version_id"],
            ["model_versions.model_id", "model_versions.id"],
            name="model_aliases_version_of_model",
        ),
        Index(
            "model_aliases_once",
            "organization_id",
            "project_id",
            "capability",
            "alias",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("model_aliases_model", "model_id"),
        CheckConstraint("project_id IS NULL OR organization_id IS NOT NULL", name="model_aliases_project"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_ID)
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID | None]
    capability: Mapped[str | None] = mapped_column(TEXT)
    alias: Mapped[str] = mapped_column(TEXT)
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"))
    model_version_id: Mapped[UUID | None]
    changed_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class PromptRow(Base):
    """A version of a prompt; never changed. The newest one with `takes_force` is in force."""

    __tablename__ = "prompts"
    __table_args__ = (
        Index(
            "prompts_name_number",
            "organization_id",
            "name",
            "number",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("prompts_digest", "digest"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_ID)
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(TEXT)
    number: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(TEXT)
    text: Mapped[str] = mapped_column(TEXT)
    takes_force: Mapped[bool]
    actor_kind: Mapped[str] = mapped_column(TEXT)
    actor_id: Mapped[str | None] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
