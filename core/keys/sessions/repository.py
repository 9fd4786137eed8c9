"""The SQL of the console's sessions and of the links that open one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.db import Executor, execute_all

_INSERT = text(
    "INSERT INTO console_sessions"
    " (id, organization_id, hash, key_id, issuer, subject, roles, user_agent, active_until, expires_at)"
    " VALUES (:id, :organization_id, :hash, :key_id, :issuer, :subject, :roles, :user_agent,"
    " now() + CAST(:idle AS interval), now() + CAST(:lives AS interval))"
)
# Row-level security checks a reference to a project; here the organization is compared as well.
_CHOOSE = text(
    "UPDATE console_sessions SET project_id = :project_id"
    " WHERE id = :id AND organization_id = :organization_id AND key_id IS NULL"
)
_TOUCH = text(
    "UPDATE console_sessions SET last_seen_at = now(),"
    " active_until = least(expires_at, now() + CAST(:idle AS interval)) WHERE hash = :hash AND active_until > now()"
)
_FIND = text(
    "SELECT session.id, session.organization_id, organization.name AS organization, session.key_id,"
    " api_key.name AS key_name, session.issuer, session.subject, session.roles, session.project_id,"
    " project.name AS project, session.expires_at"
    " FROM console_sessions AS session JOIN organizations AS organization ON organization.id = session.organization_id"
    " LEFT JOIN api_keys AS api_key ON api_key.id = session.key_id"
    " LEFT JOIN projects AS project ON project.id = coalesce(session.project_id, api_key.project_id)"
    " AND project.organization_id = session.organization_id"
    " WHERE session.hash = :hash AND session.active_until > now()"
)
# Which rows are a key's, or a person's.
OWN = (
    "organization_id = :organization_id AND key_id IS NOT DISTINCT FROM CAST(:key_id AS uuid)"
    " AND issuer IS NOT DISTINCT FROM CAST(:issuer AS text) AND subject IS NOT DISTINCT FROM CAST(:subject AS text)"
)
_LIST = text(
    "SELECT id, user_agent, created_at, last_seen_at, expires_at FROM console_sessions"
    f" WHERE {OWN} AND active_until > now() ORDER BY id DESC LIMIT :limit"
)
_DELETE = text(f"DELETE FROM console_sessions WHERE id = :id AND {OWN} RETURNING hash")
_INSERT_LINK = text(
    "INSERT INTO console_links (hash, organization_id, key_id, expires_at)"
    " VALUES (:hash, :organization_id, :key_id, now() + CAST(:lives AS interval))"
)
_REDEEM = text("DELETE FROM console_links WHERE hash = :hash RETURNING key_id, expires_at > now() AS is_good")
_SWEEP = text(
    "DELETE FROM console_sessions WHERE id IN"
    " (SELECT id FROM console_sessions WHERE active_until < now() LIMIT 1000 FOR UPDATE SKIP LOCKED)"
)
_SWEEP_LINKS = text("DELETE FROM console_links WHERE expires_at < now()")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sessions: a key's, or those of a subject of an issuer."""

    organization_id: UUID
    key_id: UUID | None
    issuer: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that has not ended, with the names that a page shows."""

    id: UUID
    organization_id: UUID
    organization: str
    key_id: UUID | None
    key_name: str | None
    issuer: str | None
    subject: str | None
    roles: list[str] | None
    project_id: UUID | None
    project: str | None
    expires_at: datetime

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return Owner(self.organization_id, self.key_id, self.issuer, self.subject)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One line of the list of sessions."""

    id: UUID
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


def insert(
    session: Session,
    session_id: UUID,
    digest: bytes,
    owner: Owner,
    *,
    roles: Sequence[str] | None,
    user_agent: str,
    idle: timedelta,
    lives: timedelta,
) -> None:
    """Store a session."""
    session.execute(
        _INSERT,
        {
            **owner_values(owner),
            "id": session_id,
            "hash": digest,
            "roles": None if roles is None else list(roles),
            "user_agent": user_agent,
            "idle": idle,
            "lives": lives,
        },
    )


def find(executor: Executor, digest: bytes, idle: timedelta | None) -> SessionRow | None:
    """The session, unless it has ended; with `idle`, this is a use and moves its idle end. Needs `Database.system`."""
    touching = [] if idle is None else [(_TOUCH, {"hash": digest, "idle": idle})]
    row = execute_all(executor, [*touching, (_FIND, {"hash": digest})])[-1].one_or_none()
    return None if row is None else SessionRow(**row._asdict())


def list_open(executor: Executor, owner: Owner, limit: int) -> list[OpenSession]:
    """The owner's sessions that have not ended, newest first."""
    return [OpenSession(*row) for row in executor.execute(_LIST, {**owner_values(owner), "limit": limit})]


def delete(session: Session, owner: Owner, session_id: UUID) -> bytes | None:
    """Delete one of the owner's sessions; its hash, or None when there is none."""
    found = session.execute(_DELETE, {**owner_values(owner), "id": session_id}).scalar_one_or_none()
    return None if found is None else bytes(found)


def choose_project(session: Session, organization_id: UUID, session_id: UUID, project_id: UUID) -> None:
    """Set the project of a person's session."""
    session.execute(_CHOOSE, {"organization_id": organization_id, "id": session_id, "project_id": project_id})


def insert_link(session: Session, digest: bytes, organization_id: UUID, key_id: UUID, lives: timedelta) -> None:
    """Store a link that signs in with a key."""
    values = {"hash": digest, "organization_id": organization_id, "key_id": key_id, "lives": lives}
    session.execute(_INSERT_LINK, values)


def redeem_link(executor: Executor, digest: bytes) -> UUID | None:
    """Use a link up; its key, or None when it is unknown, used or too old. Needs `Database.system`."""
    row = executor.execute(_REDEEM, {"hash": digest}).one_or_none()
    return row.key_id if row is not None and row.is_good else None


def sweep(session: Session) -> None:
    """Delete sessions and links that have ended, a small batch at a time; needs `Database.system`."""
    session.execute(_SWEEP)
    session.execute(_SWEEP_LINKS)


def owner_values(owner: Owner) -> dict[str, object]:
    """The parameters that `OWN` names."""
    return {
        "organization_id": owner.organization_id,
        "key_id": owner.key_id,
        "issuer": owner.issuer,
        "subject": owner.subject,
    }
