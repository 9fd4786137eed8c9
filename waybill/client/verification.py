"""The receiver's side of webhooks: whether a message is Waybill's, as it was sent, and new.

Follows Standard Webhooks 1.0.0 (github.com/standard-webhooks, spec), with nothing but the standard library, so that a
receiver needs no other package; `standardwebhooks` verifies the same messages.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from waybill.client.errors import ClientError

_PREFIX = "whsec_"
_SCHEME = "v1"
TOLERANCE_SECONDS = 300

Reason = Literal["header_missing", "timestamp_invalid", "timestamp_too_old", "timestamp_too_new", "signature_mismatch"]
_MESSAGES: Mapping[Reason, str] = {
    "header_missing": "webhook-id, webhook-timestamp and webhook-signature are not all there",
    "timestamp_invalid": "webhook-timestamp is no number of seconds",
    "timestamp_too_old": "it was signed too long ago: it may be a replay, or a clock is wrong",
    "timestamp_too_new": "it was signed in the future: a clock is wrong",
    "signature_mismatch": "no signature is of a secret that is known here, over the body as it came",
}


class WebhookRejected(ClientError):
    """A message that is not to be trusted. `reason` is stable; answer 400, and look at nothing of the body."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"{reason}: {_MESSAGES[reason]}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """A verified message. `id` stays the same when it is sent again: remember those that were handled.

    `type` is the event, such as ``job.succeeded``; `data` is what the reference says of it.
    """

    id: str
    type: str
    timestamp: str
    data: Mapping[str, Any]


class WebhookVerifier:
    """Verifies with one secret, or with several of which one is enough: so a secret is changed without a gap.

    `secrets` are given as they were shown (``whsec_…``). Raises ValueError for one that is none.
    """

    def __init__(self, secrets: str | Sequence[str], *, tolerance_seconds: float = TOLERANCE_SECONDS) -> None:
        given = [secrets] if isinstance(secrets, str) else list(secrets)
        if not given:
            raise ValueError("name one secret at least")
        self._keys = [_key(secret) for secret in given]
        self._tolerance_seconds = tolerance_seconds

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: float | None = None) -> WebhookMessage:
        """The message in `body`, which must be the bytes as they came, before anything parsed them.

        `now` is in seconds since 1970; the system's clock when None. Raises `WebhookRejected`.
        """
        lowered = {name.lower(): value for name, value in headers.items()}
        message_id, sent, signatures = (lowered.get(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
        if not message_id or not sent or not signatures:
            raise WebhookRejected("header_missing")
        self._check_time(sent, time.time() if now is None else now)
        signed = b".".join((message_id.encode(), sent.encode(), body))
        expected = [hmac.new(key, signed, hashlib.sha256).digest() for key in self._keys]
        given = [found for found in map(_signature, signatures.split()) if found is not None]
        # Every pair is compared, each in constant time: how long it takes says nothing.
        matches = [hmac.compare_digest(one, other) for one in expected for other in given]
        if not any(matches):
            raise WebhookRejected("signature_mismatch")
        message = json.loads(body)
        return WebhookMessage(message_id, message["type"], message["timestamp"], message["data"])

    def _check_time(self, sent: str, now: float) -> None:
        # Python's own reading of numbers takes more: signs, blanks, underscores, digits of other scripts.
        if not (sent.isascii() and sent.isdigit()):
            raise WebhookRejected("timestamp_invalid")
        age = now - int(sent)
        if age > self._tolerance_seconds:
            raise WebhookRejected("timestamp_too_old")
        if age < -self._tolerance_seconds:
            raise WebhookRejected("timestamp_too_new")


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        raise ValueError(f"a webhook secret begins with {_PREFIX}: pass it as it was shown")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError(f"what follows {_PREFIX} is not base64: pass the secret as it was shown")
    return key


def _signature(text: str) -> bytes | None:
    scheme, _, encoded = text.partition(",")
    if scheme != _SCHEME:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
