"""Organizations with their projects and members, and the API keys that act for them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.data_classes import DataClass
from core.kit.db import DATA_CLASS, Base

_NOW = text("now()")


class Organization(Base):
    """The tenant: the outermost isolation boundary."""

    __tablename__ = "organizations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(TEXT, unique=True)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)


class Project(Base):
    """The unit that work is done and charged for; limits and fairness are per project."""

    __tablename__ = "projects"
    __table_args__ = (
        Index("projects_organization_name", "organization_id", "name", unique=True),
        UniqueConstraint("organization_id", "id", name="projects_organization_id"),
        CheckConstraint("weight BETWEEN 1 AND 1000", name="projects_weight"),
        CheckConstraint("max_concurrent_jobs >= 1", name="projects_max_concurrent_jobs"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(TEXT)
    weight: Mapped[int] = mapped_column(server_default=text("1"))
    max_concurrent_jobs: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)
    cost_centre: Mapped[str | None] = mapped_column(TEXT)
    owner: Mapped[str | None] = mapped_column(TEXT)
    labels: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    archived_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    # The minimum data class of its jobs.
    data_class: Mapped[DataClass] = mapped_column(DATA_CLASS, server_default=text("'public'"))


class Member(Base):
    """A person of an organization, identified by its subject at the identity provider, with its role."""

    __tablename__ = "members"
    __table_args__ = (
        UniqueConstraint("organization_id", "issuer", "subject", name="members_subject"),
        CheckConstraint("role IN ('owner', 'admin', 'developer', 'operator', 'auditor')", name="members_role"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    issuer: Mapped[str] = mapped_column(TEXT)
    subject: Mapped[str] = mapped_column(TEXT)
    email: Mapped[str | None] = mapped_column(TEXT)
    role: Mapped[str] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)


class ApiKey(Base):
    """A key as stored: the project it acts for and a keyed hash, never the key itself."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("api_keys_project", "project_id"),
        Index("api_keys_organization", "organization_id", "id"),
        ForeignKeyConstraint(
            ("organization_id", "project_id"),
            ("projects.organization_id", "projects.id"),
            name="api_keys_project_of_organization",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(TEXT)
    prefix: Mapped[str] = mapped_column(TEXT)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    replaced_by: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    # The key or member that created it, and so has seen it; None for the command line.
    created_by: Mapped[str | None] = mapped_column(TEXT)
    # The highest class whose results it may read.
    clearance: Mapped[DataClass] = mapped_column(DATA_CLASS, server_default=text("'restricted'"))


class IdempotencyKey(Base):
    """The first answer to a POST, stored until `expires_at` so that a repeat gets the same one.

    Small and unpartitioned: its uniqueness is not the partition key of any other table.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_expires_at", "expires_at"),)

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    request_digest: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    location: Mapped[str | None] = mapped_column(TEXT)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))


class ConsoleSession(Base):
    """A signed-in browser: the keyed hash of its cookie, and the key or person that signed in."""

    __tablename__ = "console_sessions"
    __table_args__ = (
        Index("console_sessions_organization", "organization_id", "id"),
        Index("console_sessions_active_until", "active_until"),
        CheckConstraint(
            "num_nonnulls(key_id, issuer) = 1 AND num_nonnulls(issuer, subject) <> 1", name="console_sessions_whose"
        ),
        CheckConstraint("active_until <= expires_at", name="console_sessions_ends"),
        ForeignKeyConstraint(
            ("organization_id", "project_id"),
            ("projects.organization_id", "projects.id"),
            name="console_sessions_project_of_organization",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    issuer: Mapped[str | None] = mapped_column(TEXT)
    subject: Mapped[str | None] = mapped_column(TEXT)
    roles: Mapped[list[str] | None] = mapped_column(ARRAY(TEXT))
    # The project that a person chose; a key has its own.
    project_id: Mapped[UUID | None]
    user_agent: Mapped[str] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)
    last_seen_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)
    # The idle end, moved by use, and the absolute end, which it never passes.
    active_until: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))


class ConsoleView(Base):
    """Filters of a list in the console under a name; they belong to a key or a person."""

    __tablename__ = "console_views"
    __table_args__ = (
        CheckConstraint(
            "num_nonnulls(key_id, issuer) = 1 AND num_nonnulls(issuer, subject) <> 1", name="console_views_whose"
        ),
        CheckConstraint("length(name) BETWEEN 1 AND 60", name="console_views_name"),
        CheckConstraint("length(query) <= 4000", name="console_views_query"),
        UniqueConstraint(
            "organization_id",
            "key_id",
            "issuer",
            "subject",
            "name",
            name="console_views_names",
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    issuer: Mapped[str | None] = mapped_column(TEXT)
    subject: Mapped[str | None] = mapped_column(TEXT)
    name: Mapped[str] = mapped_column(TEXT)
    # The query of the address that shows it, without its question mark.
    query: Mapped[str] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)


class ConsoleLink(Base):
    """A link that signs in once, by the keyed hash of its token."""

    __tablename__ = "console_links"
    __table_args__ = (Index("console_links_expires_at", "expires_at"),)

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
