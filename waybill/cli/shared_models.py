"""Shared models: the operator's access to the registry, directly on the database."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from waybill.cli.connect import connect

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.kit.db import Database
    from core.registry.records import Owner
    from core.registry.service import ModelRegistry
    from waybill.client.models import Alias, Model, ModelVersion

_Returned = TypeVar("_Returned")


class Registry(Protocol):
    """Operations on models, shared or an organization's own."""

    def find(self, name: str) -> "Model | None":
        """The model of that name."""

    def create(self, name: str, description: str = "") -> "Model":
        """A new model."""

    def add_version(self, model_id: str, body: Mapping[str, Any]) -> "ModelVersion":
        """A new version."""

    def promote(self, model_id: str, version: int, reason: str, *, champion: int | None = None) -> "Model":
        """Make a version the champion."""

    def rollback(self, model_id: str, reason: str, *, champion: int | None = None) -> "Model":
        """Go back to the previous champion."""

    def retire(self, model_id: str, version: int, reason: str) -> "ModelVersion":
        """Retire a version."""

    def restore(self, model_id: str, version: int, reason: str) -> "ModelVersion":
        """Make a retired version a candidate again."""

    def set_alias(self, alias: str, model: str, version: int | None) -> "Alias":
        """Point a name at a model."""


class SharedModels:
    """Implements `Registry` for shared models, whose rows have no organization."""

    def __init__(self, database: "Database", models: "ModelRegistry", owner: "Owner") -> None:
        self._database = database
        self._models = models
        self._owner = owner

    def find(self, name: str) -> "Model | None":
        """The shared model of that name."""
        from api.models.schemas import model_to_wire
        from core.registry import repository
        from waybill.client.models import Model

        found = self._do(lambda session: repository.by_name(session, None, name))
        return None if found is None else Model.model_validate(model_to_wire(found))

    def create(self, name: str, description: str = "") -> "Model":
        """A new shared model."""
        return self._model(lambda session: self._models.create(session, self._owner, name, description))

    def add_version(self, model_id: str, body: Mapping[str, Any]) -> "ModelVersion":
        """A new version."""
        from core.registry.data_classes import DataClass

        given = dict(body)
        if "data_class_ceiling" in given:
            given["data_class_ceiling"] = DataClass(given["data_class_ceiling"])
        new = self._models.complete(given)
        return self._version(lambda session: self._models.add_version(session, self._owner, _uuid(model_id), new))

    def promote(self, model_id: str, version: int, reason: str, *, champion: int | None = None) -> "Model":
        """Make a version the champion."""
        from core.registry.stages import service

        return self._model(
            lambda session: service.promote(
                session, self._owner, _uuid(model_id), version, reason=reason, expected=champion
            )
        )

    def rollback(self, model_id: str, reason: str, *, champion: int | None = None) -> "Model":
        """Go back to the previous champion."""
        from core.registry.stages import service

        return self._model(
            lambda session: service.rollback(session, self._owner, _uuid(model_id), reason=reason, expected=champion)
        )

    def retire(self, model_id: str, version: int, reason: str) -> "ModelVersion":
        """Retire a version."""
        from core.registry.stages import service

        return self._version(
            lambda session: service.retire(session, self._owner, _uuid(model_id), version, reason=reason)
        )

    def restore(self, model_id: str, version: int, reason: str) -> "ModelVersion":
        """Make a retired version a candidate again."""
        from core.registry.stages import service

        return self._version(
            lambda session: service.restore(session, self._owner, _uuid(model_id), version, reason=reason)
        )

    def set_alias(self, alias: str, model: str, version: int | None) -> "Alias":
        """Point a name at a model, for every organization without an alias of its own by that name."""
        from api.models.schemas import alias_to_wire
        from core.registry.aliases import service
        from core.registry.aliases.records import NewAlias
        from waybill.client.models import Alias

        new = NewAlias(alias, model, version)
        made = self._do(lambda session: service.set_alias(session, self._owner, new))
        return Alias.model_validate(alias_to_wire(made))

    def _model(self, act: "Callable[[Session], Any]") -> "Model":
        from api.models.schemas import model_to_wire
        from waybill.client.models import Model

        return Model.model_validate(model_to_wire(self._do(act)))

    def _version(self, act: "Callable[[Session], Any]") -> "ModelVersion":
        from api.models.schemas import version_to_wire
        from waybill.client.models import ModelVersion

        return ModelVersion.model_validate(version_to_wire(self._do(act)))

    def _do(self, act: "Callable[[Session], _Returned]") -> _Returned:
        with self._database.system() as session:
            return act(session)


class _Remote:
    """`Registry` over the API, for the organization's own models."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.models, name)

    def set_alias(self, alias: str, model: str, version: int | None) -> "Alias":
        made: Alias = self._client.aliases.set(alias, model, version=version)
        return made


@contextmanager
def registry(url: str | None, api_key: str | None, *, shared: bool) -> Iterator[Registry]:
    """The organization's models over the API, or the shared ones directly on the database."""
    if not shared:
        with connect(url, api_key) as client:
            yield _Remote(client)
        return
    from core.audit.record import Actor
    from core.kit.db import Database
    from core.registry.deployments import read_deployments
    from core.registry.records import Owner
    from core.registry.service import ModelRegistry
    from waybill.cli.local import local_settings

    settings = local_settings()
    database = Database(settings, application_name="waybill-cli", pool_size=1)
    try:
        yield SharedModels(database, ModelRegistry(read_deployments(settings)), Owner(None, Actor("system")))
    finally:
        database.close()


def _uuid(model_id: str) -> UUID:
    from core.kit.ids import MODEL, decode

    return decode(MODEL, model_id)
