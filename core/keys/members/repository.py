"""The SQL of members. Every statement names the organization."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.keys.roles import Role
from core.kit.db import Executor
from core.kit.ids import new_id

_COLUMNS = "id, organization_id, issuer, subject, email, role, created_at"

_INSERT = text(
    "INSERT INTO members (id, organization_id, issuer, subject, email, role)"
    " VALUES (:id, :organization_id, :issuer, :subject, :email, :role)"
    f" ON CONFLICT (organization_id, issuer, subject) DO NOTHING RETURNING {_COLUMNS}"
)
_GET = text(f"SELECT {_COLUMNS} FROM members WHERE id = :id AND organization_id = :organization_id")
_LIST = text(
    f"SELECT {_COLUMNS} FROM members WHERE organization_id = :organization_id"
    " AND (CAST(:cursor AS uuid) IS NULL OR id < :cursor) AND (CAST(:role AS text) IS NULL OR role = :role)"
    " ORDER BY id DESC LIMIT :limit"
)
# Transactions that change or remove an owner wait for each other here, so that two owners cannot remove each other.
_LOCK_ORGANIZATION = text("SELECT id FROM organizations WHERE id = :organization_id FOR NO KEY UPDATE")
_OWNERS = text("SELECT count(*) FROM members WHERE organization_id = :organization_id AND role = 'owner'")
_UPDATE = text(
    "UPDATE members SET role = coalesce(CAST(:role AS text), role),"
    " email = CASE WHEN :sets_email THEN :email ELSE email END"
    f" WHERE id = :id AND organization_id = :organization_id RETURNING {_COLUMNS}"
)
_DELETE = text("DELETE FROM members WHERE id = :id AND organization_id = :organization_id RETURNING id")


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


def insert(
    session: Executor, organization_id: UUID, *, issuer: str, subject: str, email: str | None, role: Role
) -> Member | None:
    """A new member; None when the organization already has it."""
    row = session.execute(
        _INSERT,
        {
            "id": new_id(),
            "organization_id": organization_id,
            "issuer": issuer,
            "subject": subject,
            "email": email,
            "role": role.value,
        },
    ).one_or_none()
    return None if row is None else Member(*row)


def get(session: Executor, organization_id: UUID, member_id: UUID) -> Member | None:
    """The member, or None when the organization has no such member."""
    row = session.execute(_GET, {"id": member_id, "organization_id": organization_id}).one_or_none()
    return None if row is None else Member(*row)


def list_all(
    session: Executor, organization_id: UUID, *, cursor: UUID | None, limit: int, role: Role | None
) -> Sequence[Member]:
    """A page of the organization's members with ids below `cursor`, newest first."""
    parameters = {"organization_id": organization_id, "cursor": cursor, "limit": limit, "role": role and role.value}
    return [Member(*row) for row in session.execute(_LIST, parameters)]


def lock_owners(session: Session, organization_id: UUID) -> None:
    """Block other changes of the organization's owners until the transaction ends."""
    session.execute(_LOCK_ORGANIZATION, {"organization_id": organization_id})


def count_owners(session: Session, organization_id: UUID) -> int:
    """How many owners the organization has; the number is stable under `lock_owners`."""
    return int(session.execute(_OWNERS, {"organization_id": organization_id}).scalar_one())


def update(
    session: Executor, organization_id: UUID, member_id: UUID, *, role: Role | None, email: str | None, sets_email: bool
) -> Member | None:
    """Set the role unless None, and the e-mail address when `sets_email`."""
    row = session.execute(
        _UPDATE,
        {
            "id": member_id,
            "organization_id": organization_id,
            "role": role and role.value,
            "email": email,
            "sets_email": sets_email,
        },
    ).one_or_none()
    return None if row is None else Member(*row)


def delete(session: Executor, organization_id: UUID, member_id: UUID) -> bool:
    """Remove the member; False when the organization has no such member."""
    parameters = {"id": member_id, "organization_id": organization_id}
    return session.execute(_DELETE, parameters).scalar_one_or_none() is not None
