"""Models, versions and stages as plain data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from core.audit.record import Actor
from core.keys.principal import Principal
from core.registry.data_classes import DataClass

# The abilities of a chat model; `core.gateway.models.Ability` repeats them, and a test compares the two.
ABILITIES = ("streams", "quotes", "writes", "abstains", "tools", "json_schema", "vision")

# The price list of each provider's models, unless a version names another.
PRICE_PROVIDERS = {
    "openai-compatible": "openai-compatible",
    "azure-openai": "azure",
    "anthropic": "anthropic",
    "local": "local",
}


class Stage(StrEnum):
    """The stage of a version. The model's name resolves to its one champion."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"


class Cause(StrEnum):
    """The reason for a change of stage."""

    CREATED = "created"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"
    RETIRED = "retired"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of written rows: an organization, or with None all of them (shared), which needs `Database.system`."""

    organization_id: UUID | None
    actor: Actor

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """The caller's organization."""
        return cls(principal.organization_id, principal.actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """The content of a new version. It is written once and never changed.

    `deployment` names the endpoint, `provider_model` the model's name there. `prompt_set` maps names of prompts
    to digests, `fallbacks` are names of models that are tried, in order, when this one fails.
    """

    provider: str
    deployment: str
    provider_model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    context_window: int | None = None
    max_output_tokens: int | None = None
    abilities: tuple[str, ...] = ()
    price_provider: str
    price_model: str
    data_class_ceiling: DataClass = DataClass.INTERNAL
    regions: tuple[str, ...] = ()
    prompt_set: Mapping[str, str] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A stored version. `is_priced`: it has a price, as far as this organization can see."""

    id: UUID
    model_id: UUID
    organization_id: UUID | None
    number: int
    content: NewVersion
    digest: str
    created_at: datetime
    stage: Stage
    is_priced: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A stored model; `organization_id` None: shared. `champion` is the number of the version that its name means."""

    id: UUID
    organization_id: UUID | None
    name: str
    description: str
    created_at: datetime
    version_count: int = 0
    champion_id: UUID | None = None
    champion: int | None = None


@dataclass(frozen=True, slots=True)
class StageChange:
    """A change of one version's stage. `number` counts a model's changes without gaps, in order."""

    id: UUID
    number: int
    version_id: UUID
    version: int
    stage: Stage
    cause: Cause
    reason: str
    actor_kind: str
    actor_id: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """One version of a model, with everything that a call needs.

    `price_provider` and `price_model` are its name in the price list; `fallbacks` are names, tried in order.
    `version_id` is None for the model from the settings, which is not in the registry.
    """

    model: str
    version_id: UUID | None = None
    version: int | None = None
    provider: str
    deployment: str
    provider_model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    context_window: int | None = None
    max_output_tokens: int | None = None
    abilities: Collection[str]
    price_provider: str
    price_model: str
    data_class_ceiling: str = "restricted"
    regions: tuple[str, ...] = ()
    prompt_set: Mapping[str, str] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
