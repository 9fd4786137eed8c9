"""Budgets, reservations and the ledger, as stored. Only ``sql/ledger.sql`` writes balances and entries."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER, JSONB, NUMERIC, TEXT, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_CLOCK = text("clock_timestamp()")
_TIME = TIMESTAMP(timezone=True)
_USD: NUMERIC[Decimal] = NUMERIC(18, 9)
_ZERO = text("0")
_NOTHING = text("'{}'")


class Budget(Base):
    """What an organization, a project or a key may spend in a period."""

    __tablename__ = "budgets"
    __table_args__ = (
        CheckConstraint("scope IN ('organization', 'project', 'key')", name="budgets_scope"),
        CheckConstraint("period IN ('day', 'month', 'total')", name="budgets_period"),
        CheckConstraint("limit_usd >= 0", name="budgets_limit"),
        CheckConstraint("on_exhaustion IN ('fail', 'pause')", name="budgets_on_exhaustion"),
        CheckConstraint(
            "(scope = 'organization') = (scope_id = organization_id)", name="budgets_organization_is_its_own_scope"
        ),
        Index(
            "budgets_organization_name",
            "organization_id",
            "name",
            unique=True,
            postgresql_where=text("archived_at IS NULL"),
        ),
        Index("budgets_in_force", "organization_id", "scope_id", postgresql_where=text("archived_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(TEXT)
    scope: Mapped[str] = mapped_column(TEXT)
    scope_id: Mapped[UUID]
    period: Mapped[str] = mapped_column(TEXT)
    limit_usd: Mapped[Decimal] = mapped_column(_USD)
    hard: Mapped[bool] = mapped_column(server_default=text("true"))
    on_exhaustion: Mapped[str] = mapped_column(TEXT, server_default=text("'fail'"))
    thresholds: Mapped[list[int]] = mapped_column(ARRAY(INTEGER), server_default=text("'{50,80,100}'"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    archived_at: Mapped[datetime | None] = mapped_column(_TIME)


class BudgetBalance(Base):
    """What was spent and reserved in one period of a budget."""

    __tablename__ = "budget_balances"
    __table_args__ = (
        CheckConstraint("reserved_usd >= 0", name="budget_balances_reserved"),
        Index("budget_balances_period", "budget_id", "period_start", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    budget_id: Mapped[UUID] = mapped_column(ForeignKey("budgets.id"))
    organization_id: Mapped[UUID]
    period_start: Mapped[datetime] = mapped_column(_TIME)
    reserved_usd: Mapped[Decimal] = mapped_column(_USD, server_default=_ZERO)
    spent_usd: Mapped[Decimal] = mapped_column(_USD, server_default=_ZERO)
    alerted: Mapped[list[int]] = mapped_column(ARRAY(INTEGER), server_default=_NOTHING)


class BudgetAlert(Base):
    """A threshold that was crossed; at most once per period."""

    __tablename__ = "budget_alerts"
    __table_args__ = (Index("budget_alerts_once", "budget_id", "period_start", "threshold", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID]
    budget_id: Mapped[UUID] = mapped_column(ForeignKey("budgets.id"))
    period_start: Mapped[datetime] = mapped_column(_TIME)
    threshold: Mapped[int]
    spent_usd: Mapped[Decimal] = mapped_column(_USD)
    limit_usd: Mapped[Decimal] = mapped_column(_USD)
    raised_at: Mapped[datetime] = mapped_column(_TIME, server_default=_CLOCK)


class Reservation(Base):
    """What a job, or a tree of jobs, may still spend; deleted when it has ended."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("committed_usd >= 0 AND committed_usd <= held_usd", name="reservations_committed"),
    )

    root_job_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    key_id: Mapped[UUID | None]
    balance_ids: Mapped[list[UUID]] = mapped_column(ARRAY(UUID_TYPE))
    held_usd: Mapped[Decimal] = mapped_column(_USD, server_default=_ZERO)
    committed_usd: Mapped[Decimal] = mapped_column(_USD, server_default=_ZERO)
    spent_usd: Mapped[Decimal] = mapped_column(_USD, server_default=_ZERO)
    cap_usd: Mapped[Decimal | None] = mapped_column(_USD)
    opened_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class OpenCall(Base):
    """A model call between its intent and its settlement."""

    __tablename__ = "open_calls"
    __table_args__ = (
        CheckConstraint("bound_usd >= 0", name="open_calls_bound"),
        Index("open_calls_root", "root_job_id"),
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    call: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root_job_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    bound_usd: Mapped[Decimal] = mapped_column(_USD)
    opened_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class LedgerEntry(Base):
    """One line: the intent (entry 0), the settlement (1) or a correction (from 2 on) of one model call."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint("attempt >= 1", name="ledger_entries_attempt"),
        CheckConstraint("call >= 1", name="ledger_entries_call"),
        CheckConstraint(
            "kind = CASE entry WHEN 0 THEN 'intent' WHEN 1 THEN 'settlement' ELSE 'correction' END",
            name="ledger_entries_kind",
        ),
        CheckConstraint("entry > 0 OR amount_usd = 0", name="ledger_entries_intent"),
        Index("ledger_entries_project", "project_id", "job_id"),
        {"postgresql_partition_by": "RANGE (job_id)"},
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    call: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    key_id: Mapped[UUID | None]
    root_job_id: Mapped[UUID]
    recorded_at: Mapped[datetime] = mapped_column(_TIME, server_default=_CLOCK)
    kind: Mapped[str] = mapped_column(TEXT)
    capability: Mapped[str] = mapped_column(TEXT)
    provider: Mapped[str] = mapped_column(TEXT)
    model: Mapped[str] = mapped_column(TEXT)
    model_version: Mapped[str | None] = mapped_column(TEXT)
    price_ids: Mapped[list[UUID]] = mapped_column(ARRAY(UUID_TYPE), server_default=_NOTHING)
    quantities: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_NOTHING)
    amounts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_NOTHING)
    bound_usd: Mapped[Decimal] = mapped_column(_USD)
    amount_usd: Mapped[Decimal] = mapped_column(_USD)
    estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    reason: Mapped[str | None] = mapped_column(TEXT)
    balance_ids: Mapped[list[UUID]] = mapped_column(ARRAY(UUID_TYPE), server_default=_NOTHING)
    step: Mapped[str | None] = mapped_column(TEXT)
    labels: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_NOTHING)


class LedgerCarried(Base):
    """What dropped partitions of the ledger contributed to a balance."""

    __tablename__ = "ledger_carried"

    balance_id: Mapped[UUID] = mapped_column(ForeignKey("budget_balances.id"), primary_key=True)
    organization_id: Mapped[UUID]
    amount_usd: Mapped[Decimal] = mapped_column(_USD)


class LedgerRetired(Base):
    """Records that the lines of jobs below `until_id` were dropped."""

    __tablename__ = "ledger_retired"

    until_id: Mapped[UUID] = mapped_column(primary_key=True)
    retired_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
