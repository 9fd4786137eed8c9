"""What a version must be, and that nobody changes it afterwards."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.gateway.models import Ability
from core.gateway.providers.factory import KINDS
from core.kit.db import Database
from core.kit.errors import Unprocessable
from core.kit.ids import new_id
from core.registry import service
from core.registry.data_classes import DataClass
from core.registry.deployments import Deployment, DeploymentCatalogue
from core.registry.digests import digest_of_facts
from core.registry.errors import ModelNameTaken
from core.registry.prompts import service as prompts
from core.registry.records import ABILITIES, PRICE_PROVIDERS, Stage
from core.registry.service import ModelRegistry, facts_of
from tests.core.registry.conftest import Tenant

SWEDEN = Deployment(
    name="sweden",
    provider="azure-openai",
    base_url="https://x.example",
    region="swedencentral",
    data_class_ceiling=DataClass.CONFIDENTIAL,
)
GOOD = {"deployment": "sweden", "provider_model": "gpt-4o", "context_window": 1000}


def test_lists_that_stand_twice_are_the_same() -> None:
    assert tuple(Ability) == ABILITIES
    assert tuple(PRICE_PROVIDERS) == KINDS


def test_data_classes_have_an_order() -> None:
    assert [each.rank for each in DataClass] == [0, 1, 2, 3]
    assert DataClass.INTERNAL.is_within(DataClass.INTERNAL)
    assert DataClass.INTERNAL.is_within(DataClass.RESTRICTED)
    assert not DataClass.RESTRICTED.is_within(DataClass.CONFIDENTIAL)


@pytest.fixture
def sweden(tenant: Tenant, deployments: DeploymentCatalogue) -> Tenant:
    """A tenant of an installation with a deployment in Sweden."""
    known = {each.name: each for each in deployments} | {"sweden": SWEDEN}
    tenant.registry = ModelRegistry(DeploymentCatalogue(known))
    return tenant


def test_a_version_is_completed_by_its_deployment(sweden: Tenant) -> None:
    made = sweden.version(sweden.model("writer"), **GOOD)
    assert (made.number, made.stage) == (1, Stage.CANDIDATE)
    content = made.content
    assert (content.provider, content.price_provider, content.price_model) == ("azure-openai", "azure", "gpt-4o")
    assert (content.regions, content.data_class_ceiling) == (("swedencentral",), DataClass.INTERNAL)


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"deployment": "norway"}, "deployment", "sweden"),
        ({"provider": "anthropic"}, "provider", "azure-openai"),
        ({"data_class_ceiling": DataClass.RESTRICTED}, "data_class_ceiling", "confidential at most"),
        ({"regions": ["westeurope"]}, "regions", "swedencentral"),
        ({"context_window": 0}, "context_window", "from 1"),
        ({"context_window": None}, "context_window", "how many tokens"),
        ({"max_output_tokens": 1001}, "max_output_tokens", "no more than"),
        ({"max_output_tokens": 0}, "max_output_tokens", "at least 1"),
        ({"abilities": ["dances"]}, "abilities", "vision"),
        ({"abilities": ["tools", "tools"]}, "abilities", "at most once"),
        ({"parameters": {"n": 5}}, "parameters", "temperature"),
        ({"parameters": {"max_tokens": 10**6}}, "parameters", "not a parameter"),
        ({"parameters": {"temperature": "hot"}}, "parameters", "from 0 to 2"),
        ({"parameters": {"temperature": True}}, "parameters", "from 0 to 2"),
        ({"parameters": {"thinking": {"type": "enabled", "extra": 1}}}, "parameters", "budget_tokens"),
        ({"parameters": {"reasoning_effort": "huge"}}, "parameters", "minimal"),
        ({"fallbacks": ["nobody"]}, "fallbacks", "nobody"),
        ({"fallbacks": ["writer"]}, "fallbacks", "its own"),
        ({"fallbacks": ["local/extractive"] * 2}, "fallbacks", "different"),
        ({"prompt_set": {"knowledge/answer": "sha256:0"}}, "prompt_set", "knowledge/answer"),
        ({"provider_model": " padded", "price_model": "gpt-4o"}, "provider_model", "printable"),
        ({"price_model": ""}, "price_model", "printable"),
        ({"deployment": "local/extractive", "regions": []}, "provider_model", "one model"),
    ],
)
def test_a_version_that_cannot_be_is_refused(sweden: Tenant, change: dict[str, Any], path: str, says: str) -> None:
    model = sweden.model("writer")
    with pytest.raises(Unprocessable) as refused:
        sweden.version(model, **{**GOOD, **change})
    (problem,) = refused.value.extra["errors"]
    assert (problem["path"], problem["code"]) == (f"body.{path}", "version_invalid")
    assert says in problem["message"]
    with sweden.session() as session:
        assert service.list_versions(session, sweden.organization_id, model.id, limit=10) == []


def test_every_fault_is_named_at_once(sweden: Tenant) -> None:
    with pytest.raises(Unprocessable) as refused:
        sweden.version(sweden.model("writer"), deployment="norway", context_window=0, abilities=["dances"])
    assert [each["path"] for each in refused.value.extra["errors"]] == [
        "body.deployment",
        "body.context_window",
        "body.abilities",
    ]


def test_fallbacks_prompts_and_parameters_that_exist_are_taken(sweden: Tenant) -> None:
    sweden.model("other")
    sweden.alias("cheap", "local/smollm2")
    with sweden.session() as session:
        prompt = prompts.add(session, sweden.owner, "knowledge/answer", "Be brief.", takes_force=False)
    made = sweden.version(
        sweden.model("writer"),
        **GOOD,
        fallbacks=["other", "cheap", "local/extractive"],
        prompt_set={"knowledge/answer": prompt.digest},
        parameters={"temperature": 0, "thinking": {"type": "enabled", "budget_tokens": 10}, "top_k": 1},
    )
    assert made.content.fallbacks == ("other", "cheap", "local/extractive")


def test_a_version_says_whether_its_price_is_known(sweden: Tenant) -> None:
    model = sweden.model("writer")
    assert sweden.version(model).is_priced
    assert not sweden.version(model, **GOOD).is_priced
    with sweden.session() as session:
        session.execute(
            text(
                "INSERT INTO prices (organization_id, provider, model, unit, usd_per_unit, source)"
                " VALUES (:id, 'azure', 'gpt-4o', 'input_tokens', 0.1, 'operator')"
            ),
            {"id": sweden.organization_id},
        )
        versions = service.list_versions(session, sweden.organization_id, model.id, limit=10)
    assert [each.is_priced for each in versions] == [True, True]


def test_the_digest_is_of_what_a_version_says(sweden: Tenant) -> None:
    model = sweden.model("writer")
    first, again, other = (
        sweden.version(model, **GOOD, abilities=abilities, parameters={"temperature": heat})
        for abilities, heat in ((["tools", "streams"], 0.1), (["streams", "tools"], 0.1), (["streams", "tools"], 0.2))
    )
    assert first.digest == again.digest != other.digest


def test_the_embedded_models_are_shared_champions_with_true_digests(tenant: Tenant) -> None:
    with tenant.session() as session:
        models = service.list_models(session, tenant.organization_id, limit=50)
        built_in = [each for each in models if each.name.startswith("local/")]
        assert {each.name for each in built_in} == {"local/extractive", "local/minilm", "local/smollm2"}
        for model in built_in:
            assert (model.organization_id, model.champion) == (None, 1)
            version = service.get_version(session, tenant.organization_id, model.id, 1)
            assert version.digest == digest_of_facts(facts_of(version.content))
            assert version.is_priced


def test_names_are_taken_once_an_organisation(tenant: Tenant) -> None:
    tenant.model("local/extractive")
    with pytest.raises(ModelNameTaken):
        tenant.model("local/extractive")
    for name in ("", "-x", "a b", "x" * 101, "ü"):
        with pytest.raises(Unprocessable):
            tenant.model(name)


# --- Immutability ----------------------------------------------------------------------------------------------------

IMMUTABLE = ("model_versions", "model_stage_changes", "prompts")
REFUSED = "42501"  # insufficient_privilege


@pytest.fixture
def filled(tenant: Tenant) -> Tenant:
    """A tenant with a row in every table."""
    tenant.promote(tenant.model("writer", 1), 1)
    with tenant.session() as session:
        prompts.add(session, tenant.owner, "knowledge/answer", f"Be brief. {new_id()}", takes_force=True)
    return tenant


def attempt(database: Database, role: str | None, statement: str, organization: object = None) -> int | str:
    """How many rows the statement touches as `role`, or its SQLSTATE; the owner of the tables without a role."""
    with database.engine.connect() as connection:
        if role is not None:
            connection.execute(
                text("SELECT set_config('role', :role, true), set_config('waybill.organization_id', :id, true)"),
                {"role": role, "id": "" if organization is None else str(organization)},
            )
        try:
            return connection.execute(text(statement)).rowcount
        except DBAPIError as error:
            return str(getattr(error.orig, "sqlstate", error))
        finally:
            connection.rollback()


@pytest.mark.parametrize("table", IMMUTABLE)
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET number = number", "DELETE FROM {}", "TRUNCATE {} CASCADE"], ids=("u", "d", "t")
)
def test_what_is_written_is_never_changed(filled: Tenant, table: str, statement: str) -> None:
    for role, organization in (("waybill_app", filled.organization_id), ("waybill_system", None), (None, None)):
        assert attempt(filled.database, role, statement.format(table), organization) == REFUSED, role


@pytest.mark.parametrize("table", IMMUTABLE)
def test_the_privilege_alone_would_refuse_it_too(filled: Tenant, table: str) -> None:
    with filled.database.engine.connect() as connection:
        for role in ("waybill_app", "waybill_system"):
            for privilege in ("UPDATE", "DELETE", "TRUNCATE"):
                held = text("SELECT has_table_privilege(:role, :table, :privilege)")
                parameters = {"role": role, "table": table, "privilege": privilege}
                assert connection.execute(held, parameters).scalar_one() is False


def test_a_model_keeps_its_name_and_stays(filled: Tenant) -> None:
    for statement in ("UPDATE models SET name = 'x'", "DELETE FROM models", "DELETE FROM model_stages"):
        for role in ("waybill_app", "waybill_system"):
            assert attempt(filled.database, role, statement, filled.organization_id) == REFUSED


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO models (name) VALUES ('mine')",
        "INSERT INTO model_aliases (alias, model_id) SELECT 'default', id FROM models LIMIT 1",
        "INSERT INTO prompts SELECT uuidv7(), NULL, name, 9, digest, text, true, 'key' FROM prompts LIMIT 1",
        "INSERT INTO model_stages (version_id, model_id, stage) SELECT id, model_id, 'retired' FROM model_versions",
    ],
)
def test_a_tenant_writes_nothing_shared(filled: Tenant, statement: str) -> None:
    assert attempt(filled.database, "waybill_app", statement, filled.organization_id) == REFUSED


def test_a_tenant_reads_shared_models_and_changes_none(filled: Tenant) -> None:
    where = "WHERE organization_id IS NULL"
    for table in ("models", "model_versions", "model_stages", "model_stage_changes", "model_aliases"):
        found = attempt(filled.database, "waybill_app", f"SELECT FROM {table} {where}", filled.organization_id)
        assert isinstance(found, int)
        assert found > 0
    for statement in (
        f"UPDATE model_stages SET stage = 'retired' {where}",
        f"UPDATE model_aliases SET alias = 'x' {where}",
        f"DELETE FROM model_aliases {where}",
        f"UPDATE models SET description = 'x' {where}",
    ):
        assert attempt(filled.database, "waybill_app", statement, filled.organization_id) == 0


def test_there_is_one_champion_whatever_writes_the_table(filled: Tenant) -> None:
    model = filled.model("two", 2)
    filled.promote(model, 1)
    statement = f"UPDATE model_stages SET stage = 'champion' WHERE model_id = '{model.id}'"
    assert attempt(filled.database, "waybill_app", statement, filled.organization_id) == "23505"
