"""Refusals of keys and of idempotency keys; each carries the stable code that clients switch on."""

from core.kit.errors import BadRequest, Conflict, PermissionDenied, Unauthenticated, Unavailable, Unprocessable


class KeyMissing(Unauthenticated):
    """The request carries no key."""

    default_code = "key_missing"


class KeyUnknown(Unauthenticated):
    """The key is mistyped, or was never issued here."""

    default_code = "key_unknown"


class KeyExpired(Unauthenticated):
    """The key was good until it expired."""

    default_code = "key_expired"


class KeyRevoked(Unauthenticated):
    """The key was good until it was revoked."""

    default_code = "key_revoked"


class ScopeMissing(PermissionDenied):
    """The key is good, but lacks the scope the route asks for; ``extra["scope"]`` names it."""

    default_code = "scope_missing"


class SecretKeyUnusable(Unavailable):
    """``WAYBILL_SECRET_KEY`` is absent or too short, so that no key can be hashed."""

    default_code = "secret_key_not_configured"


class IdempotencyKeyInvalid(BadRequest):
    """The ``Idempotency-Key`` is not 1 to 255 printable ASCII characters."""

    default_code = "idempotency_key_invalid"


class IdempotencyKeyReused(Unprocessable):
    """The same ``Idempotency-Key`` came with another request."""

    default_code = "idempotency_key_reused"


class IdempotencyInProgress(Conflict):
    """The first request with this ``Idempotency-Key`` has not been answered yet."""

    default_code = "idempotency_in_progress"
