"""The model registry: models, versions, stages, aliases, deployments, prompts."""

from collections.abc import Mapping
from typing import Any

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.bodies import given
from waybill.client.models import (
    Alias,
    Deployment,
    Model,
    ModelVersion,
    Page,
    Prompt,
    ResolvedModel,
    StageChange,
)

_MODELS = "/v1/models"
_ALIASES = "/v1/aliases"
_PROMPTS = "/v1/prompts"


class AsyncModels(AsyncEndpoints):
    """``/v1/models`` and ``/v1/deployments``."""

    async def create(self, name: str, description: str = "") -> Model:
        """A new model, without versions."""
        return await self._post(Model, _MODELS, {"name": name, "description": description})

    async def get(self, model_id: str) -> Model:
        """The model with that id. Raises `NotFound`."""
        return await self._get(Model, f"{_MODELS}/{model_id}")

    async def find(self, name: str) -> Model | None:
        """The model of that name, the organization's own before a shared one; None if there is none."""
        found = await self.list(name=name)
        return min(found.data, key=lambda model: model.applies_to == "shared", default=None)

    async def list(self, *, name: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Model]:
        """One page of the organization's and the shared models, newest first."""
        return await self._get(Page[Model], _MODELS, given(name=name, limit=limit, cursor=cursor))

    async def add_version(self, model_id: str, body: Mapping[str, Any]) -> ModelVersion:
        """A new version; `body` holds ``deployment``, ``provider_model``, ``context_window`` and what else there is."""
        return await self._post(ModelVersion, f"{_MODELS}/{model_id}/versions", body)

    async def versions(self, model_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[ModelVersion]:
        """One page of a model's versions, the last one first."""
        return await self._get(Page[ModelVersion], f"{_MODELS}/{model_id}/versions", given(limit=limit, cursor=cursor))

    async def promote(self, model_id: str, version: int, reason: str, *, champion: int | None = None) -> Model:
        """Make a version the champion; only in the place of `champion` when that is given."""
        body = given(version=version, reason=reason, champion=champion)
        return await self._post(Model, f"{_MODELS}/{model_id}/promote", body)

    async def rollback(self, model_id: str, reason: str, *, champion: int | None = None) -> Model:
        """Go back to the champion before; only away from `champion` when that is given."""
        body = given(reason=reason, champion=champion)
        return await self._post(Model, f"{_MODELS}/{model_id}/rollback", body)

    async def retire(self, model_id: str, version: int, reason: str) -> ModelVersion:
        """Retire a version."""
        body = {"version": version, "reason": reason}
        return await self._post(ModelVersion, f"{_MODELS}/{model_id}/retire", body)

    async def restore(self, model_id: str, version: int, reason: str) -> ModelVersion:
        """Make a retired version a candidate again."""
        body = {"version": version, "reason": reason}
        return await self._post(ModelVersion, f"{_MODELS}/{model_id}/restore", body)

    async def history(self, model_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[StageChange]:
        """One page of a model's history, the last change first."""
        return await self._get(Page[StageChange], f"{_MODELS}/{model_id}/history", given(limit=limit, cursor=cursor))

    async def resolve(self, name: str, *, capability: str = "", project_id: str | None = None) -> ResolvedModel:
        """What a name means for a capability in a project. Raises `NotFound` when it means nothing."""
        params = given(name=name, capability=capability, project_id=project_id or None)
        return await self._get(ResolvedModel, f"{_MODELS}/resolve", params)

    async def deployments(self) -> tuple[Deployment, ...]:
        """The deployments that a version may name."""
        found = await self._get(Page[Deployment], "/v1/deployments")
        return tuple(found.data)


class AsyncAliases(AsyncEndpoints):
    """``/v1/aliases``."""

    async def set(
        self,
        alias: str,
        model: str,
        *,
        version: int | None = None,
        project_id: str | None = None,
        capability: str | None = None,
    ) -> Alias:
        """Point an alias at a model, or at one version of it."""
        body = given(alias=alias, model=model, version=version, project_id=project_id, capability=capability)
        return await self._put(Alias, _ALIASES, body)

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Alias]:
        """One page of the organization's and the shared aliases, newest first."""
        return await self._get(Page[Alias], _ALIASES, given(limit=limit, cursor=cursor))

    async def remove(self, alias_id: str) -> Alias:
        """Remove an alias; returns what it was. Raises `NotFound`."""
        return await self._delete(Alias, f"{_ALIASES}/{alias_id}")


class AsyncPrompts(AsyncEndpoints):
    """``/v1/prompts``."""

    async def add(self, name: str, text: str, *, activate: bool = False) -> Prompt:
        """A new version of a prompt; with `activate` it is in force at once."""
        body = {"name": name, "text": text, "activate": activate}
        return await self._post(Prompt, _PROMPTS, body)

    async def activate(self, name: str, digest: str) -> Prompt:
        """Put an earlier version in force. Raises `NotFound`."""
        body = {"name": name, "digest": digest, "activate": True}
        return await self._post(Prompt, _PROMPTS, body)

    async def get(self, prompt_id: str) -> Prompt:
        """The version with that id. Raises `NotFound`."""
        return await self._get(Prompt, f"{_PROMPTS}/{prompt_id}")

    async def list(self, *, name: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Prompt]:
        """One page of the organization's and the shared versions, newest first."""
        return await self._get(Page[Prompt], _PROMPTS, given(name=name, limit=limit, cursor=cursor))
