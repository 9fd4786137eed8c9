"""The SQL of prompts. Rows are only ever added."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.audit.record import Actor
from core.kit.db import Executor
from core.registry.prompts.records import PromptVersion

_PROMPT = """
SELECT prompt.id, prompt.organization_id, prompt.name, prompt.number, prompt.digest, prompt.text, prompt.takes_force,
  prompt.created_at, prompt.takes_force AND NOT EXISTS (
    SELECT FROM prompts AS later WHERE later.name = prompt.name AND later.takes_force AND later.number > prompt.number
      AND later.organization_id IS NOT DISTINCT FROM prompt.organization_id)
FROM prompts AS prompt
WHERE (prompt.organization_id IS NULL OR prompt.organization_id = :organization_id)
"""
_GET = text(f"{_PROMPT} AND prompt.id = :id")
_BY_DIGEST = text(
    f"{_PROMPT} AND prompt.name = :name AND prompt.digest = :digest ORDER BY prompt.organization_id IS NULL LIMIT 1"
)
_LIST = text(
    f"{_PROMPT} AND (CAST(:cursor AS uuid) IS NULL OR prompt.id < CAST(:cursor AS uuid))"
    " AND (CAST(:name AS text) IS NULL OR prompt.name = :name) ORDER BY prompt.id DESC LIMIT :limit"
)
_IN_FORCE = text("""
SELECT DISTINCT ON (name) name, text, digest FROM prompts
WHERE organization_id = :organization_id AND takes_force ORDER BY name, number DESC
""")
_KNOWN = text("""
SELECT DISTINCT name, digest FROM prompts
WHERE digest = ANY(CAST(:digests AS text[])) AND (organization_id IS NULL OR organization_id = :organization_id)
""")
_LAST = text("""
SELECT digest FROM prompts WHERE organization_id IS NOT DISTINCT FROM CAST(:organization_id AS uuid) AND name = :name
ORDER BY number DESC LIMIT 1
""")
# Numbers have no gaps, so adding a version of a name waits for the previous one.
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended("
    "concat('prompts ', CAST(:organization_id AS uuid), CAST(:name AS text)), 0))"
)
_ADD = text("""
INSERT INTO prompts (organization_id, name, number, digest, text, takes_force, actor_kind, actor_id)
SELECT CAST(:organization_id AS uuid), :name, coalesce(max(number), 0) + 1, :digest, :text, :takes_force, :actor_kind,
  CAST(:actor_id AS text)
FROM prompts WHERE name = :name AND organization_id IS NOT DISTINCT FROM CAST(:organization_id AS uuid)
RETURNING id
""")


def get(session: Executor, organization_id: UUID | None, prompt_id: UUID) -> PromptVersion | None:
    """A version of the organization, or a shared one."""
    row = session.execute(_GET, {"organization_id": organization_id, "id": prompt_id}).one_or_none()
    return None if row is None else _to_record(row)


def by_digest(session: Executor, organization_id: UUID | None, name: str, digest: str) -> PromptVersion | None:
    """The version of a prompt with that digest, the organization's before the shared one."""
    parameters = {"organization_id": organization_id, "name": name, "digest": digest}
    row = session.execute(_BY_DIGEST, parameters).one_or_none()
    return None if row is None else _to_record(row)


def list_prompts(
    session: Executor, organization_id: UUID | None, *, name: str | None, cursor: UUID | None, limit: int
) -> list[PromptVersion]:
    """Versions of the organization, and shared ones, newest first, with ids below `cursor`."""
    parameters = {"organization_id": organization_id, "name": name, "cursor": cursor, "limit": limit}
    return [_to_record(row) for row in session.execute(_LIST, parameters)]


def in_force(session: Executor, organization_id: UUID) -> list[tuple[str, str, str]]:
    """Name, text and digest of every prompt with which the organization replaces a shared one."""
    rows = session.execute(_IN_FORCE, {"organization_id": organization_id})
    return [(row.name, row.text, row.digest) for row in rows]


def known(session: Executor, organization_id: UUID | None, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Names and digests of the prompts with the digests in `wanted` that the organization may see."""
    digests = [digest for _, digest in wanted]
    if not digests:
        return set()
    rows = session.execute(_KNOWN, {"organization_id": organization_id, "digests": digests})
    return {(row.name, row.digest) for row in rows}


def lock(session: Session, organization_id: UUID | None, name: str) -> None:
    """Lock this prompt against other new versions, until the end of the transaction."""
    session.execute(_LOCK, {"organization_id": organization_id, "name": name})


def last_digest(session: Session, organization_id: UUID | None, name: str) -> str | None:
    """The digest of the newest version."""
    found: str | None = session.execute(_LAST, {"organization_id": organization_id, "name": name}).scalar_one_or_none()
    return found


def add(  # noqa: PLR0917 - one row
    session: Session,
    organization_id: UUID | None,
    name: str,
    text_: str,
    digest: str,
    takes_force: bool,
    actor: Actor,
) -> UUID:
    """The id of a new version. The caller holds the lock of the name."""
    made: UUID = session.execute(
        _ADD,
        {
            "organization_id": organization_id,
            "name": name,
            "digest": digest,
            "text": text_,
            "takes_force": takes_force,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
        },
    ).scalar_one()
    return made


def _to_record(row: Row[Any]) -> PromptVersion:
    return PromptVersion(*tuple(row))
