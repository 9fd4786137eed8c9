"""Signing in at an identity provider of ours, over real sockets."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core.keys.roles import Role
from core.keys.service import IssuedKey
from core.kit.db import Database
from core.kit.ids import PROJECT, encode
from core.kit.issuers import OidcIssuer
from core.kit.settings import Settings
from tests.factories.api import RunningApi, running_api
from tests.factories.browser import Browser
from tests.factories.identity_provider import AUDIENCE, IdentityProvider
from tests.factories.tenancy import audit_trail, role_key
from tests.factories.waiting import wait_until

CLIENT = "the-console"
REDIRECT = "https://waybill.example/console/sign-in/callback"
ORGANIZATION = "console-sign-on"


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as opened:
        opened.client_secret = "a secret"
        yield opened


@pytest.fixture(scope="module")
def claims() -> Iterator[IdentityProvider]:
    """An issuer whose tokens carry their roles, and whose console is a public client."""
    with IdentityProvider() as opened:
        yield opened


@pytest.fixture(scope="module")
def api(module_settings: Settings, provider: IdentityProvider, claims: IdentityProvider) -> Iterator[RunningApi]:
    known: dict[str, Any] = {
        "audience": AUDIENCE,
        "organization": ORGANIZATION,
        "console_client_id": CLIENT,
        "console_redirect_uri": REDIRECT,
    }
    secret = SecretStr("a secret")
    issuers = [
        OidcIssuer(issuer=provider.issuer, console_client_secret=secret, **known),
        OidcIssuer(issuer=claims.issuer, role_claim="roles", **known),
    ]
    with running_api(module_settings.model_copy(update={"oidc_issuers": issuers})) as running:
        yield running


@pytest.fixture(scope="module")
def owner(api: RunningApi) -> IssuedKey:
    return role_key(api.settings, Role.OWNER, organization=ORGANIZATION)


@pytest.fixture
def browser(api: RunningApi, owner: IssuedKey) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened


def join(api: RunningApi, owner: IssuedKey, provider: IdentityProvider, subject: str, role: str) -> str:
    with api.client(owner) as client:
        made = client.post("/v1/members", json={"subject": subject, "role": role, "issuer": provider.issuer})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])


def start(browser: Browser, number: int = 0, following: str = "/console/jobs?state=failed") -> str:
    answer = browser.get(f"/console/sign-in/oidc?{urlencode({'issuer': number, 'next': following})}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def come_back(browser: Browser, url: str, code: str, **more: str) -> httpx.Response:
    state = dict(parse_qsl(urlsplit(url).query))["state"]
    fields = {"code": code, "state": state, "session_state": "theirs", **more}
    return browser.get(f"/console/sign-in/callback?{urlencode(fields)}", headers={"sec-fetch-site": "cross-site"})


def _views_of(api: RunningApi, subject: str) -> list[str]:
    database = Database(api.settings, application_name="test", pool_size=1)
    try:
        with database.system() as session:
            found = text("SELECT name FROM console_views WHERE subject = :subject")
            return list(session.execute(found, {"subject": subject}).scalars())
    finally:
        database.close()


def test_a_member_signs_in_and_chooses_a_project(
    api: RunningApi, browser: Browser, owner: IssuedKey, provider: IdentityProvider
) -> None:
    member = join(api, owner, provider, "ada", "developer")
    assert "Sign in with 127.0.0.1" in browser.get("/console/sign-in").text
    url = start(browser)
    assert dict(parse_qsl(urlsplit(url).query))["redirect_uri"] == REDIRECT
    answer = come_back(browser, url, provider.authorize(url, "ada"), iss=provider.issuer)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/jobs?state=failed")
    chooser = browser.open("/console/jobs?state=failed")
    assert "Choose a project" in chooser.text
    # The jobs of all projects need no choice, and a view belongs to the person in all of them.
    assert browser.get("/console/jobs?project=all").status_code == 200
    saved = browser.post("/console/jobs/views", {"name": "all of them", "query": "project=all"})
    assert saved.headers["location"] == "/console/jobs?project=all"
    project = encode(PROJECT, owner.project_id)
    chosen = browser.post("/console/projects", {"project": project, "next": "/console/jobs?state=failed"})
    assert chosen.headers["location"] == "/console/jobs?state=failed"
    page = browser.get("/console/jobs?state=failed")
    assert page.status_code == 200
    assert "You are working in default." in page.text
    assert ">all of them</a>" in page.text
    assert _views_of(api, "ada") == ["all of them"]
    with api.client(owner) as client:
        trail = audit_trail(api.settings, owner.organization_id)
        assert ("api:session:create", member) in {(each["action"], each["actor_id"]) for each in trail}
        client.delete(f"/v1/members/{member}").raise_for_status()
    assert _views_of(api, "ada") == []
    wait_until(
        lambda: browser.get("/console/jobs").status_code != 200, timeout_seconds=3, what="a removed member to be out"
    )


def test_roles_of_a_token_count_for_an_hour(
    api: RunningApi, browser: Browser, owner: IssuedKey, claims: IdentityProvider
) -> None:
    url = start(browser, 1)
    assert come_back(browser, url, claims.authorize(url, "grace", roles=["auditor"])).status_code == 303
    project = encode(PROJECT, owner.project_id)
    assert browser.open("/console/projects").status_code == 200
    assert browser.post("/console/projects", {"project": project}).status_code == 303
    assert browser.open("/console/jobs").status_code == 200
    assert browser.post("/console/jobs/several", {"act": "cancel", "job": "job_x"}).status_code == 403
    database = Database(api.settings, application_name="test", pool_size=1)
    with database.system() as session:
        lives = text(
            "SELECT max(extract(epoch FROM expires_at - created_at)) FROM console_sessions WHERE roles IS NOT NULL"
        )
        assert session.execute(lives).scalar_one() == 3600
    database.close()


def test_who_has_no_role_is_told(api: RunningApi, browser: Browser, provider: IdentityProvider) -> None:
    url = start(browser)
    answer = come_back(browser, url, provider.authorize(url, "nobody"))
    assert answer.status_code == 403
    assert "you are not a member of this organization" in answer.text
    assert browser.session is None


@pytest.mark.parametrize(
    "fault", ["state", "browser", "twice", "nonce", "audience", "expired", "issuer", "error", "no code", "code"]
)
def test_an_answer_that_does_not_belong_to_the_request_signs_no_one_in(
    api: RunningApi, browser: Browser, owner: IssuedKey, provider: IdentityProvider, fault: str
) -> None:
    more: dict[str, str] = {}
    wrong: dict[str, Any] = {}
    url = start(browser)
    if fault == "nonce":
        wrong = {"nonce": "of another sign-in"}
    elif fault == "audience":
        wrong = {"aud": AUDIENCE}
    elif fault == "expired":
        wrong = {"exp": 1_000_000_000}
    elif fault == "issuer":
        more = {"iss": "https://another.example"}
    elif fault == "error":
        more = {"error": "<script>alert(1)</script>", "error_description": "<script>alert(1)</script>"}
    code = provider.authorize(url, "ada", **wrong)
    if fault == "state":
        more = {"state": "guessed"}
    elif fault == "browser":
        browser.cookies.clear()
    elif fault == "twice":
        provider.codes.pop(code)
    elif fault in {"no code", "code"}:
        code = "" if fault == "no code" else "x" * 5000
    answer = come_back(browser, url, code, **more)
    assert answer.status_code in {401, 503}, answer.text
    assert "<script>alert" not in answer.text
    assert browser.session is None


def test_a_code_of_another_browser_is_not_redeemed(
    api: RunningApi, browser: Browser, owner: IssuedKey, provider: IdentityProvider
) -> None:
    """The attack that PKCE is for: a stolen code, brought back under the thief's own state."""
    with Browser(api) as thief:
        url = start(browser)
        code = provider.authorize(url, "ada")
        answer = come_back(thief, start(thief), code)
        assert answer.status_code == 503
        assert thief.session is None


def test_a_token_for_the_console_is_no_key_of_the_api(api: RunningApi, provider: IdentityProvider) -> None:
    with api.client(provider.token("ada", aud=CLIENT)) as client:
        assert client.get("/v1/organization").status_code == 401


def test_an_unknown_provider_and_one_that_is_away_are_told(browser: Browser, provider: IdentityProvider) -> None:
    assert browser.get("/console/sign-in/oidc?issuer=7").status_code == 401
    provider.is_unavailable = True
    try:
        answer = browser.get("/console/sign-in/oidc")
    finally:
        provider.is_unavailable = False
    assert answer.status_code == 503
    assert "cannot be asked now" in answer.text
