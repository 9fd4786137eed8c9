import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from core.keys import jwks
from core.keys.errors import IdentityProviderUnavailable, NotAMember, TokenExpired, TokenInvalid
from core.keys.oidc import TokenVerifier
from core.keys.roles import Role
from core.kit.issuers import OidcIssuer
from core.kit.settings import Settings
from tests.factories.identity_provider import AUDIENCE, IdentityProvider, signer, unsigned
from tests.factories.waiting import wait_until


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as serving:
        yield serving


def verifier(provider: IdentityProvider, *, floor: float = 0.05, refresh: float = 60, **issuer: Any) -> TokenVerifier:
    described = {"issuer": provider.issuer, "audience": AUDIENCE, "organization": "acme", **issuer}
    return TokenVerifier(
        Settings(
            oidc_issuers=[OidcIssuer(**described)],
            oidc_clock_skew_seconds=20,
            oidc_timeout_seconds=1,
            oidc_keys_floor_seconds=floor,
            oidc_keys_refresh_seconds=refresh,
        )
    )


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_speaks_for_its_subject(algorithm: str) -> None:
    with IdentityProvider(algorithm) as provider:
        found = verifier(provider).verify(provider.token("ada"))
    assert (found.issuer, found.subject, found.organization, found.roles) == (provider.issuer, "ada", "acme", None)


def test_keys_are_fetched_once_and_kept(provider: IdentityProvider) -> None:
    checking = verifier(provider)
    for _ in range(5):
        checking.verify(provider.token("ada"))
    assert provider.key_fetches == 1


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("latin-1")).rstrip(b"=").decode()


def forged(provider: IdentityProvider) -> dict[str, str]:
    stranger = signer(which=7)
    small = signer(rsa_bits=1024)
    provider.signers.append(small)
    good = provider.token("ada")
    head, body, signature = good.split(".")
    public = jwt.PyJWK.from_dict(provider.signers[0].published).key.public_numbers()
    confused = jwt.encode(
        jwt.decode(good, options={"verify_signature": False}),
        str(public.n).encode(),
        "HS256",
        headers={"kid": provider.signers[0].key_id},
    )
    return {
        "another audience": provider.token("ada", aud="api://other"),
        "no audience": provider.token("ada", without=("aud",)),
        "another issuer": provider.token("ada", iss="https://login.example/other"),
        "no expiry": provider.token("ada", without=("exp",)),
        "an endless life": provider.token("ada", exp=float("inf")),
        "not valid yet": provider.token("ada", nbf=int(time.time()) + 600),
        "no subject": provider.token("ada", without=("sub",)),
        "a key that is not published": provider.token("ada", by=stranger),
        "a foreign key under a published id": provider.token(
            "ada", by=stranger, headers={"kid": provider.signers[0].key_id}
        ),
        "a key that is too short": provider.token("ada", by=small),
        "no key id": provider.token("ada", headers={}),
        "no signature": unsigned(good),
        "a symmetric algorithm": confused,
        "changed claims": f"{head}.{body[:-4]}AAAA.{signature}",
        "garbage": "a.b.c",
        "nested too deep": f"{head}.{encoded('[' * 9000)}.{signature}",
        "not text": f"{head}.{encoded(chr(255))}.{signature}",
        "too long": good + "x" * 20_000,
    }


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_what_is_not_accepted(provider: IdentityProvider) -> None:
    checking = verifier(provider, floor=0.001)
    for what, token in forged(provider).items():
        with pytest.raises(TokenInvalid):
            raise AssertionError(f"accepted with {what}: {checking.verify(token)}")
    assert checking.verify(provider.token("ada")).subject == "ada"


def test_clocks_may_differ_by_the_skew_and_no_more(provider: IdentityProvider) -> None:
    checking = verifier(provider)
    assert checking.verify(provider.token("ada", lives_seconds=-10)).subject == "ada"
    with pytest.raises(TokenExpired):
        checking.verify(provider.token("ada", lives_seconds=-30))
    assert checking.verify(provider.token("ada", nbf=int(time.time()) + 10)).subject == "ada"


def test_a_rotated_key_is_fetched_and_the_old_one_evicted(provider: IdentityProvider) -> None:
    checking = verifier(provider)
    before = provider.token("ada")
    checking.verify(before)
    old = provider.signers[0]
    provider.rotate()
    fresh = provider.token("ada")

    def accepted() -> bool:
        try:
            return checking.verify(fresh).subject == "ada"
        except TokenInvalid:
            return False

    wait_until(accepted, timeout_seconds=3, what="the new key")
    with pytest.raises(TokenInvalid):
        checking.verify(provider.token("ada", by=old))


def test_made_up_key_ids_do_not_turn_us_against_the_issuer(provider: IdentityProvider) -> None:
    checking = verifier(provider, floor=30)
    checking.verify(provider.token("ada"))
    for _ in range(50):
        with pytest.raises(TokenInvalid):
            checking.verify(provider.token("ada", headers={"kid": f"made-up-{time.monotonic_ns()}"}))
    assert provider.key_fetches == 1


def test_an_unavailable_issuer(provider: IdentityProvider) -> None:
    provider.is_unavailable = True
    with pytest.raises(IdentityProviderUnavailable) as away:
        verifier(provider).verify(provider.token("ada"))
    assert away.value.status == 503
    assert away.value.retry_after_seconds is not None
    assert away.value.retry_after_seconds >= 1


def test_known_keys_outlive_an_outage_but_not_for_ever(
    provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking = verifier(provider, refresh=0.01)
    token = provider.token("ada")
    checking.verify(token)
    provider.is_unavailable = True
    time.sleep(0.06)
    fetches = len(provider.requests)
    assert checking.verify(token).subject == "ada"
    assert len(provider.requests) > fetches
    monkeypatch.setattr(jwks, "STALE_MAX_SECONDS", 0.01)
    with pytest.raises(IdentityProviderUnavailable):
        checking.verify(token)


def test_a_slow_issuer_occupies_few_threads_and_not_for_long(provider: IdentityProvider) -> None:
    provider.answer_seconds = 30
    checking = verifier(provider, floor=30)
    token = provider.token("ada")
    began = time.monotonic()

    def refused() -> float:
        with pytest.raises(IdentityProviderUnavailable):
            checking.verify(token)
        return time.monotonic() - began

    with ThreadPoolExecutor(12) as threads:
        waited = [each.result() for each in [threads.submit(refused) for _ in range(12)]]
    assert max(waited) < 3
    assert sum(each > 0.8 for each in waited) <= 4
    assert threading.active_count() < 50


@pytest.mark.parametrize(
    ("announced", "value"),
    [("announced_issuer", "https://other.example"), ("announced_jwks_uri", "http://169.254.169.254/keys")],
)
def test_a_configuration_document_that_points_elsewhere(provider: IdentityProvider, announced: str, value: str) -> None:
    setattr(provider, announced, value)
    with pytest.raises(IdentityProviderUnavailable):
        verifier(provider).verify(provider.token("ada"))
    assert provider.key_fetches == 0


def test_organisation_and_roles_from_claims(provider: IdentityProvider) -> None:
    checking = verifier(
        provider,
        organization=None,
        organization_claim="tid",
        organizations={"t-1": "acme", "t-2": "globex"},
        subject_claim="oid",
        role_claim="roles",
        roles={"Waybill.Admin": "admin", "Waybill.Auditor": "auditor"},
    )
    found = checking.verify(provider.token("x", tid="t-2", oid="o-1", roles=["Waybill.Admin", "Mail.Read"]))
    assert (found.organization, found.subject, found.roles) == ("globex", "o-1", frozenset({Role.ADMIN}))
    assert checking.verify(provider.token("x", tid="t-1", oid="o-1", roles="Waybill.Auditor")).roles == frozenset(
        {Role.AUDITOR}
    )
    assert checking.verify(provider.token("x", tid="t-1", oid="o-1")).roles == frozenset()
    assert checking.verify(provider.token("x", tid="t-1", oid="o-1", roles=["admin", 7])).roles == frozenset()
    with pytest.raises(NotAMember):
        checking.verify(provider.token("x", tid="t-3", oid="o-1"))
    with pytest.raises(TokenInvalid):
        checking.verify(provider.token("x", tid="t-1"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://login.example/v2.0"},
        {"issuer": "https://login.example/v2.0?x=1"},
        {"organization": None},
        {"organization_claim": "tid", "organizations": {"t": "o"}},
        {"organization": None, "organization_claim": "tid"},
        {"audience": ""},
        {"unknown": 1},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    given = {"issuer": "https://login.example/v2.0", "audience": AUDIENCE, "organization": "acme"}
    assert OidcIssuer(**given).subject_claim == "sub"
    with pytest.raises(ValidationError):
        OidcIssuer(**{**given, **wrong})


def test_an_issuer_is_described_once_and_with_roles_that_exist() -> None:
    one = OidcIssuer(issuer="https://login.example", audience=AUDIENCE, organization="acme")
    with pytest.raises(ValidationError):
        Settings(oidc_issuers=[one, one])
    with pytest.raises(ValueError, match="emperor"):
        TokenVerifier(Settings(oidc_issuers=[one.model_copy(update={"roles": {"x": "emperor"}})]))
