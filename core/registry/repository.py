"""The SQL of models and versions. Every statement names the organization whose rows are seen beside shared ones."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.kit.json_values import dumps
from core.registry.data_classes import DataClass
from core.registry.records import Model, NewVersion, Stage, Version

_MODEL = """
SELECT model.id, model.organization_id, model.name, model.description, model.created_at,
  (SELECT count(*) FROM model_versions AS counted WHERE counted.model_id = model.id), champion.id, champion.number
FROM models AS model
LEFT JOIN model_stages AS stage ON stage.model_id = model.id AND stage.stage = 'champion'
LEFT JOIN model_versions AS champion ON champion.id = stage.version_id
WHERE (model.organization_id IS NULL OR model.organization_id = :organization_id)
"""
_GET = text(f"{_MODEL} AND model.id = :id")
_BY_NAME = text(f"{_MODEL} AND model.name = :name ORDER BY model.organization_id IS NULL LIMIT 1")
_LIST = text(
    f"{_MODEL} AND (CAST(:cursor AS uuid) IS NULL OR model.id < CAST(:cursor AS uuid))"
    " AND (CAST(:name AS text) IS NULL OR model.name = :name) ORDER BY model.id DESC LIMIT :limit"
)
_CREATE = text("""
INSERT INTO models (organization_id, name, description) VALUES (:organization_id, :name, :description)
ON CONFLICT (organization_id, name) DO NOTHING RETURNING id
""")
_LOCK = text("SELECT id FROM models WHERE id = :id FOR UPDATE")

_CONTENT = (
    "provider, deployment, provider_model, parameters, context_window, max_output_tokens, abilities, price_provider,"
    " price_model, data_class_ceiling, regions, prompt_set, fallbacks"
)
_CONTENT_OF_VERSION = ", ".join(f"version.{name.strip()}" for name in _CONTENT.split(","))
CONTENT_WIDTH = _CONTENT.count(",") + 1
_VERSION = f"""
SELECT version.id, version.model_id, version.organization_id, version.number, version.digest, version.created_at,
  stage.stage, EXISTS (
    SELECT FROM prices WHERE prices.provider = version.price_provider
      AND prices.model IN (version.price_model, '*')
      AND (prices.organization_id IS NULL OR prices.organization_id = :organization_id)),
  {_CONTENT_OF_VERSION}
FROM model_versions AS version JOIN model_stages AS stage ON stage.version_id = version.id
WHERE (version.organization_id IS NULL OR version.organization_id = :organization_id)
"""
_VERSION_BY_NUMBER = text(f"{_VERSION} AND version.model_id = :model_id AND version.number = :number")
_VERSIONS = text(
    f"{_VERSION} AND version.model_id = :model_id AND (CAST(:before AS int) IS NULL OR version.number < :before)"
    " ORDER BY version.number DESC LIMIT :limit"
)
_ADD_VERSION = text(f"""
INSERT INTO model_versions (model_id, organization_id, number, digest, {_CONTENT})
SELECT :model_id, :organization_id, coalesce(max(number), 0) + 1, :digest, :provider, :deployment, :provider_model,
  CAST(:parameters AS jsonb), :context_window, :max_output_tokens, CAST(:abilities AS text[]), :price_provider,
  :price_model, :data_class_ceiling, CAST(:regions AS text[]), CAST(:prompt_set AS jsonb), CAST(:fallbacks AS text[])
FROM model_versions WHERE model_id = :model_id
RETURNING id, number
""")
_KNOWN_NAMES = text("""
SELECT name FROM models
WHERE name = ANY(CAST(:names AS text[])) AND (organization_id IS NULL OR organization_id = :organization_id)
UNION SELECT alias FROM model_aliases
WHERE alias = ANY(CAST(:names AS text[])) AND (organization_id IS NULL OR organization_id = :organization_id)
""")


def get(session: Executor, organization_id: UUID | None, model_id: UUID) -> Model | None:
    """The model, if it belongs to the organization or is shared."""
    row = session.execute(_GET, {"organization_id": organization_id, "id": model_id}).one_or_none()
    return None if row is None else Model(*row)


def by_name(session: Executor, organization_id: UUID | None, name: str) -> Model | None:
    """The organization's model of that name, otherwise the shared one."""
    row = session.execute(_BY_NAME, {"organization_id": organization_id, "name": name}).one_or_none()
    return None if row is None else Model(*row)


def list_models(
    session: Executor, organization_id: UUID | None, *, name: str | None, cursor: UUID | None, limit: int
) -> list[Model]:
    """The organization's models and the shared ones, newest first, with ids below `cursor`."""
    parameters = {"organization_id": organization_id, "name": name, "cursor": cursor, "limit": limit}
    return [Model(*row) for row in session.execute(_LIST, parameters)]


def create(session: Session, organization_id: UUID | None, name: str, description: str) -> UUID | None:
    """The id of a new model; None when the name is taken."""
    parameters = {"organization_id": organization_id, "name": name, "description": description}
    made: UUID | None = session.execute(_CREATE, parameters).scalar_one_or_none()
    return made


def lock(session: Session, model_id: UUID) -> None:
    """Lock the model against other changes, until the end of the transaction."""
    session.execute(_LOCK, {"id": model_id})


def add_version(
    session: Session, organization_id: UUID | None, model_id: UUID, new: NewVersion, digest: str
) -> tuple[UUID, int]:
    """The id and number of a new version. The caller holds the model's lock."""
    row = session.execute(
        _ADD_VERSION,
        {
            "model_id": model_id,
            "organization_id": organization_id,
            "digest": digest,
            "provider": new.provider,
            "deployment": new.deployment,
            "provider_model": new.provider_model,
            "parameters": dumps(dict(new.parameters)).decode(),
            "context_window": new.context_window,
            "max_output_tokens": new.max_output_tokens,
            "abilities": list(new.abilities),
            "price_provider": new.price_provider,
            "price_model": new.price_model,
            "data_class_ceiling": new.data_class_ceiling.value,
            "regions": list(new.regions),
            "prompt_set": dumps(dict(new.prompt_set)).decode(),
            "fallbacks": list(new.fallbacks),
        },
    ).one()
    return row.id, row.number


def version(session: Executor, organization_id: UUID | None, model_id: UUID, number: int) -> Version | None:
    """One version of a model by its number."""
    parameters = {"organization_id": organization_id, "model_id": model_id, "number": number}
    row = session.execute(_VERSION_BY_NUMBER, parameters).one_or_none()
    return None if row is None else to_version(row)


def versions(
    session: Executor, organization_id: UUID | None, model_id: UUID, *, before: int | None, limit: int
) -> list[Version]:
    """A model's versions with numbers below `before`, latest first."""
    parameters = {"organization_id": organization_id, "model_id": model_id, "before": before, "limit": limit}
    return [to_version(row) for row in session.execute(_VERSIONS, parameters)]


def known_names(session: Executor, organization_id: UUID | None, names: Iterable[str]) -> set[str]:
    """Those of `names` that are models or aliases the organization may see."""
    parameters = {"organization_id": organization_id, "names": list(names)}
    return set(session.execute(_KNOWN_NAMES, parameters).scalars())


def to_version(row: Row[Any]) -> Version:
    """The record of a row of `_VERSION`."""
    values = tuple(row)
    identity, content = values[:-CONTENT_WIDTH], values[-CONTENT_WIDTH:]
    return Version(
        id=identity[0],
        model_id=identity[1],
        organization_id=identity[2],
        number=identity[3],
        digest=identity[4],
        created_at=identity[5],
        stage=Stage(identity[6]),
        is_priced=identity[7],
        content=to_content(content),
    )


def to_content(values: Sequence[Any]) -> NewVersion:
    """The content of a version, from its columns in their order."""
    return NewVersion(
        provider=values[0],
        deployment=values[1],
        provider_model=values[2],
        parameters=values[3],
        context_window=values[4],
        max_output_tokens=values[5],
        abilities=tuple(values[6]),
        price_provider=values[7],
        price_model=values[8],
        data_class_ceiling=DataClass(values[9]),
        regions=tuple(values[10]),
        prompt_set=values[11],
        fallbacks=tuple(values[12]),
    )
