"""From a name to a version: the order of meanings, what is remembered, and what is never asked for."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from core.kit import memory
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.registry.catalogue.catalogue import ModelCatalogue
from core.registry.catalogue.precedence import Entry, Key, find
from core.registry.data_classes import DataClass
from core.registry.deployments import DeploymentCatalogue
from core.registry.errors import ModelUnknown
from core.registry.records import ResolvedModel
from tests.core.registry.conftest import Tenant, new_tenant
from tests.factories.tenancy import watch_single_statements

SEARCH = "knowledge.search"
HERE, ELSEWHERE = new_id(), new_id()

LINES = [
    ("project_capability_alias", Key(True, True, HERE, SEARCH, "n")),
    ("project_alias", Key(True, True, HERE, None, "n")),
    ("organization_capability_alias", Key(True, True, None, SEARCH, "n")),
    ("organization_alias", Key(True, True, None, None, "n")),
    ("champion", Key(True, False, None, None, "n")),
    ("shared_capability_alias", Key(False, True, None, SEARCH, "n")),
    ("shared_alias", Key(False, True, None, None, "n")),
    ("shared_champion", Key(False, False, None, None, "n")),
]
STRANGERS = [
    Key(True, True, ELSEWHERE, SEARCH, "n"),
    Key(True, True, ELSEWHERE, None, "n"),
    Key(True, True, HERE, "knowledge.ingest", "n"),
    Key(True, True, None, "knowledge.ingest", "n"),
    Key(False, True, None, "knowledge.ingest", "n"),
    Key(True, True, HERE, SEARCH, "m"),
    Key(True, False, None, None, "m"),
]


def resolved(name: str) -> ResolvedModel:
    return ResolvedModel(
        model=name,
        provider="local",
        deployment="d",
        provider_model="p",
        abilities=(),
        price_provider="local",
        price_model="p",
    )


@pytest.mark.parametrize("first", range(len(LINES)))
def test_the_order_of_meanings(first: int) -> None:
    names = {key: Entry(by, resolved(by)) for by, key in LINES[first:]} | {
        key: Entry("stranger", resolved("stranger")) for key in STRANGERS
    }
    found = find(names, HERE, SEARCH, "n")
    assert found is not None
    assert (found.by, found.entry.model) == (LINES[first][0], LINES[first][0])


def test_what_holds_elsewhere_means_nothing_here() -> None:
    assert find({key: Entry("stranger", resolved("stranger")) for key in STRANGERS}, HERE, SEARCH, "n") is None


@pytest.fixture
def catalogue(registry_settings: Settings, deployments: DeploymentCatalogue) -> ModelCatalogue:
    return ModelCatalogue(registry_settings, deployments)


def ask(
    catalogue: ModelCatalogue, tenant: Tenant, name: str, capability: str = SEARCH, pinned: UUID | None = None
) -> tuple[str, int | None, str]:
    """Model, version and reason, by a memory that was just emptied."""
    catalogue.evict()
    found = catalogue.explain(
        tenant.database.single_tenant(tenant.organization_id),
        organization_id=tenant.organization_id,
        project_id=tenant.projects[0],
        capability=capability,
        name=name,
        pinned=pinned,
    )
    return found.model.model, found.model.version, found.by


def test_aliases_on_the_database_follow_the_order(tenant: Tenant, operator: Tenant, catalogue: ModelCatalogue) -> None:
    shared = f"shared-{new_id()}"
    operator.promote(operator.model(shared, 1), 1)
    operator.alias(shared, "local/extractive")
    assert ask(catalogue, tenant, shared) == ("local/extractive", 1, "shared_alias")

    own = tenant.model(shared, 2)
    assert ask(catalogue, tenant, shared)[2] == "shared_alias", "a model without champion changes nothing"
    tenant.promote(own, 2)
    assert ask(catalogue, tenant, shared) == (shared, 2, "champion")
    for name in ("a", "b", "c", "d"):
        tenant.promote(tenant.model(name, 1), 1)
    here, there = tenant.projects
    for model, where, by in (
        ("a", {}, "organization_alias"),
        ("b", {"capability": SEARCH}, "organization_capability_alias"),
        ("c", {"project_id": here}, "project_alias"),
        ("d", {"project_id": here, "capability": SEARCH}, "project_capability_alias"),
    ):
        tenant.alias(shared, model, **where)
        assert ask(catalogue, tenant, shared) == (model, 1, by)
        tenant.alias(shared, "local/extractive", project_id=there)
    assert ask(catalogue, tenant, shared, capability="knowledge.ingest") == ("c", 1, "project_alias")
    assert ask(catalogue, new_tenant(tenant.database, tenant.registry.deployments), shared)[2] == "shared_alias"


def test_an_alias_follows_the_champion_or_pins_a_version(tenant: Tenant, catalogue: ModelCatalogue) -> None:
    model = tenant.model("writer", 2)
    tenant.alias("follows", "writer")
    with pytest.raises(ModelUnknown, match="writer, which has no champion"):
        ask(catalogue, tenant, "follows")
    tenant.alias("pinned", "writer", version=1)
    assert ask(catalogue, tenant, "pinned")[1] == 1
    tenant.promote(model, 2)
    assert [ask(catalogue, tenant, name)[1] for name in ("follows", "pinned")] == [2, 1]


def test_a_pin_reaches_any_version_of_ones_own_even_a_retired_one(tenant: Tenant, catalogue: ModelCatalogue) -> None:
    model = tenant.model("writer", 1)
    version = tenant.version(model, parameters={"temperature": 0.5})
    tenant.promote(model, 1)
    tenant.retire(model, 2)
    assert ask(catalogue, tenant, "whatever", pinned=version.id) == ("writer", 2, "pin")
    other = new_tenant(tenant.database, tenant.registry.deployments)
    with pytest.raises(ModelUnknown):
        ask(catalogue, other, "writer", pinned=version.id)


def test_a_version_comes_back_as_it_was_written(tenant: Tenant, catalogue: ModelCatalogue) -> None:
    model = tenant.model("writer")
    tenant.version(
        model,
        parameters={"temperature": 0.5, "seed": 7},
        max_output_tokens=512,
        abilities=["writes", "streams"],
        price_provider="openai",
        price_model="gpt-4o",
        regions=["here", "there"],
        fallbacks=["local/extractive"],
    )
    tenant.promote(model, 1)
    found = catalogue.resolve(
        tenant.database.single_tenant(tenant.organization_id),
        organization_id=tenant.organization_id,
        project_id=tenant.projects[0],
        capability=SEARCH,
        name="writer",
    )
    assert found.version_id is not None
    assert found == ResolvedModel(
        model="writer",
        version_id=found.version_id,
        version=1,
        provider="local",
        deployment="local/smollm2",
        provider_model="local/smollm2",
        parameters={"temperature": 0.5, "seed": 7},
        context_window=4096,
        max_output_tokens=512,
        abilities=frozenset({"writes", "streams"}),
        price_provider="openai",
        price_model="gpt-4o",
        data_class_ceiling="internal",
        regions=("here", "there"),
        prompt_set={},
        fallbacks=("local/extractive",),
    )


def test_an_operator_who_lowers_a_deployment_lowers_its_versions(
    tenant: Tenant, registry_settings: Settings, deployments: DeploymentCatalogue
) -> None:
    model = tenant.model("writer")
    version = tenant.version(model, data_class_ceiling=DataClass.CONFIDENTIAL)
    tenant.promote(model, 1)
    lowered = {each.name: replace(each, data_class_ceiling=DataClass.PUBLIC) for each in deployments}
    for known, ceiling in ((deployments, "confidential"), (DeploymentCatalogue(lowered), "public")):
        for pinned in (None, version.id):
            found = ModelCatalogue(registry_settings, known).resolve(
                tenant.database.single_tenant(tenant.organization_id),
                organization_id=tenant.organization_id,
                project_id=tenant.projects[0],
                capability=SEARCH,
                name="writer",
                pinned=pinned,
            )
            assert found.data_class_ceiling == ceiling


def test_an_unknown_name_names_what_exists(tenant: Tenant, catalogue: ModelCatalogue) -> None:
    tenant.promote(tenant.model("writer", 1), 1)
    tenant.alias("elsewhere", "writer", project_id=tenant.projects[1])
    with pytest.raises(ModelUnknown) as raised:
        ask(catalogue, tenant, "wirter")
    for name in ("default", "embedding", "local/extractive", "local/smollm2", "writer"):
        assert name in raised.value.detail
    assert "elsewhere" not in raised.value.detail


@pytest.mark.parametrize(
    ("configured", "name", "expected"),
    [
        ({}, "default", ("local/extractive", "local/extractive")),
        ({}, "embedding", ("local/minilm", "local/all-MiniLM-L6-v2-int8")),
        ({}, "local/all-MiniLM-L6-v2-int8", ("local/minilm", "local/all-MiniLM-L6-v2-int8")),
        ({"model_base_url": "http://127.0.0.1:1/v1", "model_name": "m"}, "default", ("m", "default")),
        ({"model_base_url": "http://127.0.0.1:1/v1", "model_name": "m"}, "m", ("m", "default")),
        ({"model_base_url": "http://127.0.0.1:1/v1"}, "default", ("default", "default")),
    ],
)
def test_without_rows_of_its_own_it_names_what_the_settings_name(
    tenant: Tenant, registry_settings: Settings, configured: dict[str, Any], name: str, expected: tuple[str, str]
) -> None:
    catalogue = ModelCatalogue(registry_settings.model_copy(update=configured), tenant.registry.deployments)
    found = catalogue.resolve(
        tenant.database.single_tenant(tenant.organization_id),
        organization_id=tenant.organization_id,
        project_id=tenant.projects[0],
        capability=SEARCH,
        name=name,
    )
    assert (found.model, found.deployment) == expected


def test_an_alias_of_ones_own_comes_before_the_settings(tenant: Tenant, registry_settings: Settings) -> None:
    configured = {"model_base_url": "http://127.0.0.1:1/v1", "model_name": "m", "model_api_key": SecretStr("k")}
    catalogue = ModelCatalogue(registry_settings.model_copy(update=configured), tenant.registry.deployments)
    tenant.alias("default", "local/smollm2")
    assert ask(catalogue, tenant, "default") == ("local/smollm2", 1, "organization_alias")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of what the catalogue remembers, to be moved by hand."""
    now = [1000.0]
    monkeypatch.setattr(memory, "monotonic", lambda: now[0])
    return now


def test_it_asks_once_until_two_seconds_have_passed(
    tenant: Tenant, catalogue: ModelCatalogue, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    model = tenant.model("writer", 2)
    version = tenant.version(model)
    tenant.promote(model, 1)
    tenant.alias("mine", "writer")
    asked = watch_single_statements(tenant.database, monkeypatch, "")

    def resolve(name: str, pinned: UUID | None = None) -> int | None:
        return catalogue.resolve(
            tenant.database.single_tenant(tenant.organization_id),
            organization_id=tenant.organization_id,
            project_id=tenant.projects[0],
            capability=SEARCH,
            name=name,
            pinned=pinned,
        ).version

    assert [resolve("writer"), resolve("mine"), resolve("local/extractive"), resolve("default")] == [1, 1, 1, 1]
    assert len(asked) == 1
    assert [resolve("x", version.id), resolve("x", version.id)] == [3, 3]
    assert len(asked) == 2
    tenant.promote(model, 2)
    assert resolve("writer") == 1
    clock[0] += 2.0
    assert resolve("writer") == 2
    assert resolve("x", version.id) == 3
    assert len(asked) == 3
