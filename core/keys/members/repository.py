"""The SQL of members. Every statement names the organization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from core.keys import models
from core.keys.roles import Role
from core.kit.db import Executor, Statement, columns_of
from core.kit.ids import new_id


@dataclass(frozen=True, slots=True)
class Member:
    """A member as stored: `issuer` and `subject` identify it at the identity provider."""

    id: UUID
    organization_id: UUID
    issuer: str
    subject: str
    email: str | None
    role: Role
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))


_COLUMNS = columns_of(models.Member, Member)


def insert(
    session: Session, organization_id: UUID, *, issuer: str, subject: str, email: str | None, role: Role
) -> Member | None:
    """A new member; None when the organization already has it."""
    new = postgresql.insert(models.Member).values(
        id=new_id(), organization_id=organization_id, issuer=issuer, subject=subject, email=email, role=role.value
    )
    return _one(session, new.on_conflict_do_nothing(constraint="members_subject").returning(*_COLUMNS))


def get(session: Executor, organization_id: UUID, member_id: UUID) -> Member | None:
    """The member, or None when the organization has no such member."""
    return _one(session, select(*_COLUMNS).where(*_is(organization_id, member_id)))


def list_all(
    session: Executor, organization_id: UUID, *, cursor: UUID | None, limit: int, role: Role | None
) -> Sequence[Member]:
    """A page of the organization's members with ids below `cursor`, newest first."""
    page = select(*_COLUMNS).where(models.Member.organization_id == organization_id)
    if cursor is not None:
        page = page.where(models.Member.id < cursor)
    if role is not None:
        page = page.where(models.Member.role == role.value)
    return [Member(*row) for row in session.execute(page.order_by(models.Member.id.desc()).limit(limit))]


def lock_owners(session: Session, organization_id: UUID) -> None:
    """Block other changes of the organization's owners until the transaction ends.

    Transactions that change or remove an owner wait for each other here, so that two owners cannot remove each other.
    """
    organization = select(models.Organization.id).where(models.Organization.id == organization_id)
    session.execute(organization.with_for_update(key_share=True))


def count_owners(session: Session, organization_id: UUID) -> int:
    """How many owners the organization has; the number is stable under `lock_owners`."""
    owners = select(func.count()).where(
        models.Member.organization_id == organization_id, models.Member.role == Role.OWNER.value
    )
    return session.execute(owners).scalar_one()


def change(session: Session, organization_id: UUID, member_id: UUID, changes: Mapping[str, Any]) -> Member | None:
    """Set `role` and `email` from `changes`. None: there is no such member."""
    values = {**changes, "role": changes.get("role") or models.Member.role}
    changed = update(models.Member).where(*_is(organization_id, member_id)).values(values)
    return _one(session, changed.returning(*_COLUMNS))


def remove(session: Session, organization_id: UUID, member_id: UUID) -> bool:
    """Remove the member; False when the organization has no such member."""
    removed = delete(models.Member).where(*_is(organization_id, member_id)).returning(models.Member.id)
    return session.execute(removed).one_or_none() is not None


def _is(organization_id: UUID, member_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return models.Member.id == member_id, models.Member.organization_id == organization_id


def _one(session: Executor, statement: Statement) -> Member | None:
    row = session.execute(statement).one_or_none()
    return None if row is None else Member(*row)
