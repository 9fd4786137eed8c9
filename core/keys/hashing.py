"""The format of an API key, and the keyed hash that is stored in its place.

``wb_live_`` + 12 characters that are shown in lists + ``_`` + 256 random bits in base62 (43 characters) + CRC32 of
everything before it in base62 (6 characters). The checksum lets a mistyped key be refused, and a leaked one be
recognized by a scanner, without a lookup; the scheme is that of GitHub's tokens ("Behind GitHub's new authentication
token formats", github.blog, 2021).
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

from core.keys.errors import SecretKeyUnusable
from core.kit.settings import Settings

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEAD = "wb_live_"
_PUBLIC_LENGTH = 12
_SECRET_BITS = 256
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6
_SECRET_KEY_MIN_LENGTH = 32
_FORM = re.compile(rf"{_HEAD}[0-9A-Za-z]{{{_PUBLIC_LENGTH}}}_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A fresh key: `plaintext` is shown once, `prefix` is shown in lists."""

    plaintext: str
    prefix: str


def generate_key() -> GeneratedKey:
    """A new key from the operating system's random source."""
    public = _base62(secrets.randbits(_PUBLIC_LENGTH * 5), _PUBLIC_LENGTH)
    prefix = f"{_HEAD}{public}"
    body = f"{prefix}_{_base62(secrets.randbits(_SECRET_BITS), _SECRET_LENGTH)}"
    return GeneratedKey(body + _checksum(body), prefix)


def is_well_formed(plaintext: str) -> bool:
    """Whether `plaintext` has the format of a key and a matching checksum; it may still never have been issued."""
    if _FORM.fullmatch(plaintext) is None:
        return False
    return _checksum(plaintext[:-_CHECKSUM_LENGTH]) == plaintext[-_CHECKSUM_LENGTH:]


class KeyHasher:
    """HMAC-SHA256 keyed with ``WAYBILL_SECRET_KEY``: a stolen table alone does not allow testing guesses."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.secret_key.get_secret_value() if settings.secret_key else ""
        if len(secret) < _SECRET_KEY_MIN_LENGTH:
            raise SecretKeyUnusable(
                f"WAYBILL_SECRET_KEY must be set to at least {_SECRET_KEY_MIN_LENGTH} random characters; every API"
                " process needs the same one"
            )
        self._keyed = _keyed(secret)
        self._retired = [_keyed(key.get_secret_value()) for key in settings.secret_keys_retired]

    def digest(self, plaintext: str) -> bytes:
        """The 32 bytes stored for `plaintext`."""
        return _digest(self._keyed, plaintext)

    def retired_digests(self, plaintext: str) -> list[bytes]:
        """The bytes stored for `plaintext` under earlier secret keys."""
        return [_digest(keyed, plaintext) for keyed in self._retired]


def _keyed(secret: str) -> hmac.HMAC:
    return hmac.new(secret.encode(), digestmod=hashlib.sha256)


def _digest(keyed: hmac.HMAC, plaintext: str) -> bytes:
    copy = keyed.copy()
    copy.update(plaintext.encode())
    return copy.digest()


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)
