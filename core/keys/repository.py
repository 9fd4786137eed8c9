"""The SQL of keys, of tokens' subjects and of stored answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.ids import new_id

_KEY = (
    "id, organization_id, project_id, name, prefix, scopes, created_at, expires_at, revoked_at, last_used_at,"
    " replaced_by, clearance, CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired'"
    " WHEN replaced_by IS NOT NULL THEN 'rotating' ELSE 'active' END AS state"
)
_WITHIN = "organization_id = :organization_id AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)"

_INSERT_KEY = text(
    "INSERT INTO api_keys (id, organization_id, project_id, name, prefix, hash, scopes, created_by,"
    " clearance, expires_at)"
    " VALUES (:id, :organization_id, :project_id, :name, :prefix, :hash, :scopes, :created_by, :clearance,"
    f" now() + CAST(:expires_in AS interval)) RETURNING {_KEY}"
)
_KEY_BY_HASH = text(
    "SELECT key.id, key.organization_id, key.project_id, key.hash, key.scopes,"
    " key.clearance,"
    " key.revoked_at IS NOT NULL AS is_revoked, coalesce(key.expires_at <= now(), false) AS is_expired,"
    " key.replaced_by IS NOT NULL AS is_replaced,"
    " project.archived_at IS NOT NULL AS is_project_archived"
    " FROM api_keys AS key JOIN projects AS project"
    " ON project.id = key.project_id AND project.organization_id = key.organization_id WHERE key.hash = :hash"
)
_REPLACE_HASH = text("UPDATE api_keys SET hash = :hash WHERE hash = ANY(:retired)")
_GET_KEY = text(f"SELECT {_KEY} FROM api_keys WHERE id = :id AND {_WITHIN}")
_LOCK_KEY = text(f"SELECT {_KEY} FROM api_keys WHERE id = :id AND {_WITHIN} FOR UPDATE")
_LIST_KEYS = text(
    f"SELECT {_KEY} FROM api_keys WHERE {_WITHIN} AND (CAST(:cursor AS uuid) IS NULL OR id < :cursor)"
    " AND (:with_ended OR (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())))"
    " ORDER BY id DESC LIMIT :limit"
)
_REVOKE = text(
    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())"
    f" WHERE id = :id AND organization_id = :organization_id RETURNING {_KEY}"
)
# least() ignores NULL: a key that never expired ends with the overlap.
_REPLACE = text(
    "UPDATE api_keys SET replaced_by = :new_id, expires_at = least(expires_at, now() + CAST(:overlap AS interval))"
    " WHERE id = :id AND organization_id = :organization_id"
)
# From a key to its creators, and to the keys that it replaced or that replaced it.
_OF_ONE_HAND = text("""
WITH RECURSIVE line AS (
  SELECT id, created_by, replaced_by FROM api_keys WHERE id = :id AND organization_id = :organization_id
  UNION
  SELECT key.id, key.created_by, key.replaced_by FROM line JOIN api_keys AS key
    ON key.organization_id = :organization_id
    AND (typeid('key', key.id) = line.created_by OR key.replaced_by = line.id OR key.id = line.replaced_by)
)
SELECT EXISTS (SELECT FROM line WHERE typeid('key', id) = :caller OR created_by = :caller)
""")
_ENDED = text(
    "SELECT id FROM api_keys WHERE id = ANY(CAST(:ids AS uuid[])) AND (revoked_at IS NOT NULL OR expires_at <= now())"
)
# In id order, and skipping rows that another process is writing: two processes never wait for each other.
_TOUCH = text("""
WITH due AS (
  SELECT id FROM api_keys
  WHERE id = ANY(:ids) AND (last_used_at IS NULL OR last_used_at <= now() - CAST(:every AS interval))
  ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE api_keys SET last_used_at = now() FROM due WHERE api_keys.id = due.id
""")
_SUBJECT = text(
    "SELECT organization.id AS organization_id, member.id AS member_id, member.role, project.id AS project_id,"
    " coalesce(project.archived_at IS NOT NULL, false) AS is_project_archived"
    " FROM organizations AS organization"
    " LEFT JOIN members AS member ON member.organization_id = organization.id AND member.issuer = :issuer"
    " AND member.subject = :subject"
    " LEFT JOIN projects AS project ON project.organization_id = organization.id AND project.id = :project_id"
    " WHERE organization.name = :organization"
)

# The lock's key is 64 bits of a hash: two different keys that collide cost one of them an undeserved 409, once in 2^64
# pairs in flight.
_BEGIN_ANSWER = text(
    "SELECT pg_try_advisory_xact_lock(hashtextextended(:scope, 7201947)) AS locked,"
    " answer.request_digest, answer.status, answer.location, answer.body"
    " FROM (VALUES (1)) AS one LEFT JOIN idempotency_keys AS answer"
    " ON answer.project_id = :project_id AND answer.key = :key AND answer.expires_at > now()"
)
_STORE_ANSWER = text(
    "INSERT INTO idempotency_keys AS kept"
    " (project_id, key, organization_id, request_digest, status, location, body, expires_at)"
    " VALUES (:project_id, :key, :organization_id, :request_digest, :status, :location, :body,"
    " now() + CAST(:lives AS interval))"
    " ON CONFLICT (project_id, key) DO UPDATE SET request_digest = excluded.request_digest, status = excluded.status,"
    " location = excluded.location, body = excluded.body, expires_at = excluded.expires_at"
    " WHERE kept.expires_at <= now() RETURNING true"
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown. `state`, by the database's clock: active, rotating, expired or revoked."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: UUID | None
    clearance: DataClass
    state: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stored key as authentication needs it, with its expiry checked by the database's clock."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    hash: bytes
    scopes: list[str]
    is_revoked: bool
    is_expired: bool
    is_replaced: bool
    is_project_archived: bool
    clearance: DataClass


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A token's subject as stored: its organization, its membership, and the project it asked for."""

    organization_id: UUID
    member_id: UUID | None
    role: str | None
    project_id: UUID | None
    is_project_archived: bool


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """The state of an idempotency key: whether we hold its lock, and the first answer if there is one."""

    locked: bool
    request_digest: bytes | None
    status: int | None
    location: str | None
    body: bytes | None


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(**{**row._asdict(), "clearance": DataClass(row.clearance)})


def insert_key(
    session: Executor,
    *,
    organization_id: UUID,
    project_id: UUID,
    name: str,
    prefix: str,
    digest: bytes,
    scopes: Sequence[str],
    expires_in: timedelta | None,
    created_by: str | None = None,
    clearance: DataClass = DataClass.RESTRICTED,
) -> ApiKey:
    """Store a key's keyed hash; `expires_in` counts from the database's now."""
    row = session.execute(
        _INSERT_KEY,
        {
            "id": new_id(),
            "organization_id": organization_id,
            "project_id": project_id,
            "name": name,
            "prefix": prefix,
            "hash": digest,
            "scopes": list(scopes),
            "expires_in": expires_in,
            "created_by": created_by,
            "clearance": clearance,
        },
    ).one()
    return _key(row)


def key_by_hash(session: Executor, digest: bytes) -> KeyRow | None:
    """The key whose stored hash is `digest`, whatever its organization; needs `Database.system`."""
    row = session.execute(_KEY_BY_HASH, {"hash": digest}).one_or_none()
    return (
        None
        if row is None
        else KeyRow(
            row.id,
            row.organization_id,
            row.project_id,
            bytes(row.hash),
            row.scopes,
            row.is_revoked,
            row.is_expired,
            row.is_replaced,
            row.is_project_archived,
            DataClass(row.clearance),
        )
    )


def replace_hash(session: Executor, retired: Sequence[bytes], digest: bytes) -> None:
    """Store a key's hash under the current secret key in place of one of `retired`; needs `Database.system`."""
    session.execute(_REPLACE_HASH, {"hash": digest, "retired": list(retired)})


def subject(session: Executor, organization: str, issuer: str, name: str, project_id: UUID | None) -> SubjectRow | None:
    """The stored subject `name` of `issuer`; None without such an organization; needs `Database.system`."""
    parameters = {"organization": organization, "issuer": issuer, "subject": name, "project_id": project_id}
    row = session.execute(_SUBJECT, parameters).one_or_none()
    return None if row is None else SubjectRow(*row)


def get_key(
    session: Executor, organization_id: UUID, project_id: UUID | None, key_id: UUID, *, lock: bool = False
) -> ApiKey | None:
    """The key, of that project or of any when `project_id` is None; with `lock`, locked until the transaction ends."""
    parameters = {"id": key_id, "organization_id": organization_id, "project_id": project_id}
    row = session.execute(_LOCK_KEY if lock else _GET_KEY, parameters).one_or_none()
    return None if row is None else _key(row)


def list_keys(
    session: Executor,
    organization_id: UUID,
    project_id: UUID | None,
    *,
    cursor: UUID | None,
    limit: int,
    with_ended: bool,
) -> Sequence[ApiKey]:
    """A page of keys with ids below `cursor`, newest first; of all projects when `project_id` is None."""
    parameters = {
        "organization_id": organization_id,
        "project_id": project_id,
        "cursor": cursor,
        "limit": limit,
        "with_ended": with_ended,
    }
    return [_key(row) for row in session.execute(_LIST_KEYS, parameters)]


def revoke_key(session: Executor, organization_id: UUID, key_id: UUID) -> ApiKey | None:
    """Mark a key revoked; None when the organization has no such key."""
    row = session.execute(_REVOKE, {"id": key_id, "organization_id": organization_id}).one_or_none()
    return None if row is None else _key(row)


def replace_key(session: Executor, organization_id: UUID, key_id: UUID, new_id: UUID, overlap: timedelta) -> None:
    """Let a key expire after `overlap`, replaced by `new_id`."""
    session.execute(_REPLACE, {"id": key_id, "organization_id": organization_id, "new_id": new_id, "overlap": overlap})


def is_of_one_hand(session: Executor, organization_id: UUID, key_id: UUID, caller: str) -> bool:
    """Whether `caller`, a key or member by its API id, is the key, created it, or holds one that replaced the other."""
    values = {"id": key_id, "organization_id": organization_id, "caller": caller}
    return bool(session.execute(_OF_ONE_HAND, values).scalar_one())


def ended_keys(session: Executor, key_ids: Sequence[UUID]) -> list[UUID]:
    """Those of `key_ids` that were revoked or have expired, whatever their organization; needs `Database.system`."""
    return list(session.execute(_ENDED, {"ids": list(key_ids)}).scalars())


def touch_keys(session: Executor, key_ids: Sequence[UUID], every: timedelta) -> None:
    """Record that keys were used just now, except those recorded less than `every` ago; needs `Database.system`."""
    session.execute(_TOUCH, {"ids": list(key_ids), "every": every})


def begin_answer(session: Session, project_id: UUID, key: str) -> AnswerRow:
    """Try to take the lock of an idempotency key until the transaction ends, and read its first answer."""
    row = session.execute(_BEGIN_ANSWER, {"scope": f"{project_id}:{key}", "project_id": project_id, "key": key}).one()
    return AnswerRow(*row)


def store_answer(
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
    """Store the first answer of an idempotency key; False when another transaction has just stored one."""
    stored = session.execute(
        _STORE_ANSWER,
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
    return bool(stored)
