"""Models, versions, stages, aliases and deployments schemas."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.kit.clock import isoformat
from core.kit.ids import ALIAS, MODEL, MODEL_VERSION, PROJECT, encode
from core.ledger.prices.aliases import known_as
from core.registry.aliases.records import Alias as AliasRecord
from core.registry.catalogue.catalogue import Resolution
from core.registry.data_classes import DataClass
from core.registry.deployments import Deployment as DeploymentRecord
from core.registry.records import Cause, Stage, StageChange, Version
from core.registry.records import Model as ModelRecord
from core.registry.validation import TOKENS_MAX

_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$"
_WORD_PATTERN = r"^[!-~]([ -~]{0,198}[!-~])?$"
_TEXT_PATTERN = r"^[^\x00]*$"
NUMBER_MAX = 2**31 - 1

ModelName = Annotated[str, Field(pattern=_NAME_PATTERN, max_length=100)]
Word = Annotated[str, Field(pattern=_WORD_PATTERN, max_length=200)]
VersionNumber = Annotated[int, Field(strict=True, ge=1, le=NUMBER_MAX)]
Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=_TEXT_PATTERN)]
AbilityName = Literal["streams", "quotes", "writes", "abstains", "tools", "json_schema", "vision"]
ProviderName = Literal["openai-compatible", "azure-openai", "anthropic", "local"]
AppliesTo = Literal["organization", "shared"]
_PRICED = "Whether the price book has a price for it. Calls without a price are metered and cost 0."
_CEILING = "The highest data class that it may process."
_EXPECTED = "Apply only if this version is the champion; otherwise the request is refused with `champion_changed`."


class CreateModel(BaseModel):
    """A new model, without versions."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "writer"}]})

    name: ModelName = Field(
        description="The name used in requests. Your model takes precedence over a shared model of the same name."
    )
    description: str = Field("", max_length=1000, pattern=_TEXT_PATTERN)


class AddVersion(BaseModel):
    """A new version. Versions never change."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "deployment": "local/smollm2",
                    "provider_model": "local/smollm2",
                    "context_window": 4096,
                    "abilities": ["streams", "writes", "json_schema"],
                }
            ]
        },
    )

    deployment: str = Field(
        min_length=1, max_length=100, pattern=_WORD_PATTERN, description="The deployment that serves it."
    )
    provider: ProviderName | None = Field(
        None, description="Default, and the only valid value: the deployment's provider."
    )
    provider_model: Word = Field(description="The model's name at the provider.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, max_length=20, description="Parameters sent with every call. The list is closed."
    )
    context_window: int = Field(
        strict=True, ge=1, le=TOKENS_MAX, description="Maximum number of tokens read and written in one call."
    )
    max_output_tokens: int | None = Field(None, strict=True, ge=1, le=TOKENS_MAX)
    abilities: list[AbilityName] = Field(default_factory=list, max_length=20)
    price_provider: Word | None = Field(
        None, description="Provider in the price book. Default: according to `provider`."
    )
    price_model: Word | None = Field(None, description="Name in the price book. Default: `provider_model`.")
    data_class_ceiling: DataClass = Field(DataClass.INTERNAL, description=_CEILING)
    regions: list[Word] | None = Field(None, max_length=20, description="Default: the deployment's value.")
    prompt_set: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="Prompts to use with it: names and digests."
    )
    fallbacks: list[ModelName] = Field(
        default_factory=list, max_length=5, description="Names of models to use when it does not answer."
    )


class PromoteVersion(BaseModel):
    """A version to make champion."""

    model_config = ConfigDict(extra="forbid")

    version: VersionNumber
    reason: Reason = Field(description="The reason, for the history.")
    champion: VersionNumber | None = Field(None, description=_EXPECTED)


class Rollback(BaseModel):
    """The reason for a rollback."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(description="The reason, for the history.")
    champion: VersionNumber | None = Field(None, description=_EXPECTED)


class ChangeVersion(BaseModel):
    """A version to retire or restore."""

    model_config = ConfigDict(extra="forbid")

    version: VersionNumber
    reason: Reason = Field(description="The reason, for the history.")


class SetAlias(BaseModel):
    """An alias to set."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"alias": "default", "model": "local/extractive"}]},
    )

    alias: ModelName
    model: ModelName = Field(description="The name of a model, not of another alias.")
    version: VersionNumber | None = Field(None, description="The version to pin. Default: the current champion.")
    project_id: str | None = Field(None, max_length=40, description="Apply only in this project.")
    capability: str | None = Field(
        None,
        max_length=129,
        pattern=r"^[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}$",
        description="Apply only to this capability.",
    )


class Model(BaseModel):
    """A model."""

    id: str
    name: str
    description: str
    champion: int | None = Field(description="The version that the name resolves to. Null before the first promotion.")
    champion_id: str | None
    version_count: int
    applies_to: AppliesTo = Field(description="`organization`: yours. `shared`: shared by the operator, read-only.")
    created_at: datetime


class ModelPage(BaseModel):
    """A page of models, newest first."""

    data: list[Model]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class ModelVersion(BaseModel):
    """A version. Its content never changes; its stage can."""

    id: str
    model_id: str
    version: int
    stage: Stage
    provider: str
    deployment: str
    provider_model: str
    parameters: dict[str, Any]
    context_window: int | None
    max_output_tokens: int | None
    abilities: list[str]
    price_provider: str
    price_model: str
    priced: bool = Field(description=_PRICED)
    data_class_ceiling: DataClass = Field(description=_CEILING)
    regions: list[str]
    prompt_set: dict[str, str]
    fallbacks: list[str]
    digest: str = Field(description="Digest of the content. Versions with the same digest are identical.")
    created_at: datetime


class ModelVersionPage(BaseModel):
    """A model's versions, latest first."""

    data: list[ModelVersion]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class StageChanged(BaseModel):
    """An entry of a model's history."""

    number: int = Field(description="Sequence number of the change for this model, without gaps.")
    version: int
    stage: Stage = Field(description="The version's stage after the change.")
    cause: Cause
    reason: str
    actor_kind: str
    actor_id: str | None
    changed_at: datetime


class StageHistory(BaseModel):
    """A model's history, latest change first."""

    data: list[StageChanged]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class Alias(BaseModel):
    """Another name for a model."""

    id: str
    alias: str
    model: str
    model_id: str
    version: int | None = Field(description="The pinned version. Null for the current champion.")
    project_id: str | None
    capability: str | None
    applies_to: AppliesTo
    changed_at: datetime


class AliasPage(BaseModel):
    """A page of aliases, newest first."""

    data: list[Alias]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class ResolvedModel(BaseModel):
    """The result of resolving a name."""

    name: str
    model: str
    version: int | None = Field(description="Null for the model that the operator's settings name.")
    version_id: str | None
    deployment: str
    provider_model: str
    because: Literal[
        "project_capability_alias",
        "project_alias",
        "organization_capability_alias",
        "organization_alias",
        "champion",
        "shared_capability_alias",
        "shared_alias",
        "shared_champion",
        "settings",
    ]


class Deployment(BaseModel):
    """A provider endpoint. Addresses and credentials belong to the operator and are never shown."""

    name: str
    provider: str
    region: str | None
    data_class_ceiling: DataClass = Field(description="The highest data class that may be sent there.")


class DeploymentList(BaseModel):
    """The deployments that a version may name."""

    data: list[Deployment]


def model_to_wire(model: ModelRecord) -> dict[str, Any]:
    """`model` as the members of `Model`."""
    return {
        "id": encode(MODEL, model.id),
        "name": model.name,
        "description": model.description,
        "champion": model.champion,
        "champion_id": None if model.champion_id is None else encode(MODEL_VERSION, model.champion_id),
        "version_count": model.version_count,
        "applies_to": "shared" if model.organization_id is None else "organization",
        "created_at": isoformat(model.created_at),
    }


def version_to_wire(version: Version) -> dict[str, Any]:
    """`version` as the members of `ModelVersion`."""
    content = version.content
    return {
        "id": encode(MODEL_VERSION, version.id),
        "model_id": encode(MODEL, version.model_id),
        "version": version.number,
        "stage": version.stage.value,
        "provider": content.provider,
        "deployment": content.deployment,
        "provider_model": content.provider_model,
        "parameters": dict(content.parameters),
        "context_window": content.context_window,
        "max_output_tokens": content.max_output_tokens,
        "abilities": list(content.abilities),
        "price_provider": content.price_provider,
        "price_model": content.price_model,
        "priced": version.is_priced or known_as(content.price_provider, content.price_model) is not None,
        "data_class_ceiling": content.data_class_ceiling.value,
        "regions": list(content.regions),
        "prompt_set": dict(content.prompt_set),
        "fallbacks": list(content.fallbacks),
        "digest": version.digest,
        "created_at": isoformat(version.created_at),
    }


def change_to_wire(change: StageChange) -> dict[str, Any]:
    """`change` as the members of `StageChanged`."""
    return {
        "number": change.number,
        "version": change.version,
        "stage": change.stage.value,
        "cause": change.cause.value,
        "reason": change.reason,
        "actor_kind": change.actor_kind,
        "actor_id": change.actor_id,
        "changed_at": isoformat(change.changed_at),
    }


def alias_to_wire(alias: AliasRecord) -> dict[str, Any]:
    """`alias` as the members of `Alias`."""
    return {
        "id": encode(ALIAS, alias.id),
        "alias": alias.alias,
        "model": alias.model,
        "model_id": encode(MODEL, alias.model_id),
        "version": alias.version,
        "project_id": None if alias.project_id is None else encode(PROJECT, alias.project_id),
        "capability": alias.capability,
        "applies_to": "shared" if alias.organization_id is None else "organization",
        "changed_at": isoformat(alias.changed_at),
    }


def resolution_to_wire(name: str, resolution: Resolution) -> dict[str, Any]:
    """What `name` means, as the members of `ResolvedModel`."""
    model = resolution.model
    return {
        "name": name,
        "model": model.model,
        "version": model.version,
        "version_id": None if model.version_id is None else encode(MODEL_VERSION, model.version_id),
        "deployment": model.deployment,
        "provider_model": model.provider_model,
        "because": resolution.by,
    }


def deployment_to_wire(deployment: DeploymentRecord) -> dict[str, Any]:
    """The public part of a deployment."""
    return {
        "name": deployment.name,
        "provider": deployment.provider,
        "region": deployment.region,
        "data_class_ceiling": deployment.data_class_ceiling.value,
    }
