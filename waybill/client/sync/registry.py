"""The model registry: models, versions, stages, aliases, deployments, prompts."""

# Written by `python -m waybill.client.generate` from aio/registry.py: change that, and run it again.

from collections.abc import Mapping
from typing import Any

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
from waybill.client.sync.endpoints import Endpoints

_MODELS = "/v1/models"
_ALIASES = "/v1/aliases"
_PROMPTS = "/v1/prompts"


class Models(Endpoints):
    """``/v1/models`` and ``/v1/deployments``."""

    def create(self, name: str, description: str = "") -> Model:
        """A new model, without versions."""
        return self._post(Model, _MODELS, {"name": name, "description": description})

    def get(self, model_id: str) -> Model:
        """The model with that id. Raises `NotFound`."""
        return self._get(Model, f"{_MODELS}/{model_id}")

    def find(self, name: str) -> Model | None:
        """The model of that name, the organization's own before a shared one; None if there is none."""
        found = self.list(name=name)
        return min(found.data, key=lambda model: model.applies_to == "shared", default=None)

    def list(self, *, name: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Model]:
        """One page of the organization's and the shared models, newest first."""
        return self._get(Page[Model], _MODELS, given(name=name, limit=limit, cursor=cursor))

    def add_version(self, model_id: str, body: Mapping[str, Any]) -> ModelVersion:
        """A new version; `body` holds ``deployment``, ``provider_model``, ``context_window`` and what else there is."""
        return self._post(ModelVersion, f"{_MODELS}/{model_id}/versions", body)

    def versions(self, model_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[ModelVersion]:
        """One page of a model's versions, the last one first."""
        return self._get(Page[ModelVersion], f"{_MODELS}/{model_id}/versions", given(limit=limit, cursor=cursor))

    def promote(self, model_id: str, version: int, reason: str, *, champion: int | None = None) -> Model:
        """Make a version the champion; only in the place of `champion` when that is given."""
        body = given(version=version, reason=reason, champion=champion)
        return self._post(Model, f"{_MODELS}/{model_id}/promote", body)

    def rollback(self, model_id: str, reason: str, *, champion: int | None = None) -> Model:
        """Go back to the champion before; only away from `champion` when that is given."""
        body = given(reason=reason, champion=champion)
        return self._post(Model, f"{_MODELS}/{model_id}/rollback", body)

    def retire(self, model_id: str, version: int, reason: str) -> ModelVersion:
        """Retire a version."""
        body = {"version": version, "reason": reason}
        return self._post(ModelVersion, f"{_MODELS}/{model_id}/retire", body)

    def restore(self, model_id: str, version: int, reason: str) -> ModelVersion:
        """Make a retired version a candidate again."""
        body = {"version": version, "reason": reason}
        return self._post(ModelVersion, f"{_MODELS}/{model_id}/restore", body)

    def history(self, model_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[StageChange]:
        """One page of a model's history, the last change first."""
        return self._get(Page[StageChange], f"{_MODELS}/{model_id}/history", given(limit=limit, cursor=cursor))

    def resolve(self, name: str, *, capability: str = "", project_id: str | None = None) -> ResolvedModel:
        """What a name means for a capability in a project. Raises `NotFound` when it means nothing."""
        params = given(name=name, capability=capability, project_id=project_id or None)
        return self._get(ResolvedModel, f"{_MODELS}/resolve", params)

    def deployments(self) -> tuple[Deployment, ...]:
        """The deployments that a version may name."""
        found = self._get(Page[Deployment], "/v1/deployments")
        return tuple(found.data)


class Aliases(Endpoints):
    """``/v1/aliases``."""

    def set(
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
        return self._put(Alias, _ALIASES, body)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Alias]:
        """One page of the organization's and the shared aliases, newest first."""
        return self._get(Page[Alias], _ALIASES, given(limit=limit, cursor=cursor))

    def remove(self, alias_id: str) -> Alias:
        """Remove an alias; returns what it was. Raises `NotFound`."""
        return self._delete(Alias, f"{_ALIASES}/{alias_id}")


class Prompts(Endpoints):
    """``/v1/prompts``."""

    def add(self, name: str, text: str, *, activate: bool = False) -> Prompt:
        """A new version of a prompt; with `activate` it is in force at once."""
        body = {"name": name, "text": text, "activate": activate}
        return self._post(Prompt, _PROMPTS, body)

    def activate(self, name: str, digest: str) -> Prompt:
        """Put an earlier version in force. Raises `NotFound`."""
        body = {"name": name, "digest": digest, "activate": True}
        return self._post(Prompt, _PROMPTS, body)

    def get(self, prompt_id: str) -> Prompt:
        """The version with that id. Raises `NotFound`."""
        return self._get(Prompt, f"{_PROMPTS}/{prompt_id}")

    def list(self, *, name: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Prompt]:
        """One page of the organization's and the shared versions, newest first."""
        return self._get(Page[Prompt], _PROMPTS, given(name=name, limit=limit, cursor=cursor))
