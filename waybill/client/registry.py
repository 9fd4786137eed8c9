"""The model registry: models, versions, stages, aliases, deployments, prompts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_MODELS = "/v1/models"
_ALIASES = "/v1/aliases"
_PROMPTS = "/v1/prompts"


class Model(Resource):
    """A model; `champion` is the number of the version that answers to its name."""

    id: str
    name: str
    description: str = ""
    champion: int | None = None
    champion_id: str | None = None
    version_count: int = 0
    applies_to: str = ""
    created_at: datetime | None = None


class ModelVersion(Resource):
    """A version of a model: what it says never changes, its stage does."""

    id: str
    model_id: str
    version: int
    stage: str
    provider: str
    deployment: str
    provider_model: str
    context_window: int | None = None
    data_class_ceiling: str = ""
    priced: bool = False
    digest: str = ""


class StageChange(Resource):
    """A line of a model's history."""

    number: int
    version: int
    stage: str
    cause: str
    reason: str = ""
    actor_kind: str = ""
    actor_id: str | None = None
    changed_at: datetime | None = None


class Alias(Resource):
    """A name for a model, in an organization, a project or one capability."""

    id: str
    alias: str
    model: str
    version: int | None = None
    project_id: str | None = None
    capability: str | None = None
    applies_to: str = ""


class ResolvedModel(Resource):
    """What a name means, and `because` of what."""

    name: str
    model: str
    version: int | None = None
    deployment: str = ""
    provider_model: str = ""
    because: str = ""


class Deployment(Resource):
    """A place where a provider is reached."""

    name: str
    provider: str
    region: str | None = None
    data_class_ceiling: str = ""


class Prompt(Resource):
    """A version of a prompt."""

    id: str
    name: str
    version: int
    digest: str
    text: str
    in_force: bool = False
    applies_to: str = ""
    created_at: datetime | None = None


class Models:
    """``/v1/models`` and ``/v1/deployments``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, description: str = "") -> Model:
        """A new model, without versions."""
        answer = self._transport.post(_MODELS, {"name": name, "description": description})
        return Model.model_validate(answer.json())

    def get(self, model_id: str) -> Model:
        """The model with that id. Raises `ApiProblem` 404."""
        return Model.model_validate(self._transport.get(f"{_MODELS}/{model_id}").json())

    def find(self, name: str) -> Model | None:
        """The model of that name, the organization's own before everybody's; None without one."""
        found = self.list(name=name).data
        return min(found, key=lambda model: model.applies_to == "everybody", default=None)

    def list(self, *, name: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Model]:
        """One page of the organization's models and everybody's, newest first."""
        answer = self._transport.get(_MODELS, _page(limit, cursor, name=name))
        return Page[Model].model_validate(answer.json())

    def add_version(self, model_id: str, body: Mapping[str, Any]) -> ModelVersion:
        """A new version; `body` holds ``deployment``, ``provider_model``, ``context_window`` and what else there is."""
        answer = self._transport.post(f"{_MODELS}/{model_id}/versions", body)
        return ModelVersion.model_validate(answer.json())

    def versions(self, model_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[ModelVersion]:
        """One page of a model's versions, the last one first."""
        answer = self._transport.get(f"{_MODELS}/{model_id}/versions", _page(limit, cursor))
        return Page[ModelVersion].model_validate(answer.json())

    def promote(self, model_id: str, version: int, reason: str, *, champion: int | None = None) -> Model:
        """Make a version the champion; only in the place of `champion` when that is given."""
        body = {"version": version, "reason": reason} | ({"champion": champion} if champion else {})
        return Model.model_validate(self._transport.post(f"{_MODELS}/{model_id}/promote", body).json())

    def rollback(self, model_id: str, reason: str, *, champion: int | None = None) -> Model:
        """Go back to the champion before; only away from `champion` when that is given."""
        body: dict[str, Any] = {"reason": reason} | ({"champion": champion} if champion else {})
        return Model.model_validate(self._transport.post(f"{_MODELS}/{model_id}/rollback", body).json())

    def retire(self, model_id: str, version: int, reason: str) -> ModelVersion:
        """Take a version out of use."""
        body = {"version": version, "reason": reason}
        return ModelVersion.model_validate(self._transport.post(f"{_MODELS}/{model_id}/retire", body).json())

    def restore(self, model_id: str, version: int, reason: str) -> ModelVersion:
        """Make a retired version a candidate again."""
        body = {"version": version, "reason": reason}
        return ModelVersion.model_validate(self._transport.post(f"{_MODELS}/{model_id}/restore", body).json())

    def history(self, model_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[StageChange]:
        """One page of a model's history, the last change first."""
        answer = self._transport.get(f"{_MODELS}/{model_id}/history", _page(limit, cursor))
        return Page[StageChange].model_validate(answer.json())

    def resolve(self, name: str, *, capability: str = "", project_id: str | None = None) -> ResolvedModel:
        """What a name means for a capability in a project. Raises `ApiProblem` 404 when it means nothing."""
        params = {"name": name, "capability": capability} | ({"project_id": project_id} if project_id else {})
        return ResolvedModel.model_validate(self._transport.get(f"{_MODELS}/resolve", params).json())

    def deployments(self) -> tuple[Deployment, ...]:
        """The deployments that a version may name."""
        data = self._transport.get("/v1/deployments").json()["data"]
        return tuple(Deployment.model_validate(each) for each in data)


class Aliases:
    """``/v1/aliases``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
        given = {"version": version, "project_id": project_id, "capability": capability}
        body = {"alias": alias, "model": model} | {name: value for name, value in given.items() if value is not None}
        return Alias.model_validate(self._transport.put(_ALIASES, body).json())

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Alias]:
        """One page of the organization's aliases and everybody's, newest first."""
        return Page[Alias].model_validate(self._transport.get(_ALIASES, _page(limit, cursor)).json())

    def remove(self, alias_id: str) -> Alias:
        """Remove an alias; returns what it was. Raises `ApiProblem` 404."""
        return Alias.model_validate(self._transport.delete(f"{_ALIASES}/{alias_id}").json())


class Prompts:
    """``/v1/prompts``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, name: str, text: str, *, activate: bool = False) -> Prompt:
        """A new version of a prompt; with `activate` it is in force at once."""
        body = {"name": name, "text": text, "activate": activate}
        return Prompt.model_validate(self._transport.post(_PROMPTS, body).json())

    def activate(self, name: str, digest: str) -> Prompt:
        """Put an earlier version in force. Raises `ApiProblem` 404."""
        body = {"name": name, "digest": digest, "activate": True}
        return Prompt.model_validate(self._transport.post(_PROMPTS, body).json())

    def get(self, prompt_id: str) -> Prompt:
        """The version with that id. Raises `ApiProblem` 404."""
        return Prompt.model_validate(self._transport.get(f"{_PROMPTS}/{prompt_id}").json())

    def list(self, *, name: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Prompt]:
        """One page of the organization's versions and everybody's, newest first."""
        return Page[Prompt].model_validate(self._transport.get(_PROMPTS, _page(limit, cursor, name=name)).json())


def _page(limit: int, cursor: str | None, **given: str | None) -> dict[str, Any]:
    named = {"cursor": cursor, **given}
    return {"limit": limit, **{name: value for name, value in named.items() if value is not None}}
