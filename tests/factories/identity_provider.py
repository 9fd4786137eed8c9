"""An OpenID Connect issuer that speaks discovery and JWKS over a real socket, and signs tokens that a test describes.

    with IdentityProvider() as provider:
        token = provider.token("ada", audience="api://waybill")

Keys rotate, documents can be wrong, slow or absent, and every request is counted.
"""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "api://waybill"
_CONFIGURATION = "/.well-known/openid-configuration"


@lru_cache(maxsize=8)
def rsa_key(bits: int, _which: int = 0) -> rsa.RSAPrivateKey:
    """An RSA key; making one takes long enough that tests share them."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True)
class Signer:
    """A private key under a key id, and what is published of it."""

    key_id: str
    algorithm: str
    private: Any
    published: dict[str, Any]


def signer(algorithm: str = "RS256", *, rsa_bits: int = 2048, which: int = 0) -> Signer:
    """A key pair for `algorithm` under a fresh key id."""
    key_id = uuid4().hex
    to_jwk: Callable[..., str]
    match algorithm:
        case "RS256":
            private: Any = rsa_key(rsa_bits, which)
            to_jwk = RSAAlgorithm.to_jwk
        case "ES256":
            private, to_jwk = ec.generate_private_key(ec.SECP256R1()), ECAlgorithm.to_jwk
        case _:
            private, to_jwk = ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm.to_jwk
    published = json.loads(to_jwk(private.public_key()))
    published.pop("key_ops", None)
    return Signer(key_id, algorithm, private, {**published, "kid": key_id, "use": "sig", "alg": algorithm})


class IdentityProvider:
    """Serves on a free port of the loopback interface, from entering the ``with`` block to leaving it."""

    def __init__(self, algorithm: str = "RS256") -> None:
        self.signers = [signer(algorithm)]
        self.requests: list[str] = []
        self.answer_seconds = 0.0
        self.is_unavailable = False
        self.announced_issuer: str | None = None
        self.announced_jwks_uri: str | None = None
        self._stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                outer._stopping.wait(outer.answer_seconds)
                found = None if outer.is_unavailable else outer._document(self.path)
                body = json.dumps(found if found is not None else {"error": "away"}).encode()
                self.send_response(200 if found is not None else 503)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Keep the test output quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def issuer(self) -> str:
        """What its tokens carry as ``iss``."""
        return f"http://127.0.0.1:{self._server.server_port}/tenant/v2.0"

    @property
    def key_fetches(self) -> int:
        """How often its key set was read."""
        return sum(path.endswith("/keys") for path in self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _document(self, path: str) -> dict[str, Any] | None:
        if path.endswith(_CONFIGURATION):
            return {
                "issuer": self.announced_issuer or self.issuer,
                "jwks_uri": self.announced_jwks_uri or f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": sorted({each.algorithm for each in self.signers}),
            }
        if path.endswith("/keys"):
            return {"keys": [each.published for each in self.signers]}
        return None

    def rotate(self, *, keep_old: bool = False, algorithm: str = "RS256") -> Signer:
        """Sign with a new key from now on; the old one is still published with `keep_old`."""
        fresh = signer(algorithm, which=len(self.signers))
        self.signers = [fresh, *(self.signers if keep_old else ())]
        return fresh

    def token(
        self,
        subject: str,
        *,
        by: Signer | None = None,
        lives_seconds: float = 600,
        headers: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A token for `subject`, signed by the newest key or `by`; `claims` come over the usual ones."""
        now = time.time()
        given = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": int(now),
            "nbf": int(now),
            "exp": now + lives_seconds,
            **claims,
        }
        for name in without:
            del given[name]
        chosen = by or self.signers[0]
        sent = {"kid": chosen.key_id} if headers is None else headers
        return jwt.encode(given, chosen.private, chosen.algorithm, headers=sent)


def unsigned(token: str) -> str:
    """`token` with the algorithm ``none`` and no signature."""
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    claims["alg"] = "none"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{forged}.{body}."
