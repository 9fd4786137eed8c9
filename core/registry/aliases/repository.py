"""The SQL of aliases. Every statement names the organization whose aliases are seen beside shared ones."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.registry.aliases.records import Alias, NewAlias

_ALIAS = """
SELECT alias.id, alias.organization_id, alias.project_id, alias.capability, alias.alias, alias.model_id, model.name,
  alias.model_version_id, version.number, alias.changed_at
FROM model_aliases AS alias JOIN models AS model ON model.id = alias.model_id
LEFT JOIN model_versions AS version ON version.id = alias.model_version_id
WHERE (alias.organization_id IS NULL OR alias.organization_id = :organization_id)
"""
_GET = text(f"{_ALIAS} AND alias.id = :id")
_LIST = text(
    f"{_ALIAS} AND (CAST(:cursor AS uuid) IS NULL OR alias.id < CAST(:cursor AS uuid)) ORDER BY alias.id DESC"
    " LIMIT :limit"
)
_SET = text("""
INSERT INTO model_aliases (organization_id, project_id, capability, alias, model_id, model_version_id)
VALUES (:organization_id, :project_id, :capability, :alias, :model_id, :version_id)
ON CONFLICT (organization_id, project_id, capability, alias)
DO UPDATE SET model_id = EXCLUDED.model_id, model_version_id = EXCLUDED.model_version_id, changed_at = now()
RETURNING id
""")
_REMOVE = text(
    "DELETE FROM model_aliases WHERE id = :id"
    " AND organization_id IS NOT DISTINCT FROM CAST(:organization_id AS uuid) RETURNING id"
)


def get(session: Executor, organization_id: UUID | None, alias_id: UUID) -> Alias | None:
    """An alias of the organization, or a shared one."""
    row = session.execute(_GET, {"organization_id": organization_id, "id": alias_id}).one_or_none()
    return None if row is None else Alias(*row)


def list_aliases(session: Executor, organization_id: UUID | None, *, cursor: UUID | None, limit: int) -> list[Alias]:
    """The organization's aliases and the shared ones, newest first, with ids below `cursor`."""
    parameters = {"organization_id": organization_id, "cursor": cursor, "limit": limit}
    return [Alias(*row) for row in session.execute(_LIST, parameters)]


def set_alias(
    session: Session, organization_id: UUID | None, new: NewAlias, model_id: UUID, version_id: UUID | None
) -> UUID:
    """The id of the alias, created or updated."""
    made: UUID = session.execute(
        _SET,
        {
            "organization_id": organization_id,
            "project_id": new.project_id,
            "capability": new.capability,
            "alias": new.alias,
            "model_id": model_id,
            "version_id": version_id,
        },
    ).scalar_one()
    return made


def remove(session: Session, organization_id: UUID | None, alias_id: UUID) -> bool:
    """Remove an alias of exactly this owner; False when there was none."""
    parameters = {"organization_id": organization_id, "id": alias_id}
    return session.execute(_REMOVE, parameters).one_or_none() is not None
