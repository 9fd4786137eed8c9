"""Which model a name refers to. The registry resolves names; without it, the settings name one model or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from core.capability import ModelUsage
from core.gateway.models import Ability, Check, Embedder, Provider
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.settings import Settings
from core.registry.errors import ModelUnknown
from core.registry.records import ResolvedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHAT = "default"
EMBEDDING = "embedding"
LOCAL = "local"
EXTRACTIVE = "local/extractive"
MINILM = "local/all-MiniLM-L6-v2-int8"
DEPLOYMENT = "default"


class Catalogue(Protocol):
    """Resolves names to models. Called before every call, so it must answer from memory."""

    def resolve(
        self,
        executor: Executor,
        *,
        organization_id: UUID,
        project_id: UUID,
        capability: str,
        name: str,
        pinned: UUID | None = None,
    ) -> ResolvedModel:
        """The model called `name` in this context. Raises an error that lists the existing names when there is none."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a deployment, as traces show it."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Reached:
    """A model behind its deployment, and how often one call may try it. `address` is None for this process."""

    provider: Provider
    max_attempts: int = 3
    address: Address | None = None


class EmbeddedTexts(Protocol):
    """Unit vectors of shape (texts, dimensions), and their cost in ``embedding_tokens``."""

    @property
    def vectors(self) -> "NDArray[np.float32]":
        """One row per text."""

    @property
    def usage(self) -> ModelUsage:
        """The consumption."""


class RemoteEmbedder(Protocol):
    """An embedding model behind an endpoint. Safe to use from several threads."""

    def bound(self, texts: Sequence[str]) -> dict[str, int]:
        """The maximum cost of `texts`, by kind of quantity of the ledger."""

    def embed(self, texts: Sequence[str], *, dimensions: int | None = None, check: Check) -> EmbeddedTexts:
        """One request; `dimensions` instead of the deployment's own. Raises `core.gateway.errors.GatewayError`."""

    def close(self) -> None:
        """Release the connections."""


@dataclass(frozen=True, slots=True)
class ReachedEmbedder:
    """An embedding model: one embedded in this process, or one behind a deployment."""

    local: Embedder | None = None
    remote: RemoteEmbedder | None = None
    max_attempts: int = 1
    address: Address | None = None


class Deployments(Protocol):
    """Opens the provider of a model."""

    def reach(self, model: ResolvedModel) -> Reached:
        """The same provider object for the same version, until `close`. Raises `core.kit.errors.Unavailable`."""

    def reach_embedder(self, model: ResolvedModel) -> ReachedEmbedder:
        """The same for a model that turns texts into vectors."""

    def close(self) -> None:
        """Release the connections of all providers that were opened."""


class BuiltInCatalogue:
    """The models of an installation without a registry: the one in the settings, and the embedded ones."""

    def __init__(self, settings: Settings) -> None:
        self._models = {EXTRACTIVE: _extractive(), MINILM: _minilm()}
        self._models[EMBEDDING] = self._models["local/minilm"] = self._models[MINILM]
        self._models[CHAT] = self._models[EXTRACTIVE]
        if settings.model_base_url is not None:
            name = settings.model_name or ""
            self._models[CHAT] = self._models[name or CHAT] = _configured(name)

    def resolve(
        self,
        executor: Executor,  # noqa: ARG002 - nothing is read
        *,
        organization_id: UUID,  # noqa: ARG002 - the same for all
        project_id: UUID,  # noqa: ARG002
        capability: str,  # noqa: ARG002
        name: str,
        pinned: UUID | None = None,  # noqa: ARG002 - there is one version of each
    ) -> ResolvedModel:
        """See `Catalogue.resolve`. Raises `ModelUnknown`."""
        found = self._models.get(name)
        if found is None:
            raise ModelUnknown(f"there is no model {name[:100]!r}; there are: {', '.join(sorted(self._models))}")
        return found


def may_see(model: ResolvedModel, data_class: str, regions: frozenset[str] | None = None) -> bool:
    """Whether data of this class may go to the model. Anything but one of the four classes may go nowhere.

    Where `regions` are given, a model that is not embedded must be known to run only in these.
    """
    try:
        is_within = DataClass(data_class).is_within(DataClass(model.data_class_ceiling))
    except ValueError:
        return False
    if regions is None or model.provider == LOCAL:
        return is_within
    return is_within and bool(model.regions) and regions.issuperset(model.regions)


def _configured(name: str) -> ResolvedModel:
    abilities = (Ability.STREAMS, Ability.WRITES, Ability.TOOLS, Ability.JSON_SCHEMA, Ability.VISION)
    return ResolvedModel(
        model=name,
        provider="openai-compatible",
        deployment=DEPLOYMENT,
        provider_model=name,
        abilities=frozenset(abilities),
        price_provider="openai-compatible",
        price_model=name,
    )


def _extractive() -> ResolvedModel:
    return _embedded(EXTRACTIVE, frozenset({Ability.STREAMS, Ability.QUOTES, Ability.ABSTAINS}))


def _minilm() -> ResolvedModel:
    return _embedded(MINILM, frozenset())


def _embedded(name: str, abilities: frozenset[Ability]) -> ResolvedModel:
    return ResolvedModel(
        model=name,
        provider=LOCAL,
        deployment=name,
        provider_model=name,
        abilities=abilities,
        price_provider=LOCAL,
        price_model=name,
    )
