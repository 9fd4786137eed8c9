"""Endpoints, their sealed secrets, deliveries and attempts, as stored.

Deliveries and attempts are partitioned by month on the delivery's UUIDv7. The triggers of ``webhooks.sql`` write a
delivery in the transaction that it reports.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)
_PROJECT = (("organization_id", "project_id"), ("projects.organization_id", "projects.id"))

# Matches the partial indexes and the statements of the queue word for word, so that the planner uses the indexes.
PENDING = "state = 'pending'"
HELD = "is_held"


class WebhookEndpoint(Base):
    """A receiver of a project's events."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        ForeignKeyConstraint(*_PROJECT, name="webhook_endpoints_project"),
        CheckConstraint("length(url) BETWEEN 1 AND 2048", name="webhook_endpoints_url"),
        CheckConstraint("length(description) <= 500", name="webhook_endpoints_description"),
        CheckConstraint("state IN ('active', 'paused', 'disabled')", name="webhook_endpoints_state"),
        CheckConstraint("(state = 'disabled') = (disabled_reason IS NOT NULL)", name="webhook_endpoints_disabled"),
        Index("webhook_endpoints_of_project", "project_id", "id"),
        Index("webhook_endpoints_of_organization", "organization_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[UUID]
    url: Mapped[str] = mapped_column(TEXT)
    description: Mapped[str] = mapped_column(TEXT, server_default=text("''"))
    events: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"))
    include_result: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[str] = mapped_column(TEXT, server_default=text("'active'"))
    disabled_reason: Mapped[str | None] = mapped_column(TEXT)
    failing_since: Mapped[datetime | None] = mapped_column(_TIME)
    is_slow: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class WebhookSecret(Base):
    """The sealed secret of an endpoint, or of a project for the webhooks that its jobs name; and the previous one."""

    __tablename__ = "webhook_secrets"
    __table_args__ = (
        ForeignKeyConstraint(*_PROJECT, name="webhook_secrets_project"),
        CheckConstraint("(previous IS NULL) = (previous_until IS NULL)", name="webhook_secrets_previous"),
    )

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    previous: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None] = mapped_column(_TIME)
    rotated_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class WebhookDelivery(Base):
    """A message to one receiver, with the bytes that every attempt sends.

    While `is_held`, `next_attempt_at` is the end of the holder's lease; `attempts` fences the holder's writes.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'failed', 'cancelled')", name="webhook_deliveries_state"),
        CheckConstraint("(endpoint_id IS NULL) <> (url IS NULL)", name="webhook_deliveries_receiver"),
        CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="webhook_deliveries_finished"),
        CheckConstraint("state = 'pending' OR NOT is_held", name="webhook_deliveries_held"),
        CheckConstraint("state <> 'pending' OR body IS NOT NULL", name="webhook_deliveries_body"),
        Index("webhook_deliveries_pending", "lane", "next_attempt_at", postgresql_where=text(PENDING)),
        Index("webhook_deliveries_held", "lane", "next_attempt_at", postgresql_where=text(HELD)),
        Index("webhook_deliveries_of_project", "project_id", "id"),
        Index("webhook_deliveries_of_endpoint", "endpoint_id", "id", postgresql_where=text("endpoint_id IS NOT NULL")),
        Index("webhook_deliveries_of_job", "job_id", postgresql_where=text("job_id IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    endpoint_id: Mapped[UUID | None]
    url: Mapped[str | None] = mapped_column(TEXT)
    lane: Mapped[UUID]
    event: Mapped[str] = mapped_column(TEXT)
    job_id: Mapped[UUID | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    has_result: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[str] = mapped_column(TEXT, server_default=text("'pending'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    is_held: Mapped[bool] = mapped_column(server_default=text("false"))
    next_attempt_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    last_status: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    finished_at: Mapped[datetime | None] = mapped_column(_TIME)
    traceparent: Mapped[str | None] = mapped_column(TEXT)


class WebhookAttempt(Base):
    """The outcome of one attempt: a status, or an error code. Never the receiver's response body."""

    __tablename__ = "webhook_attempts"
    __table_args__ = ({"postgresql_partition_by": "RANGE (delivery_id)"},)

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    began_at: Mapped[datetime] = mapped_column(_TIME)
    latency_ms: Mapped[int]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(TEXT)


class WebhookNotice(Base):
    """An event that is sent only once about its subject."""

    __tablename__ = "webhook_notices"

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    event: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    announced_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
