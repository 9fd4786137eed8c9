"""Saved views of the console: the filters of a list under a name, for the key or person that saved them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.principal import Principal
from core.keys.sessions.errors import ViewNotFound
from core.keys.sessions.repository import OWN, Owner, owner_values
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.kit.ids import VIEW, encode, new_id

NAME_MAX = 60
QUERY_MAX = 4000
VIEWS_MAX = 30

_LIST = text(f"SELECT id, name, query FROM console_views WHERE {OWN} ORDER BY lower(name), id LIMIT :limit")
_COUNT = text(f"SELECT count(*) FROM console_views WHERE {OWN} AND name <> :name")
_SAVE = text(
    "INSERT INTO console_views (id, organization_id, key_id, issuer, subject, name, query)"
    " VALUES (:id, :organization_id, :key_id, :issuer, :subject, :name, :query)"
    " ON CONFLICT ON CONSTRAINT console_views_names DO UPDATE SET query = excluded.query RETURNING id"
)
_DELETE = text(f"DELETE FROM console_views WHERE id = :id AND {OWN} RETURNING name")
_DELETE_OF_PERSON = text(
    "DELETE FROM console_views WHERE organization_id = :organization_id AND issuer = :issuer AND subject = :subject"
)


@dataclass(frozen=True, slots=True)
class SavedView:
    """A name, and the query of the address that shows it."""

    id: UUID
    name: str
    query: str


def list_views(executor: Executor, owner: Owner) -> Sequence[SavedView]:
    """The owner's views by name."""
    return [SavedView(*row) for row in executor.execute(_LIST, {**owner_values(owner), "limit": VIEWS_MAX})]


def save(session: Session, principal: Principal, owner: Owner, name: str, query: str) -> UUID:
    """Save a view; one of the same name is replaced. Raises `Unprocessable` naming the field."""
    values = {**owner_values(owner), "name": name}
    if not 0 < len(name) <= NAME_MAX:
        raise _refuse("name", f"give the view a name of at most {NAME_MAX} characters")
    if not 0 < len(query) <= QUERY_MAX:
        raise _refuse("query", "filter the list first; a view saves its filters")
    if session.execute(_COUNT, values).scalar_one() >= VIEWS_MAX:
        raise _refuse("name", f"you have {VIEWS_MAX} views; delete one first")
    found: UUID = session.execute(_SAVE, {**values, "id": new_id(), "query": query}).scalar_one()
    _record(session, AuditAction.VIEW_SAVE, principal, found)
    return found


def delete(session: Session, principal: Principal, owner: Owner, view_id: UUID) -> str:
    """Delete one of the owner's views; its name. Raises `ViewNotFound`."""
    name: str | None = session.execute(_DELETE, {**owner_values(owner), "id": view_id}).scalar_one_or_none()
    if name is None:
        raise ViewNotFound("there is no such view of yours; it may have been deleted already")
    _record(session, AuditAction.VIEW_DELETE, principal, view_id)
    return name


def delete_of_person(session: Session, organization_id: UUID, issuer: str, subject: str) -> None:
    """Delete what a person saved who no longer belongs to the organization."""
    session.execute(_DELETE_OF_PERSON, {"organization_id": organization_id, "issuer": issuer, "subject": subject})


def _record(session: Session, action: AuditAction, principal: Principal, view_id: UUID) -> None:
    # Without its name, which may be anything.
    record(session, principal.organization_id, None, action, subject_id=encode(VIEW, view_id), actor=principal.actor)


def _refuse(field: str, message: str) -> Unprocessable:
    problem = {"path": f"form.{field}", "code": "view_invalid", "message": message}
    return Unprocessable(f"form.{field}: {message}", errors=[problem])
