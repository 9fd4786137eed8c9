"""``/v1/models``, ``/v1/aliases``, ``/v1/deployments`` and ``/v1/prompts`` over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.deps import Runtime
from core.keys.roles import Role
from core.keys.service import IssuedKey
from core.kit.errors import Unavailable
from core.kit.settings import Settings
from tests.api.test_bad_input import paths, problem
from tests.factories.api import RunningApi, running_api
from tests.factories.processes import running
from tests.factories.tenancy import audit_trail, role_key
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

pytestmark = pytest.mark.own_database

VERSION = {"deployment": "local/smollm2", "provider_model": "local/smollm2", "context_window": 4096}
# Stands where an operator's key would; it must show nowhere.
CANARY = "sk-canary-4be1c7"
DEPLOYMENTS = f"""
[[deployment]]
name = "sweden"
provider = "azure-openai"
base_url = "https://hidden-address.example/"
region = "swedencentral"
credential = "{CANARY}"
data_class_ceiling = "confidential"
"""


@pytest.fixture(scope="module")
def api(module_settings: Settings) -> Iterator[RunningApi]:
    """An API with a deployment, and its log in debug."""
    file = module_settings.home / "deployments.toml"
    file.write_text(DEPLOYMENTS, encoding="utf-8")
    with running_api(module_settings.model_copy(update={"deployments_file": file, "log_level": "debug"})) as running:
        yield running


@pytest.fixture
def owner(api: RunningApi) -> IssuedKey:
    return role_key(api.settings, Role.OWNER)


@pytest.fixture
def client(api: RunningApi, owner: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(owner) as opened:
        yield opened


def made(client: httpx.Client, name: str = "writer", versions: int = 0, **change: Any) -> dict[str, Any]:
    """A model with so many versions."""
    answer = client.post("/v1/models", json={"name": name})
    assert answer.status_code == 201, answer.text
    model: dict[str, Any] = answer.json()
    for _ in range(versions):
        added = client.post(f"/v1/models/{model['id']}/versions", json={**VERSION, **change})
        assert added.status_code == 201, added.text
    return model


def act(client: httpx.Client, model: dict[str, Any], what: str, **body: Any) -> httpx.Response:
    return client.post(f"/v1/models/{model['id']}/{what}", json={"reason": "because", **body})


def test_a_deployment_is_priced_as_the_model_that_its_name_says(client: httpx.Client) -> None:
    model = made(client, "claims")
    sweden = {"deployment": "sweden", "provider_model": "claims-gpt4o-prod", "context_window": 1000}
    assert client.post(f"/v1/models/{model['id']}/versions", json=sweden).json()["priced"]


def test_a_model_goes_through_its_life(api: RunningApi, client: httpx.Client, owner: IssuedKey) -> None:
    answer = client.post("/v1/models", json={"name": "writer", "description": "Writes."})
    model = answer.json()
    assert answer.headers["location"] == f"/v1/models/{model['id']}"
    assert (model["champion"], model["version_count"], model["applies_to"]) == (None, 0, "organization")
    first = client.post(f"/v1/models/{model['id']}/versions", json=VERSION).json()
    assert (first["version"], first["stage"], first["priced"], first["provider"]) == (1, "candidate", True, "local")
    sweden = {"deployment": "sweden", "provider_model": "our-gpt", "context_window": 1000}
    second = client.post(f"/v1/models/{model['id']}/versions", json=sweden).json()
    assert (second["version"], second["priced"], second["price_provider"]) == (2, False, "azure")
    assert (second["regions"], second["data_class_ceiling"]) == (["swedencentral"], "internal")

    assert act(client, model, "promote", version=1).json()["champion"] == 1
    assert act(client, model, "promote", version=2, champion=1).json()["champion"] == 2
    assert problem(act(client, model, "retire", version=2), 409, "champion_in_use")
    assert act(client, model, "rollback", champion=2).json()["champion"] == 1
    assert act(client, model, "retire", version=2).json()["stage"] == "retired"
    assert problem(act(client, model, "promote", version=2), 409, "version_retired")
    assert problem(act(client, model, "rollback"), 409, "no_previous_champion")
    assert problem(act(client, model, "rollback", champion=2), 409, "champion_changed")["champion"] == 1
    assert act(client, model, "restore", version=2).json()["stage"] == "candidate"

    read = client.get(f"/v1/models/{model['id']}").json()
    assert (read["champion"], read["champion_id"], read["version_count"]) == (1, first["id"], 2)
    assert [each["version"] for each in client.get(f"/v1/models/{model['id']}/versions").json()["data"]] == [2, 1]
    history = client.get(f"/v1/models/{model['id']}/history").json()["data"]
    assert [(each["number"], each["version"], each["cause"]) for each in reversed(history)] == [
        (1, 1, "created"),
        (2, 2, "created"),
        (3, 1, "promoted"),
        (4, 1, "superseded"),
        (5, 2, "promoted"),
        (6, 2, "superseded"),
        (7, 1, "rolled_back"),
        (8, 2, "retired"),
        (9, 2, "restored"),
    ]
    assert (history[0]["reason"], history[0]["actor_kind"]) == ("because", "key")

    trail = [each for each in audit_trail(api.settings, owner.organization_id) if "model" in each["action"]]
    assert [each["action"] for each in trail] == [
        "api:model:create",
        "api:model_version:create",
        "api:model_version:create",
        "api:model:promote",
        "api:model:promote",
        "api:model:rollback",
        "api:model_version:retire",
        "api:model_version:restore",
    ]
    assert {each["subject_id"] for each in trail} == {model["id"]}
    assert trail[5]["detail"] == {"name": "writer", "version": 1, "was": 2, "reason": "because"}
    assert trail[1]["detail"]["digest"] == first["digest"]


def test_the_same_idempotency_key_acts_once(client: httpx.Client) -> None:
    model = made(client, versions=3)
    for number in (1, 2, 3):
        act(client, model, "promote", version=number)
    headers = {"Idempotency-Key": str(uuid4())}
    path, body = f"/v1/models/{model['id']}/rollback", {"reason": "worse"}
    first, again = (client.post(path, json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert client.get(f"/v1/models/{model['id']}").json()["champion"] == 2


def test_listings_come_in_pages(client: httpx.Client) -> None:
    models = [made(client, f"m{number}")["id"] for number in range(4)]
    model = made(client, "many", versions=5)
    client.put("/v1/aliases", json={"alias": "one", "model": "many"})
    client.put("/v1/aliases", json={"alias": "two", "model": "many"})
    for text in ("a", "b", "c"):
        client.post("/v1/prompts", json={"name": "knowledge/answer", "text": text})
    for path, least in (
        ("/v1/models", 8),
        (f"/v1/models/{model['id']}/versions", 5),
        (f"/v1/models/{model['id']}/history", 5),
        ("/v1/aliases", 4),
        ("/v1/prompts", 3),
    ):
        whole = client.get(path, params={"limit": 200}).json()["data"]
        pages: list[Any] = []
        cursor: str | None = None
        while True:
            page = client.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
            pages += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert pages == whole
        assert len(pages) >= least
    assert {each["id"] for each in client.get("/v1/models", params={"name": "m1"}).json()["data"]} == {models[1]}


def test_a_bad_version_names_every_fault(client: httpx.Client) -> None:
    model = made(client)
    body = {**VERSION, "deployment": "norway", "parameters": {"n": 2}, "fallbacks": ["nobody"]}
    answer: Any = problem(client.post(f"/v1/models/{model['id']}/versions", json=body), 422, "validation_error")
    assert paths(answer) == ["body.deployment", "body.parameters", "body.fallbacks"]
    assert {each["code"] for each in answer["errors"]} == {"version_invalid"}
    assert "local/extractive" in answer["errors"][0]["message"]
    assert "sweden" in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"context_window": "many"}, "body.context_window"),
        ({"context_window": 0}, "body.context_window"),
        ({"abilities": ["dances"]}, "body.abilities.0"),
        ({"data_class_ceiling": "secret"}, "body.data_class_ceiling"),
        ({"provider": "deepthought"}, "body.provider"),
        ({"base_url": "http://169.254.169.254/"}, "body.base_url"),
        ({"provider_model": ""}, "body.provider_model"),
    ],
)
def test_a_bad_field_is_named(client: httpx.Client, change: dict[str, Any], path: str) -> None:
    model = made(client)
    answer = client.post(f"/v1/models/{model['id']}/versions", json={**VERSION, **change})
    assert paths(problem(answer, 422, "validation_error")) == [path]


def test_aliases_are_set_listed_and_removed(api: RunningApi, client: httpx.Client, owner: IssuedKey) -> None:
    made(client, versions=1)
    project = client.post("/v1/projects", json={"name": "apart"}).json()["id"]
    body = {"alias": "default", "model": "writer", "capability": "knowledge.search", "project_id": project}
    assert problem(client.get("/v1/models/resolve", params={"name": "writer"}), 404, "model_not_found")
    alias = client.put("/v1/aliases", json={**body, "version": 1}).json()
    assert (alias["version"], alias["model"], alias["project_id"]) == (1, "writer", project)
    assert client.put("/v1/aliases", json={**body, "model": "local/smollm2"}).json()["id"] == alias["id"]

    def means(**where: str) -> tuple[str, str]:
        found = client.get("/v1/models/resolve", params={"name": "default", **where}).json()
        return found["model"], found["because"]

    assert means(project_id=project, capability="knowledge.search") == ("local/smollm2", "project_capability_alias")
    assert means(project_id=project) == ("local/extractive", "settings")
    assert means() == ("local/extractive", "settings")
    removed = client.delete(f"/v1/aliases/{alias['id']}")
    assert (removed.status_code, removed.json()["model"]) == (200, "local/smollm2")
    assert problem(client.delete(f"/v1/aliases/{alias['id']}"), 404, "alias_not_found")
    assert means(project_id=project, capability="knowledge.search")[1] == "settings"

    trail = [each for each in audit_trail(api.settings, owner.organization_id) if ":alias:" in each["action"]]
    assert [each["action"].rpartition(":")[2] for each in trail] == ["set", "set", "remove"]
    assert {str(each["project_id"]) for each in trail} != {"None"}
    shared = next(each for each in client.get("/v1/aliases").json()["data"] if each["applies_to"] == "shared")
    assert problem(client.delete(f"/v1/aliases/{shared['id']}"), 403, "shared_resource")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"alias": "a", "model": "nobody"}, 404, "model_not_found"),
        ({"alias": "a", "model": "local/smollm2", "version": 9}, 404, "model_version_not_found"),
        ({"alias": "a", "model": "local/smollm2", "project_id": "prj_x"}, 422, "validation_error"),
        ({"alias": "a", "model": "local/smollm2", "capability": "search"}, 422, "validation_error"),
        ({"alias": "", "model": "local/smollm2"}, 422, "validation_error"),
    ],
)
def test_a_bad_alias_is_refused(client: httpx.Client, body: dict[str, Any], status: int, code: str) -> None:
    assert problem(client.put("/v1/aliases", json=body), status, code)


def test_shared_models_are_read_and_not_changed(client: httpx.Client) -> None:
    (model,) = client.get("/v1/models", params={"name": "local/smollm2"}).json()["data"]
    assert (model["applies_to"], model["champion"]) == ("shared", 1)
    for what, body in (("promote", {"version": 1}), ("rollback", {}), ("retire", {"version": 1})):
        assert problem(act(client, model, what, **body), 403, "shared_resource")
    added = client.post(f"/v1/models/{model['id']}/versions", json=VERSION)
    assert problem(added, 403, "shared_resource")


@pytest.mark.parametrize(
    ("role", "may_write", "may_promote"),
    [
        (Role.OWNER, True, True),
        (Role.ADMIN, True, True),
        (Role.DEVELOPER, True, False),
        (Role.OPERATOR, False, True),
        (Role.AUDITOR, False, False),
    ],
)
def test_writing_a_version_is_not_putting_it_to_work(
    api: RunningApi, role: Role, may_write: bool, may_promote: bool
) -> None:
    organization = f"org-{uuid4()}"
    with api.client(role_key(api.settings, Role.OWNER, organization=organization)) as client:
        model = made(client, versions=1)
    with api.client(role_key(api.settings, role, organization=organization)) as client:
        assert client.get("/v1/models").status_code == 200
        versions = f"/v1/models/{model['id']}/versions"
        assert client.post(versions, json=VERSION).status_code == (201 if may_write else 403)
        assert act(client, model, "promote", version=1).status_code == (200 if may_promote else 403)
        alias = client.put("/v1/aliases", json={"alias": "x", "model": "writer"})
        assert alias.status_code == (200 if may_promote else 403)
        draft = {"name": "knowledge/answer", "text": "Mine."}
        assert client.post("/v1/prompts", json=draft).status_code == (201 if may_write else 403)
        both = client.post("/v1/prompts", json={**draft, "activate": True})
        assert both.status_code == (201 if may_write and may_promote else 403)


def test_prompts_are_added_activated_and_brought_back(api: RunningApi, client: httpx.Client, owner: IssuedKey) -> None:
    name = "knowledge/answer"
    answer = client.post("/v1/prompts", json={"name": name, "text": " One. ", "activate": True})
    first = answer.json()
    assert (answer.status_code, first["text"], first["in_force"], first["version"]) == (201, "One.", True, 1)
    assert client.get(answer.headers["location"]).json() == first
    second = client.post("/v1/prompts", json={"name": name, "text": "Two."}).json()
    assert (second["in_force"], second["version"]) == (False, 2)
    third = client.post("/v1/prompts", json={"name": name, "digest": second["digest"], "activate": True}).json()
    assert (third["in_force"], third["text"], third["version"]) == (True, "Two.", 3)
    body = {**VERSION, "prompt_set": {name: first["digest"]}}
    model = made(client)
    assert client.post(f"/v1/models/{model['id']}/versions", json=body).status_code == 201
    for wrong in ({"text": "x", "digest": first["digest"]}, {}, {"digest": first["digest"]}):
        assert problem(client.post("/v1/prompts", json={"name": name, **wrong}), 422, "validation_error")
    absent = {"name": name, "digest": "sha256:" + "0" * 64, "activate": True}
    assert problem(client.post("/v1/prompts", json=absent), 404, "prompt_not_found")
    trail = [each for each in audit_trail(api.settings, owner.organization_id) if "prompt" in each["action"]]
    assert [each["detail"]["digest"] for each in trail] == [each["digest"] for each in (first, second, third)]
    assert "One." not in str(trail)


def test_no_credential_or_address_shows(
    api: RunningApi, client: httpx.Client, owner: IssuedKey, capfd: pytest.CaptureFixture[str]
) -> None:
    sweden = {"deployment": "sweden", "provider_model": "gpt", "context_window": 1000}
    model = made(client)
    versions = f"/v1/models/{model['id']}/versions"
    answers = [
        client.get("/v1/deployments"),
        client.post(versions, json=sweden),
        client.post(versions, json={**sweden, "data_class_ceiling": "restricted", "provider": "anthropic"}),
        client.post(versions, json={**sweden, "deployment": "norway"}),
        act(client, model, "promote", version=1),
        client.get("/v1/models/resolve", params={"name": "writer"}),
        client.get("/v1/models/resolve", params={"name": "nobody"}),
        client.get(versions),
    ]
    assert [answer.status_code for answer in answers] == [200, 201, 422, 422, 200, 200, 404, 200]
    said = "".join(answer.text for answer in answers) + "".join(capfd.readouterr())
    said += repr(list(api.runtime.models.deployments)) + json.dumps(
        audit_trail(api.settings, owner.organization_id), default=str
    )
    assert "sweden" in said
    assert CANARY not in said
    assert "hidden-address" not in said
    listed = next(each for each in answers[0].json()["data"] if each["name"] == "sweden")
    assert listed == {
        "name": "sweden",
        "provider": "azure-openai",
        "region": "swedencentral",
        "data_class_ceiling": "confidential",
    }


def test_a_change_reaches_another_process_within_two_seconds(api: RunningApi, client: httpx.Client) -> None:
    model = made(client, versions=2)
    act(client, model, "promote", version=1)
    key = client.headers["authorization"]
    port = free_port()
    with (
        running(api.settings, "api", until="Uvicorn running", WAYBILL_API_PORT=str(port)),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": key}, trust_env=False) as there,
    ):

        def version() -> int:
            found: int = there.get("/v1/models/resolve", params={"name": "writer"}).json()["version"]
            return found

        for change, body, champion in (("promote", {"version": 2}, 2), ("rollback", {}, 1)):
            assert version() == 3 - champion
            assert act(client, model, change, **body).status_code == 200
            took = wait_until(
                lambda: version() == champion,  # noqa: B023
                timeout_seconds=5,
                what="the other process",
                pause_seconds=0.02,
            )
            assert took <= 2.0


def test_an_api_with_a_wrong_file_of_deployments_does_not_start(module_settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(f'[[deployment]]\nname = "a"\nprovider = "{CANARY}"', encoding="utf-8")
    with pytest.raises(Unavailable, match=r"deployment\.0\.provider") as refused:
        Runtime(module_settings.model_copy(update={"deployments_file": file}))
    assert CANARY not in str(refused.value)
