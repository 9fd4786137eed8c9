"""Signing people in at their identity provider: the authorization code flow with PKCE.

OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE, S256); RFC 9207 (the issuer in its answer).
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import httpx

from core.keys.errors import IdentityProviderUnavailable
from core.keys.sessions.errors import SignInRefused
from core.kit.issuers import OidcIssuer, is_secure_url
from core.kit.logging import get_logger
from core.kit.settings import Settings

if TYPE_CHECKING:
    from core.keys.oidc import Identity, TokenVerifier

_RETRY_SECONDS = 5
_CODE_MAX = 4096
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way, as the browser that began it keeps it. None of this reaches a page or an address."""

    issuer: int
    state: str
    nonce: str
    verifier: str


class CodeFlow:
    """Sends browsers to the issuers of the settings that know the console, and redeems what they bring back."""

    def __init__(self, settings: Settings, verifier: "TokenVerifier | None") -> None:
        self._verifier = verifier
        self._issuers = [each for each in settings.oidc_issuers if each.console_client_id is not None]
        self._timeout_seconds = settings.oidc_timeout_seconds

    def names(self) -> list[str]:
        """The issuers by the names of their hosts, in the order of their numbers."""
        return [urlsplit(each.issuer).hostname or each.issuer for each in self._issuers]

    def begin(self, number: int) -> tuple[str, Attempt]:
        """Where to send the browser, and what it keeps meanwhile. Blocks.

        Raises `SignInRefused` for an unknown issuer, and `IdentityProviderUnavailable`.
        """
        issuer = self._issuer(number)
        attempt = Attempt(number, *(secrets.token_urlsafe(32) for _ in range(3)))
        challenge = urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": issuer.console_client_id,
            "redirect_uri": issuer.console_redirect_uri,
            "scope": "openid",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint(issuer, "authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", attempt

    def finish(self, attempt: Attempt, answer: dict[str, str]) -> "Identity":
        """The person whom the issuer signed in. Blocks.

        Raises `SignInRefused`, `IdentityProviderUnavailable` and what `TokenVerifier.verify_sign_in` raises.
        """
        issuer = self._issuer(attempt.issuer)
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise SignInRefused("this answer belongs to another sign-in; start again")
        if answer.get("iss", issuer.issuer) != issuer.issuer:
            raise SignInRefused("this answer comes from another identity provider; start again")
        if "error" in answer or not 0 < len(answer.get("code", "")) <= _CODE_MAX:
            raise SignInRefused("the identity provider did not sign you in; start again, or ask its administrator")
        assert self._verifier is not None
        return self._verifier.verify_sign_in(issuer, self._redeem(issuer, attempt, answer["code"]), attempt.nonce)

    def _issuer(self, number: int) -> OidcIssuer:
        if not 0 <= number < len(self._issuers):
            raise SignInRefused("there is no such identity provider here; start again")
        return self._issuers[number]

    def _redeem(self, issuer: OidcIssuer, attempt: Attempt, code: str) -> str:
        from core.keys.jwks import read_json

        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": issuer.console_redirect_uri,
            "client_id": issuer.console_client_id,
            "code_verifier": attempt.verifier,
        }
        if issuer.console_client_secret is not None:
            sent["client_secret"] = issuer.console_client_secret.get_secret_value()
        endpoint = self._endpoint(issuer, "token_endpoint")
        found = self._ask(issuer, lambda client, until: read_json(client, endpoint, until, method="POST", data=sent))
        if not isinstance(found.get("id_token"), str):
            raise SignInRefused("the identity provider did not say who you are; ask its administrator")
        return str(found["id_token"])

    def _endpoint(self, issuer: OidcIssuer, name: str) -> str:
        from core.keys.jwks import read_configuration

        found = self._ask(issuer, lambda client, until: read_configuration(client, issuer.issuer, until))
        endpoint = found.get(name)
        # An authorization endpoint may have a query of its own; its place must be secure all the same.
        if not isinstance(endpoint, str) or not is_secure_url(endpoint.partition("?")[0]):
            raise self._unavailable(issuer, f"the configuration document names no https:// {name}")
        return endpoint

    def _ask(self, issuer: OidcIssuer, read: Callable[[httpx.Client, float], dict[str, Any]]) -> dict[str, Any]:
        from core.keys.jwks import connect

        until = monotonic() + self._timeout_seconds
        try:
            with connect(issuer.issuer, self._timeout_seconds) as client:
                return read(client, until)
        except (httpx.HTTPError, ValueError) as error:
            raise self._unavailable(issuer, str(error) or type(error).__name__) from None

    @staticmethod
    def _unavailable(issuer: OidcIssuer, why: str) -> IdentityProviderUnavailable:
        _log.warning("sign_in_not_possible", issuer=issuer.issuer, error=why)
        return IdentityProviderUnavailable(
            "the identity provider cannot be asked now; start again in a moment", retry_after_seconds=_RETRY_SECONDS
        )
