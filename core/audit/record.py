"""Writing a record: one INSERT into the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import text

from core.audit.actions import AuditAction
from core.kit.db import Executor

ActorKind = Literal["key", "user", "worker", "dispatcher", "system"]

_RECORD = text("""
INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, actor_id, attempt,
  payload_digest, detail)
VALUES (:organization_id, :project_id, :action, :subject_id, :actor_kind, :actor_id, :attempt, :payload_digest,
  CAST(:detail AS jsonb))
""")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `id` is the id of a key or user, or the name of a worker; never a person's name or address."""

    kind: ActorKind
    id: str | None = None


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
) -> None:
    """Add a record to the caller's transaction.

    `payload_digest` is the SHA-256 of what is never stored here. `detail` holds facts about the act (codes, amounts,
    ids), never personal data or payloads.
    """
    session.execute(
        _RECORD,
        {
            "organization_id": organization_id,
            "project_id": project_id,
            "action": action.value,
            "subject_id": subject_id,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
            "attempt": attempt,
            "payload_digest": payload_digest,
            "detail": orjson.dumps(dict(detail or {})).decode(),
        },
    )
