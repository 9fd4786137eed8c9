"""The SQL of organisations, projects, keys and remembered answers."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.ids import new_id

_ENSURE_ORGANIZATION = text(
    "INSERT INTO organizations (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING RETURNING id"
)
_ORGANIZATION = text("SELECT id FROM organizations WHERE name = :name")
_ENSURE_PROJECT = text(
    "INSERT INTO projects (id, organization_id, name) VALUES (:id, :organization_id, :name)"
    " ON CONFLICT (organization_id, name) DO NOTHING RETURNING id"
)
_PROJECT = text("SELECT id FROM projects WHERE organization_id = :organization_id AND name = :name")
_INSERT_KEY = text(
    "INSERT INTO api_keys (id, organization_id, project_id, name, prefix, hash, scopes, expires_at)"
    " VALUES (:id, :organization_id, :project_id, :name, :prefix, :hash, :scopes,"
    " now() + CAST(:expires_in AS interval))"
)
_KEY_BY_HASH = text(
    "SELECT id, organization_id, project_id, hash, scopes, revoked_at IS NOT NULL AS is_revoked,"
    " coalesce(expires_at <= now(), false) AS is_expired FROM api_keys WHERE hash = :hash"
)
_REVOKE = text(
    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())"
    " WHERE id = :id AND organization_id = :organization_id RETURNING id"
)

# The lock's key is 64 bits of a hash: two different keys that collide cost one of them a 409 it did not earn, once in
# 2^64 pairs in flight.
_BEGIN_ANSWER = text(
    "SELECT pg_try_advisory_xact_lock(hashtextextended(:scope, 7201947)) AS locked,"
    " answer.request_digest, answer.status, answer.location, answer.body"
    " FROM (VALUES (1)) AS one LEFT JOIN idempotency_keys AS answer"
    " ON answer.project_id = :project_id AND answer.key = :key AND answer.expires_at > now()"
)
_KEEP_ANSWER = text(
    "INSERT INTO idempotency_keys AS kept"
    " (project_id, key, organization_id, request_digest, status, location, body, expires_at)"
    " VALUES (:project_id, :key, :organization_id, :request_digest, :status, :location, :body,"
    " now() + CAST(:lives AS interval))"
    " ON CONFLICT (project_id, key) DO UPDATE SET request_digest = excluded.request_digest, status = excluded.status,"
    " location = excluded.location, body = excluded.body, expires_at = excluded.expires_at"
    " WHERE kept.expires_at <= now() RETURNING true"
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stored key, with its expiry judged by the database's clock."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    hash: bytes
    scopes: frozenset[str]
    is_revoked: bool
    is_expired: bool


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """What is known of an idempotency key: whether we hold its lock, and the first answer if there is one."""

    locked: bool
    request_digest: bytes | None
    status: int | None
    location: str | None
    body: bytes | None


def ensure_organization(session: Session, name: str) -> UUID:
    """The id of the organisation called `name`, created when absent."""
    made = session.execute(_ENSURE_ORGANIZATION, {"id": new_id(), "name": name}).scalar_one_or_none()
    found: UUID = made or session.execute(_ORGANIZATION, {"name": name}).scalar_one()
    return found


def ensure_project(session: Session, organization_id: UUID, name: str) -> UUID:
    """The id of the organisation's project called `name`, created when absent."""
    scope = {"organization_id": organization_id, "name": name}
    made = session.execute(_ENSURE_PROJECT, {"id": new_id(), **scope}).scalar_one_or_none()
    found: UUID = made or session.execute(_PROJECT, scope).scalar_one()
    return found


def insert_key(
    session: Session,
    *,
    key_id: UUID,
    organization_id: UUID,
    project_id: UUID,
    name: str,
    prefix: str,
    digest: bytes,
    scopes: list[str],
    expires_in: timedelta | None,
) -> None:
    """Store a key's keyed hash; `expires_in` counts from the database's now."""
    session.execute(
        _INSERT_KEY,
        {
            "id": key_id,
            "organization_id": organization_id,
            "project_id": project_id,
            "name": name,
            "prefix": prefix,
            "hash": digest,
            "scopes": scopes,
            "expires_in": expires_in,
        },
    )


def key_by_hash(session: Session, digest: bytes) -> KeyRow | None:
    """The key whose stored hash is `digest`, whatever its organisation; needs `Database.system`."""
    row = session.execute(_KEY_BY_HASH, {"hash": digest}).one_or_none()
    if row is None:
        return None
    return KeyRow(
        row.id,
        row.organization_id,
        row.project_id,
        bytes(row.hash),
        frozenset(row.scopes),
        row.is_revoked,
        row.is_expired,
    )


def revoke_key(session: Session, organization_id: UUID, key_id: UUID) -> bool:
    """Mark a key revoked; False when the organisation has no such key."""
    scope = {"id": key_id, "organization_id": organization_id}
    return session.execute(_REVOKE, scope).scalar_one_or_none() is not None


def begin_answer(session: Session, project_id: UUID, key: str) -> AnswerRow:
    """Try to take the lock of an idempotency key until the transaction ends, and read its first answer."""
    row = session.execute(_BEGIN_ANSWER, {"scope": f"{project_id}:{key}", "project_id": project_id, "key": key}).one()
    return AnswerRow(*row)


def keep_answer(
    session: Session,
    *,
    project_id: UUID,
    organization_id: UUID,
    key: str,
    request_digest: bytes,
    status: int,
    location: str | None,
    body: bytes,
    lives: timedelta,
) -> bool:
    """Keep the first answer of an idempotency key; False when another transaction has just kept one."""
    kept = session.execute(
        _KEEP_ANSWER,
        {
            "project_id": project_id,
            "organization_id": organization_id,
            "key": key,
            "request_digest": request_digest,
            "status": status,
            "location": location,
            "body": body,
            "lives": lives,
        },
    ).scalar_one_or_none()
    return bool(kept)
