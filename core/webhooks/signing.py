"""Signatures and secrets of the Standard Webhooks specification 1.0.0 (github.com/standard-webhooks, spec)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"
# The purpose under which they are sealed before storage.
SEALED_FOR = "webhook secrets"
# The specification asks for 24 to 64 bytes.
_SECRET_BYTES = 32


def generate_secret() -> bytes:
    """A secret from the operating system's random source, used as the key of the HMAC."""
    return secrets.token_bytes(_SECRET_BYTES)


def show_secret(secret: bytes) -> str:
    """The form in which a receiver gets a secret: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secret).decode()


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def headers(secrets_: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of an attempt started at `at`: one signature for each secret, separated by a space."""
    timestamp = int(at.timestamp())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets_),
    }
