"""Tokens of an identity provider of ours, over a real socket, in place of keys."""

from collections.abc import Iterator

import httpx
import pytest

from core.keys.roles import Role
from core.keys.service import IssuedKey
from core.kit.ids import PROJECT, encode, new_id
from core.kit.issuers import OidcIssuer
from core.kit.settings import Settings
from tests.factories.api import RunningApi, running_api
from tests.factories.identity_provider import AUDIENCE, IdentityProvider
from tests.factories.tenancy import audit_trail, role_key, watch_single_statements
from tests.factories.waiting import wait_until

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}
ORGANIZATION = "single-sign-on"


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as members, IdentityProvider() as claims:
        members.other = claims  # type: ignore[attr-defined]
        yield members


@pytest.fixture(scope="module")
def claims(provider: IdentityProvider) -> IdentityProvider:
    """An issuer whose tokens carry their roles."""
    found: IdentityProvider = provider.other  # type: ignore[attr-defined]
    return found


@pytest.fixture(scope="module")
def api(module_settings: Settings, provider: IdentityProvider, claims: IdentityProvider) -> Iterator[RunningApi]:
    issuers = [
        OidcIssuer(issuer=provider.issuer, audience=AUDIENCE, organization=ORGANIZATION),
        OidcIssuer(
            issuer=claims.issuer,
            audience=AUDIENCE,
            organization_claim="tid",
            organizations={"t-1": ORGANIZATION, "t-9": "nobody's"},
            role_claim="roles",
            roles={"Waybill.Admin": "admin", "Waybill.Developer": "developer"},
        ),
    ]
    more = {"oidc_issuers": issuers, "oidc_keys_floor_seconds": 0.1}
    with running_api(module_settings.model_copy(update=more)) as running:
        yield running


@pytest.fixture(scope="module")
def owner(api: RunningApi) -> IssuedKey:
    return role_key(api.settings, Role.OWNER, organization=ORGANIZATION)


@pytest.fixture(scope="module")
def project(owner: IssuedKey) -> str:
    return encode(PROJECT, owner.project_id)


@pytest.fixture(scope="module")
def owning(api: RunningApi, owner: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(owner) as opened:
        yield opened


def as_user(api: RunningApi, token: str, project: str | None = None) -> httpx.Client:
    client = api.client(token)
    if project is not None:
        client.headers["Waybill-Project"] = project
    return client


def let_in(owning: httpx.Client, provider: IdentityProvider, subject: str, role: str) -> str:
    body = {"subject": subject, "role": role, "issuer": provider.issuer}
    made = owning.post("/v1/members", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_a_member_works_in_the_project_it_names(
    api: RunningApi, owning: httpx.Client, owner: IssuedKey, provider: IdentityProvider, project: str
) -> None:
    member = let_in(owning, provider, "ada", "developer")
    with as_user(api, provider.token("ada"), project) as ada:
        job = ada.post("/v1/jobs", json=NOOP)
        assert job.status_code == 202
        assert job.json()["project_id"] == project
        found = ada.get("/v1/organization").json()
        assert found["name"] == ORGANIZATION
        assert found["caller"]["kind"] == "user"
        assert found["caller"]["id"] == member
        assert set(found["caller"]["scopes"]) == Role.DEVELOPER.scopes
        refused(ada.post("/v1/projects", json={"name": "n"}), 403, "scope_missing")
        key = ada.post("/v1/keys", json={"name": "by ada"}).json()
        refused(ada.post("/v1/keys", json={"name": "n", "role": "admin"}), 403, "scope_exceeded")
    created = [each for each in audit_trail(api.settings, owner.organization_id) if each["subject_id"] == key["id"]]
    assert (created[0]["actor_kind"], created[0]["actor_id"]) == ("user", member)
    assert owning.get(f"/v1/jobs/{job.json()['id']}").status_code == 200


def test_the_project_is_named_by_a_header(
    api: RunningApi, owning: httpx.Client, provider: IdentityProvider, project: str
) -> None:
    let_in(owning, provider, "bob", "developer")
    foreign = encode(PROJECT, role_key(api.settings, Role.OWNER).project_id)
    token = provider.token("bob")
    with as_user(api, token) as bob:
        refused(bob.post("/v1/jobs", json=NOOP), 422, "project_required")
        assert project in bob.get("/v1/projects").text
        assert bob.get("/v1/organization").json()["caller"]["project_id"] is None
        refused(bob.post("/v1/keys", json={"name": "n"}), 422, "project_required")
    answers = []
    for unknown in (foreign, encode(PROJECT, new_id())):
        with as_user(api, token, unknown) as bob:
            refused(bob.get("/v1/jobs"), 404, "project_not_found")
            answers.append({**bob.get("/v1/jobs").json(), "trace_id": "", "detail": ""})
    assert answers[0] == answers[1]
    for malformed in ("x", "prj_", "key_01jd3q8v9tfq8a1b2c3d4e5f6g"):
        with as_user(api, token, malformed) as bob:
            refused(bob.get("/v1/jobs"), 422, "project_invalid")
            assert bob.get("/v1/jobs").json()["errors"][0]["path"] == "header.waybill-project"


def test_a_key_may_only_name_its_own_project(api: RunningApi, owner: IssuedKey, project: str) -> None:
    with api.client(owner) as client:
        assert client.get("/v1/jobs", headers={"Waybill-Project": project}).status_code == 200
        other = encode(PROJECT, new_id())
        refused(client.get("/v1/jobs", headers={"Waybill-Project": other}), 403, "project_mismatch")


def test_who_is_no_member_learns_nothing(
    api: RunningApi, provider: IdentityProvider, claims: IdentityProvider, project: str
) -> None:
    for token in (
        provider.token("mallory"),
        claims.token("mallory", tid="t-1"),
        claims.token("mallory", tid="t-1", roles=["Other"]),
        claims.token("mallory", tid="t-2", roles=["Waybill.Admin"]),
        claims.token("mallory", tid="t-9", roles=["Waybill.Admin"]),
    ):
        for named in (project, encode(PROJECT, new_id()), None):
            with as_user(api, token, named) as mallory:
                refused(mallory.get("/v1/jobs"), 403, "not_a_member")


def test_a_removed_or_demoted_member_is_refused_within_two_seconds(
    api: RunningApi, owning: httpx.Client, provider: IdentityProvider, project: str
) -> None:
    member = let_in(owning, provider, "carol", "developer")
    with as_user(api, provider.token("carol"), project) as carol:
        assert carol.post("/v1/jobs", json=NOOP).status_code == 202
        owning.patch(f"/v1/members/{member}", json={"role": "auditor"})
        took = wait_until(
            lambda: carol.post("/v1/jobs", json=NOOP).status_code == 403,
            timeout_seconds=5,
            what="the demotion",
            pause_seconds=0.02,
        )
        assert took <= 2.0
        assert carol.get("/v1/jobs").status_code == 200
        owning.delete(f"/v1/members/{member}")
        took = wait_until(
            lambda: carol.get("/v1/jobs").status_code == 403, timeout_seconds=5, what="the removal", pause_seconds=0.02
        )
        assert took <= 2.0


def test_roles_from_a_claim(api: RunningApi, claims: IdentityProvider, project: str) -> None:
    token = claims.token("dave@acme.example", tid="t-1", roles=["Waybill.Admin", "Mail.Read"])
    with as_user(api, token, project) as dave:
        found = dave.get("/v1/organization").json()["caller"]
        assert set(found["scopes"]) == Role.ADMIN.scopes
        assert "dave" not in found["id"]
        assert dave.post("/v1/projects", json={"name": "dave's"}).status_code == 201


def test_refusals_of_tokens(api: RunningApi, provider: IdentityProvider, project: str) -> None:
    for token, code in (
        (provider.token("ada", aud="api://other"), "token_invalid"),
        (provider.token("ada", lives_seconds=-100), "token_expired"),
        ("a.b.c", "token_invalid"),
        ("wb_live_nonsense", "key_unknown"),
    ):
        with as_user(api, token, project) as caller:
            answer = caller.get("/v1/jobs")
            refused(answer, 401, code)
            assert f'error_description="{code}"' in answer.headers["www-authenticate"]


def test_keys_rotate_while_requests_come(
    api: RunningApi, owning: httpx.Client, provider: IdentityProvider, project: str
) -> None:
    let_in(owning, provider, "erin", "developer")
    with as_user(api, provider.token("erin"), project) as erin:
        assert erin.get("/v1/jobs").status_code == 200
    provider.rotate()
    fetched = provider.key_fetches
    with as_user(api, provider.token("erin"), project) as erin:
        wait_until(lambda: erin.get("/v1/jobs").status_code == 200, timeout_seconds=5, what="the new key to be trusted")
    assert provider.key_fetches > fetched


def test_a_remembered_token_costs_no_query(
    api: RunningApi,
    owning: httpx.Client,
    provider: IdentityProvider,
    project: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_in(owning, provider, "frank", "developer")
    seen = watch_single_statements(api.runtime.database, monkeypatch, "member.subject = ")
    token = provider.token("frank")
    authenticator = api.runtime.authenticator
    first = authenticator.authenticate(token, project)
    for _ in range(50):
        assert authenticator.recall(token, project) is first
    assert len(seen) == 1


def test_people_of_two_organisations_do_not_meet_in_idempotency_keys(
    api: RunningApi, owning: httpx.Client, provider: IdentityProvider
) -> None:
    let_in(owning, provider, "grace", "admin")
    sent = {"json": {"name": "by grace"}, "headers": {"Idempotency-Key": "same"}}
    with as_user(api, provider.token("grace")) as grace:
        made = grace.post("/v1/projects", **sent)  # type: ignore[arg-type]
        assert grace.post("/v1/projects", **sent).headers["idempotent-replayed"] == "true"  # type: ignore[arg-type]
    assert made.status_code == 201
    with api.client(role_key(api.settings, Role.OWNER)) as stranger:
        other = stranger.post("/v1/projects", **sent)  # type: ignore[arg-type]
    assert other.status_code == 201
    assert other.json()["id"] != made.json()["id"]


def test_an_unavailable_issuer_is_a_503(module_settings: Settings) -> None:
    with IdentityProvider() as away:
        away.is_unavailable = True
        issuers = [OidcIssuer(issuer=away.issuer, audience=AUDIENCE, organization=ORGANIZATION)]
        with running_api(module_settings.model_copy(update={"oidc_issuers": issuers})) as api:
            with as_user(api, away.token("ada")) as ada:
                answer = ada.get("/v1/projects")
            refused(answer, 503, "identity_provider_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            with api.client() as client:
                assert client.get("/v1/jobs").status_code == 200


def test_a_stream_ends_with_its_token(
    api: RunningApi, owning: httpx.Client, provider: IdentityProvider, project: str
) -> None:
    let_in(owning, provider, "eve", "developer")
    token = provider.token("eve", lives_seconds=2 - api.settings.oidc_clock_skew_seconds)
    with as_user(api, token, project) as client, client.stream("GET", "/v1/events", timeout=30) as stream:
        assert stream.status_code == 200
        # The server closes it: a stream of nothing but comments would go on for ever.
        said = "".join(stream.iter_text())
    assert "stream.opened" in said
