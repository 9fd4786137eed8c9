"""Bearer tokens of OpenID Connect issuers: JSON Web Tokens (RFC 7519), checked as RFC 8725 advises.

The algorithm belongs to the published key and never to the token; issuer and audience must be those of the settings.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt

from core.keys.errors import NotAMember, TokenExpired, TokenInvalid
from core.keys.jwks import KeySet
from core.keys.roles import Role
from core.kit.issuers import OidcIssuer
from core.kit.json_values import clean_text
from core.kit.settings import Settings

_TOKEN_MAX_CHARACTERS = 16 * 1024
_SUBJECT_MAX_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity in a token: a subject of an issuer, in the organization of that name.

    `roles` is None when the role comes from the organization's members. `expires_at` is in Unix seconds.
    """

    issuer: str
    subject: str
    organization: str
    roles: frozenset[Role] | None
    expires_at: float


class TokenVerifier:
    """Checks tokens of the issuers in the settings. Raises `ValueError` for an unknown role in them."""

    def __init__(self, settings: Settings) -> None:
        self.skew_seconds = settings.oidc_clock_skew_seconds
        self._issuers = {each.issuer: each for each in settings.oidc_issuers}
        self._roles = {each.issuer: _role_names(each) for each in settings.oidc_issuers}
        self._keys = {
            issuer: KeySet(
                issuer,
                timeout_seconds=settings.oidc_timeout_seconds,
                refresh_seconds=settings.oidc_keys_refresh_seconds,
                floor_seconds=settings.oidc_keys_floor_seconds,
            )
            for issuer in self._issuers
        }

    def verify(self, token: str) -> Identity:
        """The identity in `token`. Blocks while signing keys are fetched.

        Raises `TokenInvalid`, `TokenExpired`, `NotAMember` and `IdentityProviderUnavailable`.
        """
        if len(token) > _TOKEN_MAX_CHARACTERS:
            raise TokenInvalid(f"a token has at most {_TOKEN_MAX_CHARACTERS} characters")
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenInvalid("this is neither a Waybill API key nor a JSON Web Token") from None
        issuer = self._issuers.get(str(unverified.get("iss")))
        if issuer is None:
            raise TokenInvalid("tokens of this issuer are not accepted here")
        # Everything above is the caller's claim; from here on only what the issuer signed counts.
        return self._identity(issuer, self._verified(issuer, token, header.get("kid"), issuer.audience))

    def verify_sign_in(self, issuer: OidcIssuer, id_token: str, nonce: str) -> Identity:
        """The person that `issuer` signed in to the console (OpenID Connect Core 1.0, section 3.1.3.7). Blocks.

        Raises what `verify` raises.
        """
        try:
            key_id = jwt.get_unverified_header(id_token[:_TOKEN_MAX_CHARACTERS]).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenInvalid("the issuer's answer holds no JSON Web Token") from None
        claims = self._verified(issuer, id_token, key_id, issuer.console_client_id)
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise TokenInvalid("the token answers another sign-in")
        return self._identity(issuer, claims)

    def _verified(self, issuer: OidcIssuer, token: str, key_id: Any, audience: str | None) -> dict[str, Any]:
        if not isinstance(key_id, str):
            raise TokenInvalid("the token does not say with which key it is signed")
        signing = self._keys[issuer.issuer].find(key_id)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                signing.key,
                algorithms=[signing.algorithm],
                audience=audience,
                issuer=issuer.issuer,
                leeway=self.skew_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenExpired("the token has expired; sign in again") from None
        except (jwt.PyJWTError, ValueError, OverflowError) as error:
            raise TokenInvalid(f"the token is not accepted: {_reason(error)}") from None
        return claims

    def _identity(self, issuer: OidcIssuer, claims: dict[str, Any]) -> Identity:
        subject = claims.get(issuer.subject_claim)
        if (
            not isinstance(subject, str)
            or not 0 < len(subject) <= _SUBJECT_MAX_CHARACTERS
            or clean_text(subject) != subject
        ):
            raise TokenInvalid(f"the token's claim {issuer.subject_claim} does not name a subject")
        organization = issuer.organization
        if issuer.organization_claim is not None:
            organization = issuer.organizations.get(str(claims.get(issuer.organization_claim)))
        if organization is None:
            raise NotAMember("the token belongs to no organization of this installation")
        roles = self._roles_in(issuer, claims)
        return Identity(issuer.issuer, subject, organization, roles, float(claims["exp"]))

    def _roles_in(self, issuer: OidcIssuer, claims: dict[str, Any]) -> frozenset[Role] | None:
        if issuer.role_claim is None:
            return None
        given = claims.get(issuer.role_claim)
        listed: Iterable[Any] = given if isinstance(given, list) else (given,)
        known = self._roles[issuer.issuer]
        return frozenset(known[each] for each in listed if isinstance(each, str) and each in known)


def _role_names(issuer: OidcIssuer) -> dict[str, Role]:
    return {name: Role(role) for name, role in issuer.roles.items()} or {role.value: role for role in Role}


def _reason(error: Exception) -> str:
    match error:
        case jwt.InvalidAudienceError():
            return "it was issued for another audience"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet"
        case jwt.InvalidAlgorithmError():
            return "it is signed with an algorithm that its key is not for"
        case jwt.InvalidSignatureError():
            return "its signature does not fit"
        case jwt.MissingRequiredClaimError():
            return f"it lacks the claim {error.claim}"
        case _:
            return "its claims are not valid"
