"""The SQL of the catalogue: every meaning of a name for an organization, in one statement."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from core.kit.db import Executor
from core.registry.catalogue.precedence import Entry, Key, Names
from core.registry.records import ResolvedModel

_CONTENT = (
    "version.provider, version.deployment, version.provider_model, version.parameters, version.context_window,"
    " version.max_output_tokens, version.abilities, version.price_provider, version.price_model,"
    " version.data_class_ceiling, version.regions, version.prompt_set, version.fallbacks"
)
_NAMES = text(f"""
SELECT alias.organization_id IS NOT NULL, true, alias.project_id, alias.capability, alias.alias, model.name, version.id,
  version.number, {_CONTENT}
FROM model_aliases AS alias
JOIN models AS model ON model.id = alias.model_id
  AND (model.organization_id IS NULL OR model.organization_id = :organization_id)
LEFT JOIN model_stages AS stage ON stage.model_id = model.id AND stage.stage = 'champion'
LEFT JOIN model_versions AS version ON version.id = coalesce(alias.model_version_id, stage.version_id)
WHERE (alias.organization_id IS NULL OR alias.organization_id = :organization_id)
UNION ALL
SELECT model.organization_id IS NOT NULL, false, NULL, NULL, model.name, model.name, version.id, version.number,
  {_CONTENT}
FROM models AS model
JOIN model_stages AS stage ON stage.model_id = model.id AND stage.stage = 'champion'
JOIN model_versions AS version ON version.id = stage.version_id
WHERE (model.organization_id IS NULL OR model.organization_id = :organization_id)
""")
_VERSION = text(f"""
SELECT model.name, version.id, version.number, {_CONTENT}
FROM model_versions AS version JOIN models AS model ON model.id = version.model_id
WHERE version.id = :id AND (version.organization_id IS NULL OR version.organization_id = :organization_id)
""")


def names(session: Executor, organization_id: UUID) -> Names:
    """Every alias, and every model with a champion, that the organization may see."""
    found: Names = {}
    for row in session.execute(_NAMES, {"organization_id": organization_id}):
        values = tuple(row)
        key = Key(*values[:5])
        found[key] = Entry(values[5], None if values[6] is None else to_resolved(values[5:]))
    return found


def version(session: Executor, organization_id: UUID, version_id: UUID) -> ResolvedModel | None:
    """A version by its id, whatever its stage."""
    row = session.execute(_VERSION, {"organization_id": organization_id, "id": version_id}).one_or_none()
    return None if row is None else to_resolved(row)


def to_resolved(row: Row[Any] | tuple[Any, ...]) -> ResolvedModel:
    """The model in a row of name, version id, number and the columns of the content."""
    values = tuple(row)
    return ResolvedModel(
        model=values[0],
        version_id=values[1],
        version=values[2],
        provider=values[3],
        deployment=values[4],
        provider_model=values[5],
        parameters=values[6],
        context_window=values[7],
        max_output_tokens=values[8],
        abilities=frozenset(values[9]),
        price_provider=values[10],
        price_model=values[11],
        data_class_ceiling=values[12],
        regions=tuple(values[13]),
        prompt_set=values[14],
        fallbacks=tuple(values[15]),
    )
