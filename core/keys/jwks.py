"""The signing keys of an OpenID Connect issuer: found by discovery, cached, and fetched again when they rotate.

OpenID Connect Discovery 1.0, section 4 (the configuration document), and RFC 7517 (JSON Web Key Sets).
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import jwt
import orjson

from core.keys.errors import IdentityProviderUnavailable, TokenInvalid
from core.kit.issuers import is_loopback, is_secure_url
from core.kit.logging import get_logger
from core.kit.names import NamedBackend, install
from core.kit.trust import authorities

# Keys that could not be refreshed are trusted this long: a key that the issuer withdrew must not stay valid forever
# here.
STALE_MAX_SECONDS = 24 * 3600.0
_DOCUMENT_MAX_BYTES = 1024 * 1024
_RSA_MIN_BITS = 2048
# Threads that may wait for one issuer; the rest are refused with a retry hint, so that a slow issuer cannot occupy them
# all.
_WAITING_MAX = 4
_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the only algorithm it is used with."""

    key: Any
    algorithm: str


class KeySet:
    """The keys of one issuer. Thread-safe.

    `refresh_seconds` is how long they are cached; `floor_seconds` is the minimum time between two fetches, whatever
    tokens arrive, so that made-up key ids cannot make this process flood the issuer.
    """

    def __init__(self, issuer: str, *, timeout_seconds: float, refresh_seconds: float, floor_seconds: float) -> None:
        self._issuer = issuer
        self._timeout_seconds = timeout_seconds
        self._refresh_seconds = refresh_seconds
        self._floor_seconds = floor_seconds
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_WAITING_MAX)

    def find(self, key_id: str) -> SigningKey:
        """The key named `key_id`, fetched when it is not known yet. Blocks for the timeout at most.

        Raises `TokenInvalid` when the issuer does not publish it, `IdentityProviderUnavailable` when it cannot be
        reached.
        """
        known = self._keys.get(key_id)
        age = monotonic() - self._fetched_at
        if known is not None and age < self._refresh_seconds:
            return known
        if known is not None and age < STALE_MAX_SECONDS:
            # One thread refreshes; the others do not wait for a key they already have.
            if self._lock.acquire(blocking=False):
                try:
                    self._fetch_unless_too_soon()
                finally:
                    self._lock.release()
        elif self._waiting.acquire(blocking=False):
            try:
                with self._lock:
                    if key_id not in self._keys or monotonic() - self._fetched_at >= STALE_MAX_SECONDS:
                        self._fetch_unless_too_soon()
            finally:
                self._waiting.release()
        else:
            raise self._unavailable()
        if monotonic() - self._fetched_at >= STALE_MAX_SECONDS:
            raise self._unavailable()
        found = self._keys.get(key_id)
        if found is None:
            raise TokenInvalid("the token is signed with a key that its issuer does not publish")
        return found

    def _fetch_unless_too_soon(self) -> None:
        now = monotonic()
        if now - self._tried_at < self._floor_seconds:
            return
        self._tried_at = now
        try:
            self._keys = self._fetch()
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("signing_keys_not_read", issuer=self._issuer, error=str(error) or type(error).__name__)
            return
        self._fetched_at = now

    def _fetch(self) -> Mapping[str, SigningKey]:
        until = monotonic() + self._timeout_seconds
        with connect(self._issuer, self._timeout_seconds) as client:
            configuration = read_configuration(client, self._issuer, until)
            location = configuration.get("jwks_uri")
            if not isinstance(location, str) or not is_secure_url(location):
                raise ValueError("the configuration document names no https:// jwks_uri")
            published = read_json(client, location, until).get("keys")
        if not isinstance(published, list):
            raise ValueError("the key set holds no list of keys")  # noqa: TRY004 - a wrong document
        return {key_id: key for each in published for key_id, key in _signing_keys(each)}

    def _unavailable(self) -> IdentityProviderUnavailable:
        return IdentityProviderUnavailable(
            "the signing keys of the token's issuer cannot be read now; send the request again in a moment",
            retry_after_seconds=max(1, round(self._floor_seconds)),
        )


def connect(issuer: str, timeout_seconds: float) -> httpx.Client:
    """A client for requests to an issuer."""
    # A proxy from the environment cannot reach this machine's loopback interface.
    through_proxy = not is_loopback(urlsplit(issuer).hostname or "")
    client = httpx.Client(
        timeout=timeout_seconds,
        verify=authorities(by_environment=through_proxy),
        trust_env=through_proxy,
        follow_redirects=False,
    )
    install(client, NamedBackend(httpcore))
    return client


def read_configuration(client: httpx.Client, issuer: str, until: float) -> dict[str, Any]:
    """The issuer's configuration document. Raises ValueError for one that is not its own, or too late or large."""
    configuration = read_json(client, f"{issuer.rstrip('/')}/.well-known/openid-configuration", until)
    if configuration.get("issuer") != issuer:
        raise ValueError("the configuration document is that of another issuer")
    return configuration


def read_json(client: httpx.Client, url: str, until: float, method: str = "GET", **sent: Any) -> dict[str, Any]:
    """The JSON object that `url` answers with. Raises ValueError for anything else, or when it is too late or large."""
    with client.stream(method, url, headers={"accept": "application/json"}, **sent) as response:
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"{url} answered {response.status_code}")
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _DOCUMENT_MAX_BYTES or monotonic() > until:
                raise ValueError(f"{url} is too large or too slow")
    found = orjson.loads(body)
    if not isinstance(found, dict):
        raise ValueError(f"{url} is not a JSON object")  # noqa: TRY004 - a wrong document, not a wrong argument
    return found


def _signing_keys(published: Any) -> list[tuple[str, SigningKey]]:
    """The keys of one member of a set, if usable: named, asymmetric, for signatures, strong enough."""
    if not isinstance(published, dict) or published.get("use", "sig") != "sig":
        return []
    algorithm = _ALGORITHMS.get((published.get("kty", ""), published.get("crv")))
    key_id = published.get("kid")
    if algorithm is None or not isinstance(key_id, str) or published.get("alg", algorithm) != algorithm:
        return []
    try:
        key = jwt.PyJWK.from_dict(published, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return []
    if algorithm == "RS256" and key.key_size < _RSA_MIN_BITS:
        return []
    return [(key_id, SigningKey(key, algorithm))]
