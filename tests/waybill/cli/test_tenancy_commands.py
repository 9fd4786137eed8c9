import json
import re
from typing import Any

import pytest

from core.keys.authentication import Authenticator
from core.keys.roles import Role
from core.kit.ids import PROJECT, encode
from core.kit.issuers import OidcIssuer
from tests.factories.api import RunningApi
from tests.factories.browser import Browser
from tests.factories.identity_provider import AUDIENCE, IdentityProvider
from tests.factories.tenancy import audit_trail, role_key
from tests.waybill.cli.conftest import Cli

pytestmark = pytest.mark.own_database

NOOP = ("jobs", "submit", "probe.act", "-s", "act=noop")


def document(cli: Cli, *arguments: str, **environment: str) -> Any:
    result = cli(*arguments, "--json", **environment)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def error(cli: Cli, *arguments: str, **environment: str) -> tuple[int, str]:
    result = cli(*arguments, "--json", **environment)
    return result.exit_code, json.loads(result.stderr)["error"]["code"]


def test_a_link_signs_in_to_the_console(cli: Cli, api: RunningApi) -> None:
    link = document(cli, "console")["url"]
    assert cli("console").stdout.startswith(f"{api.url}/console/sign-in?link=")
    with Browser(api) as browser:
        assert "It works once." in browser.get(link.removeprefix(api.url)).text
        signed_in = browser.post("/console/sign-in/link", {"link": link.partition("link=")[2]})
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/console")
        assert browser.get("/console/jobs").status_code == 200
    assert error(cli, "console", "--api-key", "wb_live_x") == (4, "key_unknown")


def test_a_client_is_let_in_as_the_guide_says(cli: Cli) -> None:
    document(cli, "organizations", "create", "acme")
    administration = cli(
        "keys",
        "create",
        "--organization",
        "acme",
        "--project",
        "platform",
        "--role",
        "owner",
        "--name",
        "administration",
    ).stdout.strip()
    as_admin = {"WAYBILL_API_KEY": administration}
    project = cli(
        "projects", "create", "claims", "--cost-centre", "4711", "--owner", "o@acme.example", "-l", "tier=1", **as_admin
    ).stdout.strip()
    assert re.fullmatch(r"prj_\w{26}", project)
    shown = document(cli, "projects", "get", project, **as_admin)
    assert (shown["cost_centre"], shown["labels"]) == ("4711", {"tier": "1"})
    changed = document(cli, "projects", "update", project, "--cost-centre", "", "-l", "tier=2", **as_admin)
    assert (changed["cost_centre"], changed["owner"], changed["labels"]) == (None, "o@acme.example", {"tier": "2"})
    made = document(
        cli, "keys", "issue", "--name", "service", "--project", project, "--scope", "capability:probe.act",
        "--expires-in", "90d", **as_admin,
    )  # fmt: skip
    as_service = {"WAYBILL_API_KEY": made["key"]}
    assert cli(*NOOP, **as_service).exit_code == 0
    assert error(cli, "projects", "list", **as_service) == (4, "scope_missing")
    assert error(cli, "jobs", "submit", "knowledge.search", **as_service) == (4, "capability_denied")
    rotated = cli("keys", "rotate", made["id"], "--overlap", "1h", **as_admin)
    assert rotated.stdout.startswith("wb_live_")
    listed = document(cli, "keys", "list", "--project", project, **as_admin)["data"]
    assert [each["state"] for each in listed] == ["active", "rotating"]
    assert cli("keys", "revoke", made["id"], **as_admin).stdout == f"{made['id']} is revoked\n"
    assert document(cli, "keys", "get", made["id"], **as_admin)["state"] == "revoked"
    assert "revoked" in cli("keys", "list", "--project", project, "--ended", **as_admin).stdout
    assert document(cli, "projects", "archive", project, **as_admin)["archived_at"]
    assert project not in cli("projects", "list", **as_admin).stdout
    assert project in cli("projects", "list", "--archived", **as_admin).stdout
    assert document(cli, "projects", "restore", project, **as_admin)["archived_at"] is None


def test_keys_made_on_the_database_administer_nothing_unless_asked_to(cli: Cli, api: RunningApi) -> None:
    document(cli, "organizations", "create", "quiet")
    made = document(cli, "keys", "create", "--organization", "quiet")
    assert {scope.partition(":")[0] for scope in made["scopes"]} == {"files", "jobs", "knowledge"}
    assert error(cli, "keys", "create", "--role", "emperor") == (2, "role_unknown")
    auditor = document(cli, "keys", "create", "--role", "auditor", "--scope", "jobs:write")
    assert set(auditor["scopes"]) == Role.AUDITOR.scopes | {"jobs:write"}
    with api.client(made["key"]) as client:
        assert client.get("/v1/jobs").status_code == 200


def test_members_come_and_go(cli: Cli, api: RunningApi) -> None:
    key = role_key(api.settings, Role.OWNER, organization="people")
    environment = {"WAYBILL_API_KEY": key.plaintext}
    issuer = ("--issuer", "https://login.example/v2.0")
    assert error(cli, "members", "bootstrap", "ada", "--organization", "people") == (5, "issuer_required")
    first = cli("members", "bootstrap", "ada", "--organization", "people", *issuer).stdout.strip()
    assert error(cli, "members", "bootstrap", "x", "--role", "emperor", *issuer) == (2, "role_unknown")
    second = cli("members", "add", "bob", "--role", "developer", *issuer, **environment).stdout.strip()
    assert {each["id"] for each in document(cli, "members", "list", **environment)["data"]} == {first, second}
    assert "bob" in cli("members", "list", "--role", "developer", **environment).stdout
    assert document(cli, "members", "change", second, "--role", "auditor", **environment)["role"] == "auditor"
    assert error(cli, "members", "change", second, **environment) == (2, "no_change")
    assert error(cli, "members", "remove", first, **environment) == (5, "last_owner")
    assert cli("members", "remove", second, **environment).stdout == f"{second} is removed\n"
    actors = [each["actor_id"] for each in audit_trail(api.settings, key.organization_id) if "member" in each["action"]]
    assert actors[0] == "command-line"
    assert len(actors) == 4


def test_a_token_in_place_of_a_key(cli: Cli, api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    key = role_key(api.settings, Role.OWNER, organization="tokens")
    with IdentityProvider() as provider:
        described = OidcIssuer(issuer=provider.issuer, audience=AUDIENCE, organization="tokens")
        trusting = api.settings.model_copy(update={"oidc_issuers": [described]})
        issuers = json.dumps([described.model_dump()])

        made = cli("members", "bootstrap", "ada", "--organization", "tokens", WAYBILL_OIDC_ISSUERS=issuers)
        assert made.exit_code == 0, made.stderr
        monkeypatch.setattr(api.runtime, "authenticator", Authenticator(trusting, api.runtime.database))
        token = provider.token("ada")
        project = encode(PROJECT, key.project_id)
        assert project in cli("projects", "list", WAYBILL_API_KEY=token).stdout
        assert error(cli, "jobs", "list", WAYBILL_API_KEY=token) == (5, "project_required")
        assert cli(*NOOP, WAYBILL_API_KEY=token, WAYBILL_PROJECT=project).exit_code == 0


def test_a_typing_error_creates_no_tenant_and_no_project(cli: Cli) -> None:
    made = document(cli, "organizations", "create", "northwind")
    assert error(cli, "organizations", "create", "northwind") == (5, "organization_name_taken")
    assert error(cli, "organizations", "create", " ") == (5, "validation_error")
    document(cli, "keys", "create", "--organization", "northwind", "--project", "claims")
    misspelled = cli("keys", "create", "--organization", "northwnd")
    assert (misspelled.exit_code, "use --organization northwind" in misspelled.stderr) == (1, True)
    assert error(cli, "members", "bootstrap", "ada", "--organization", "northwnd") == (1, "organization_not_found")
    project = cli("keys", "create", "--organization", "northwind", "--project", "clams")
    assert (project.exit_code, "use --project claims" in project.stderr) == (1, True)
    listed = document(cli, "organizations", "list")["data"]
    assert [each["id"] for each in listed if each["name"].startswith("north")] == [made["id"]]
    assert "northwind" in cli("organizations", "list").stdout
