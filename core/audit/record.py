"""Writes a record: one INSERT in the caller's transaction."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from core.audit.actions import AuditAction
from core.kit.db import Executor
from core.kit.json_values import dumps

ActorKind = Literal["key", "user", "worker", "dispatcher", "system"]

PERSONAL = "personal"
_SALT_BYTES = 32

_INSERT = """
INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, actor_id, attempt,
  payload_digest, detail)
VALUES (:organization_id, :project_id, :action, :subject_id, :actor_kind, :actor_id, :attempt, :payload_digest,
  CAST(:detail AS jsonb))
"""
_RECORD = text(_INSERT)
# One statement, because the executor may be one that commits after each.
_RECORD_WITH_PERSONAL = text(f"""
WITH personal AS (
  INSERT INTO audit_personal (organization_id, digest, data_subject, field, salt, value)
  SELECT :organization_id, digest, CAST(:data_subject AS text), field, salt, value
  FROM unnest(CAST(:digests AS bytea[]), CAST(:fields AS text[]), CAST(:salts AS bytea[]), CAST(:values AS text[]))
    AS personal (digest, field, salt, value)
)
{_INSERT}
""")


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor of a record. `id` is a key's or user's id, or a worker's name; never a person's name or address."""

    kind: ActorKind
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Personal:
    """Personal data that belongs to a record: `fields` by name, all of them about one person.

    `data_subject` is the name that an erasure will use: an id, or an address. The record keeps salted digests of the
    values.
    """

    data_subject: str
    fields: Mapping[str, str]


def record(
    session: Executor,
    organization_id: UUID,
    project_id: UUID | None,
    action: AuditAction,
    *,
    subject_id: str,
    actor: Actor,
    attempt: int | None = None,
    payload_digest: bytes | None = None,
    detail: Mapping[str, Any] | None = None,
    personal: Personal | None = None,
) -> None:
    """Add a record to the caller's transaction.

    `payload_digest` is the SHA-256 of the payload, which is never stored here. `detail` holds facts about the act
    (codes, amounts, ids), never personal data or payloads: personal data goes into `personal`, and can be erased.
    """
    facts = dict(detail or {})
    parameters = {
        "organization_id": organization_id,
        "project_id": project_id,
        "action": action.value,
        "subject_id": subject_id,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "attempt": attempt,
        "payload_digest": payload_digest,
    }
    if personal is None:
        session.execute(_RECORD, {**parameters, "detail": dumps(facts).decode()})
        return
    salts = [secrets.token_bytes(_SALT_BYTES) for _ in personal.fields]
    digests = [salted_digest(salt, value) for salt, value in zip(salts, personal.fields.values(), strict=True)]
    facts[PERSONAL] = dict(zip(personal.fields, (digest.hex() for digest in digests), strict=True))
    session.execute(
        _RECORD_WITH_PERSONAL,
        {
            **parameters,
            "detail": dumps(facts).decode(),
            "data_subject": personal.data_subject,
            "digests": digests,
            "fields": list(personal.fields),
            "salts": salts,
            "values": list(personal.fields.values()),
        },
    )


def salted_digest(salt: bytes, value: str) -> bytes:
    """The digest that replaces a personal value in a record: without the salt, guesses cannot be tested against it."""
    return hashlib.sha256(salt + value.encode()).digest()
