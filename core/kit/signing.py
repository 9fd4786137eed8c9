"""Ed25519 signatures (RFC 8032), and the public keys with which anyone can verify them (RFC 8037).

A key is named by the thumbprint of its public half (RFC 7638), so that its name cannot be given to another key.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.kit.canonical import canonical
from core.kit.errors import Unavailable
from core.kit.settings import Settings

KEY_BYTES = 32


class SigningKeyMissing(Unavailable):
    """Nothing can be signed: no key is configured, or the configured one is invalid."""

    default_code = "signing_key_not_configured"


class Signer:
    """Signs with one private key. Thread-safe."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._private.public_key().public_bytes_raw()
        self.key_id = thumbprint(self.public_key)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Signer":
        """The signer of ``signing_key``. Raises `SigningKeyMissing`."""
        if settings.signing_key is None:
            raise SigningKeyMissing("set WAYBILL_SIGNING_KEY to the output of: openssl rand -base64 32")
        return cls(_decode(settings.signing_key.get_secret_value(), "WAYBILL_SIGNING_KEY"))

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._private.sign(message)


class Keyring:
    """Public keys, by id."""

    def __init__(self, public_keys: Iterable[bytes]) -> None:
        self._raw = {thumbprint(raw): raw for raw in public_keys}
        self._keys = {key_id: Ed25519PublicKey.from_public_bytes(raw) for key_id, raw in self._raw.items()}

    @classmethod
    def from_settings(cls, settings: Settings) -> "Keyring":
        """The public keys of ``signing_key`` and ``signing_keys_retired``. Raises `SigningKeyMissing` for a bad one."""
        current = [Signer.from_settings(settings).public_key] if settings.signing_key is not None else []
        retired = [_decode(text, "WAYBILL_SIGNING_KEYS_RETIRED") for text in settings.signing_keys_retired]
        return cls([*current, *retired])

    @classmethod
    def from_jwks(cls, document: Any) -> "Keyring":
        """The Ed25519 keys of a JSON Web Key Set (RFC 7517); other kinds are skipped. Raises ValueError."""
        if not isinstance(document, Mapping) or not isinstance(document.get("keys"), list):
            raise ValueError('a key set is a JSON object with a list "keys"')  # noqa: TRY004 - it came as JSON
        found = []
        for key in document["keys"]:
            if isinstance(key, Mapping) and key.get("kty") == "OKP" and key.get("crv") == "Ed25519":
                raw = unbase64url(str(key.get("x", "")))
                if len(raw) != KEY_BYTES:
                    raise ValueError("an Ed25519 key has 32 bytes")
                found.append(raw)
        return cls(found)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    def verifies(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Whether `signature` over `message` was made with the key of that id; False for an unknown key."""
        key = self._keys.get(key_id)
        if key is None:
            return False
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def to_jwks(self) -> dict[str, Any]:
        """The key set as a JSON document."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "alg": "EdDSA",
                    "use": "sig",
                    "kid": key_id,
                    "x": base64url(raw),
                }
                for key_id, raw in self._raw.items()
            ]
        }


def generate_seed() -> str:
    """A new private key, in the format of ``signing_key``."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def thumbprint(public_key: bytes) -> str:
    """The id of a public key: base64url of the SHA-256 of its canonical JWK (RFC 7638, RFC 8037 appendix A.3)."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64url(public_key)}
    return base64url(hashlib.sha256(canonical(jwk)).digest())


def base64url(data: bytes) -> str:
    """Base64 with the alphabet for URLs, without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unbase64url(text: str) -> bytes:
    """The bytes of `base64url`. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _decode(text: str, variable: str) -> bytes:
    """The 32 bytes in `text`, in either base64 alphabet."""
    try:
        raw = base64.b64decode(text.strip().replace("-", "+").replace("_", "/") + "==", validate=False)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise SigningKeyMissing(
            f"{variable} is not {KEY_BYTES} bytes in base64; make a key with: openssl rand -base64 32"
        )
    return raw
