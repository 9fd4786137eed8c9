"""How a statement about jobs leaves its audit record: a CTE beside the change, in the same statement.

Each fragment reads the CTE ``job``, so that the records match the changes, row by row.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from core.audit.actions import AuditAction
from core.keys.principal import Principal
from core.kit.ids import JOB, encode
from core.kit.json_values import dumps

_COLUMNS = "organization_id, project_id, action, subject_id, actor_kind, actor_id, attempt, payload_digest, detail"

# Given by who executes a statement about one job: made in SQL, it is a fifth of the statement's processor time or more.
SUBJECT = "CAST(:subject AS text)"
CALLER = (":actor_kind", ":actor_id")
DISPATCHER = ("'dispatcher'", "NULL")


def audited(
    action: AuditAction | str,
    actor: tuple[str, str],
    *,
    subject: str = "typeid('job', id)",
    digest: str = "NULL",
    detail: str = "'{}'",
) -> str:
    """The CTE ``audit``: one record for every row of ``job``. All but a constant `action` are SQL expressions."""
    named = f"'{action.value}'" if isinstance(action, AuditAction) else action
    kind, name = actor
    return (
        f"audit AS (INSERT INTO audit_inbox ({_COLUMNS})"
        f" SELECT organization_id, project_id, {named}, {subject}, {kind}, {name}, attempt, {digest}, {detail}"
        " FROM job)"
    )


def actor_parameters(principal: Principal) -> dict[str, str | None]:
    """The parameters that `CALLER` names."""
    return {"actor_kind": principal.actor.kind, "actor_id": principal.actor.id}


def subject_of(job_id: UUID) -> str:
    """The parameter that `SUBJECT` names."""
    return encode(JOB, job_id)


def digest_of(payload: Mapping[str, Any]) -> bytes:
    """The SHA-256 of a payload's canonical JSON: keys sorted, no white space, UTF-8."""
    return hashlib.sha256(dumps(payload, sort_keys=True)).digest()
