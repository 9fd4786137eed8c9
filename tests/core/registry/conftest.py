"""Organisations with models, on the real database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core.audit.record import Actor
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.registry import service
from core.registry.aliases import service as aliases
from core.registry.aliases.records import NewAlias
from core.registry.deployments import DeploymentCatalogue, read_deployments
from core.registry.records import Model, Owner, Version
from core.registry.service import ModelRegistry
from core.registry.stages import service as stages


@dataclass
class Tenant:
    """An organisation with two projects, and what it does with models; `owner` of None is everybody's."""

    database: Database
    registry: ModelRegistry
    owner: Owner
    projects: tuple[UUID, ...] = field(default_factory=tuple)

    @property
    def organization_id(self) -> UUID:
        assert self.owner.organization_id is not None
        return self.owner.organization_id

    def session(self) -> Any:
        if self.owner.organization_id is None:
            return self.database.system()
        return self.database.tenant(self.owner.organization_id)

    def model(self, name: str, versions: int = 0) -> Model:
        with self.session() as session:
            model = self.registry.create(session, self.owner, name)
        for _ in range(versions):
            self.version(model)
        return model

    def version(self, model: Model, **given: Any) -> Version:
        new = self.registry.complete(
            {"deployment": "local/smollm2", "provider_model": "local/smollm2", "context_window": 4096, **given}
        )
        with self.session() as session:
            return self.registry.add_version(session, self.owner, model.id, new)

    def promote(self, model: Model, number: int, expected: int | None = None) -> Model:
        with self.session() as session:
            return stages.promote(session, self.owner, model.id, number, reason="better", expected=expected)

    def rollback(self, model: Model, expected: int | None = None) -> Model:
        with self.session() as session:
            return stages.rollback(session, self.owner, model.id, reason="worse", expected=expected)

    def retire(self, model: Model, number: int) -> Version:
        with self.session() as session:
            return stages.retire(session, self.owner, model.id, number, reason="old")

    def restore(self, model: Model, number: int) -> Version:
        with self.session() as session:
            return stages.restore(session, self.owner, model.id, number, reason="needed")

    def alias(self, alias: str, model: str, **where: Any) -> None:
        with self.session() as session:
            aliases.set_alias(session, self.owner, NewAlias(alias, model, **where))

    def champion(self, model: Model) -> int | None:
        with self.session() as session:
            return service.get_model(session, self.owner.organization_id, model.id).champion

    def history(self, model: Model) -> list[tuple[int, int, str]]:
        """Number, version and cause of every change, the first one first."""
        with self.session() as session:
            found = stages.history(session, self.owner.organization_id, model.id, limit=1000)
        return [(change.number, change.version, change.cause.value) for change in reversed(found)]


@pytest.fixture(scope="module")
def database_url(own_database_url: str) -> str:
    """A database of the module's own: models and prompts that belong to all organizations are read by each of them."""
    return own_database_url


@pytest.fixture(scope="module")
def registry_settings(database_url: str) -> Settings:
    return Settings(database_url=SecretStr(database_url))


@pytest.fixture(scope="module")
def deployments(registry_settings: Settings) -> DeploymentCatalogue:
    return read_deployments(registry_settings)


@pytest.fixture(scope="module")
def database(registry_settings: Settings) -> Iterator[Database]:
    opened = Database(registry_settings, application_name="test-registry", pool_size=8)
    yield opened
    opened.close()


def new_tenant(database: Database, deployments: DeploymentCatalogue) -> Tenant:
    organization, projects = new_id(), (new_id(), new_id())
    with database.system() as session:
        parameters = {"id": organization, "name": str(organization)}
        session.execute(text("INSERT INTO organizations (id, name) VALUES (:id, :name)"), parameters)
        for project in projects:
            session.execute(
                text("INSERT INTO projects (id, organization_id, name) VALUES (:id, :organization, :name)"),
                {"id": project, "organization": organization, "name": str(project)},
            )
    return Tenant(database, ModelRegistry(deployments), Owner(organization, Actor("key", "key_x")), projects)


@pytest.fixture
def tenant(database: Database, deployments: DeploymentCatalogue) -> Tenant:
    return new_tenant(database, deployments)


@pytest.fixture
def operator(database: Database, deployments: DeploymentCatalogue) -> Tenant:
    return Tenant(database, ModelRegistry(deployments), Owner(None, Actor("system")))
