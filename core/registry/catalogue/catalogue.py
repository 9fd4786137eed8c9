"""Resolves names to models from a short-lived cache: a call makes no Postgres query while the cache is warm."""

from dataclasses import dataclass, replace
from uuid import UUID

from core.kit.db import Executor
from core.kit.ids import MODEL_VERSION, encode
from core.kit.memory import Memory
from core.kit.settings import Settings
from core.registry.catalogue import repository
from core.registry.catalogue.precedence import Entry, Names, find, reachable
from core.registry.data_classes import DataClass
from core.registry.deployments import DEFAULT, DeploymentCatalogue
from core.registry.errors import ModelUnknown
from core.registry.records import ResolvedModel

# A change reaches every process within two seconds; the rest of them is for the query itself.
REMEMBER_SECONDS = 1.5
_ORGANIZATIONS_MAX = 1_000
_PINS_MAX = 10_000
_NAMES_SHOWN = 50
_QUOTING = "local/extractive"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The model for a name, and the reason: a line of `precedence.lines`, ``pin``, ``settings``."""

    model: ResolvedModel
    by: str


class ModelCatalogue:
    """The catalogue of a process. Safe in threads.

    A version's data-class ceiling is never above that of its deployment, even when the operator lowers that one later.
    Without any row, the catalogue resolves the names in the settings: ``default`` is the configured model, or
    ``local/extractive`` when there is none.
    """

    def __init__(self, settings: Settings, deployments: DeploymentCatalogue) -> None:
        self._deployments = deployments
        self._settings_name = settings.model_name if settings.model_base_url is not None else None
        self._has_endpoint = settings.model_base_url is not None
        self._remembered: Memory[UUID, Names] = Memory(REMEMBER_SECONDS, entries_max=_ORGANIZATIONS_MAX)
        self._pins: dict[tuple[UUID, UUID], ResolvedModel] = {}

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
        """The version that `name` resolves to here, now; with `pinned`, that version, whatever its stage.

        Raises `ModelUnknown`, which lists the known names.
        """
        return self.explain(
            executor,
            organization_id=organization_id,
            project_id=project_id,
            capability=capability,
            name=name,
            pinned=pinned,
        ).model

    def explain(
        self,
        executor: Executor,
        *,
        organization_id: UUID,
        project_id: UUID,
        capability: str,
        name: str,
        pinned: UUID | None = None,
    ) -> Resolution:
        """Like `resolve`, with the reason."""
        if pinned is not None:
            return Resolution(self._pinned(executor, organization_id, pinned), "pin")
        names = self._names(executor, organization_id)
        found = find(names, project_id, capability, name)
        if found is not None and found.entry.resolved is not None:
            return Resolution(found.entry.resolved, found.by)
        if found is not None:
            raise ModelUnknown(f"{name} is the model {found.entry.model}, which has no champion: promote a version")
        configured = self._configured(names, project_id, capability, name)
        if configured is not None:
            return Resolution(configured, "settings")
        known = sorted(reachable(names, project_id, capability) | self._configured_names())
        more = f" and {len(known) - _NAMES_SHOWN} more" if len(known) > _NAMES_SHOWN else ""
        raise ModelUnknown(f"there is no model {name[:100]!r}; there are: {', '.join(known[:_NAMES_SHOWN])}{more}")

    def known(self, executor: Executor, *, organization_id: UUID, project_id: UUID, capability: str) -> list[str]:
        """Every name that `resolve` accepts here, sorted."""
        names = self._names(executor, organization_id)
        return sorted(reachable(names, project_id, capability) | self._configured_names())

    def evict(self) -> None:
        """Read names again from now on. The contents of versions stay cached, because they never change."""
        self._remembered.evict()

    def _names(self, executor: Executor, organization_id: UUID) -> Names:
        return self._remembered.get(
            executor, organization_id, lambda executor: self._read_names(executor, organization_id)
        ).value

    def _read_names(self, executor: Executor, organization_id: UUID) -> Names:
        return {
            key: Entry(model, None if resolved is None else self._lowered(resolved))
            for key, (model, resolved) in repository.names(executor, organization_id).items()
        }

    def _pinned(self, executor: Executor, organization_id: UUID, version_id: UUID) -> ResolvedModel:
        known = self._pins.get((organization_id, version_id))
        if known is not None:
            return known
        found = repository.version(executor, organization_id, version_id)
        if found is None:
            raise ModelUnknown(f"there is no version {encode(MODEL_VERSION, version_id)} of any model")
        if len(self._pins) >= _PINS_MAX:
            self._pins.clear()
        lowered = self._pins[organization_id, version_id] = self._lowered(found)
        return lowered

    def _lowered(self, model: ResolvedModel) -> ResolvedModel:
        deployment = self._deployments.find(model.deployment)
        if deployment is None or DataClass(model.data_class_ceiling).is_within(deployment.data_class_ceiling):
            return model
        return replace(model, data_class_ceiling=deployment.data_class_ceiling.value)

    def _configured_names(self) -> set[str]:
        return {DEFAULT, *((self._settings_name,) if self._settings_name else ())}

    def _configured(self, names: Names, project_id: UUID, capability: str, name: str) -> ResolvedModel | None:
        if name not in self._configured_names():
            return None
        if self._has_endpoint:
            return _endpoint(self._settings_name or "")
        quoting = find(names, project_id, capability, _QUOTING)
        return None if quoting is None else quoting.entry.resolved


def _endpoint(name: str) -> ResolvedModel:
    return ResolvedModel(
        model=name or DEFAULT,
        provider="openai-compatible",
        deployment=DEFAULT,
        provider_model=name,
        abilities=frozenset({"streams", "writes", "tools", "json_schema", "vision"}),
        price_provider="openai-compatible",
        price_model=name,
    )
