"""Secrets that must be read again later, encrypted before they are stored: AES-256-GCM (NIST SP 800-38D).

The key is derived from a secret of the installation, ``WAYBILL_SECRET_KEY`` or ``WAYBILL_PSEUDONYM_KEY``, with
HKDF-SHA256 (RFC 5869) and a label for the purpose, so that each purpose has its own key. Each box is bound to its
owner's id: copied to another row, it cannot be opened.
"""

import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from core.kit.errors import Unavailable
from core.kit.settings import Settings

_VERSION = b"\x01"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_FINGERPRINT_BYTES = 16
_SECRET_MIN_LENGTH = 32


class SealingKeyMissing(Unavailable):
    """Nothing can be sealed or opened without the secret that the message names."""

    default_code = "secret_key_not_configured"


class CannotOpen(ValueError):
    """The box was sealed with another key, for another owner, or was changed since."""


class Sealer:
    """Seals and opens boxes of one purpose. Thread-safe. The first of `keys` seals, and all open."""

    def __init__(self, keys: Sequence[str], purpose: str) -> None:
        self._ciphers = [_cipher(key, purpose) for key in keys]

    def seal(self, owner: UUID, plaintext: bytes) -> bytes:
        """A box: version byte, nonce of 12 random bytes, ciphertext with its tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._ciphers[0].encrypt(nonce, plaintext, owner.bytes)

    def open(self, owner: UUID, box: bytes) -> bytes:
        """The sealed plaintext. Raises `CannotOpen`."""
        nonce, sealed = box[1 : 1 + _NONCE_BYTES], box[1 + _NONCE_BYTES :]
        if box[:1] != _VERSION:
            raise CannotOpen("sealed by a later version")
        for cipher in self._ciphers:
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, sealed, owner.bytes)
        raise CannotOpen("sealed with another key, or damaged")


class KeyedDigest:
    """Digests to look up sealed values: HMAC-SHA256 (RFC 2104), so that values cannot be guessed without the key.

    Each belongs to an owner, so that equal values of two owners have different digests. Thread-safe.
    """

    def __init__(self, keys: Sequence[str], purpose: str) -> None:
        self._keys = [_derive(key, purpose) for key in keys]

    def of(self, owner: UUID, value: bytes) -> bytes:
        """32 bytes, by the current key."""
        return _keyed(self._keys[0], owner, value)

    def all_of(self, owner: UUID, value: bytes) -> list[bytes]:
        """The digests by the current key and every retired one, to find earlier entries."""
        return [_keyed(key, owner, value) for key in self._keys]


def fingerprint(secret: str) -> str:
    """An identifier of a secret key, 128 bits in hexadecimal: it tells two keys apart, and opens nothing."""
    return _derive(secret, "fingerprint")[:_FINGERPRINT_BYTES].hex()


def secret_keys(settings: Settings) -> list[str]:
    """The secret key and the retired ones. Raises `SealingKeyMissing`."""
    code = SealingKeyMissing.default_code
    return _usable("WAYBILL_SECRET_KEY", settings.secret_key, settings.secret_keys_retired, code)


def pseudonym_keys(settings: Settings) -> list[str]:
    """The key of the guard's pseudonyms and the retired ones. Raises `SealingKeyMissing` (``guard_key_missing``)."""
    keys, retired = settings.pseudonym_key, settings.pseudonym_keys_retired
    return _usable("WAYBILL_PSEUDONYM_KEY", keys, retired, "guard_key_missing")


def _usable(variable: str, secret: SecretStr | None, retired: Sequence[SecretStr], code: str) -> list[str]:
    key = secret.get_secret_value() if secret else ""
    if len(key) < _SECRET_MIN_LENGTH:
        raise SealingKeyMissing(f"set {variable} to at least {_SECRET_MIN_LENGTH} random characters", code=code)
    return [key, *(each.get_secret_value() for each in retired)]


def _keyed(key: bytes, owner: UUID, value: bytes) -> bytes:
    return hmac.digest(key, owner.bytes + value, "sha256")


def _cipher(secret: str, purpose: str) -> AESGCM:
    return AESGCM(_derive(secret, purpose))


def _derive(secret: str, purpose: str) -> bytes:
    derived = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=f"waybill {purpose} v1".encode())
    return derived.derive(secret.encode())
