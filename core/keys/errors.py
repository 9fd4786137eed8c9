"""Refusals of keys and of idempotency keys; each carries the stable code that clients switch on."""

from core.kit.errors import (
    BadRequest,
    Conflict,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)


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


class TokenInvalid(Unauthenticated):
    """A bearer token that is not one of ours: signature, issuer, audience or claims do not fit."""

    default_code = "token_invalid"


class TokenExpired(Unauthenticated):
    """A bearer token that was good until it expired."""

    default_code = "token_expired"


class IdentityProviderUnavailable(Unavailable):
    """The issuer's signing keys cannot be read, so that no token of it can be checked."""

    default_code = "identity_provider_unavailable"


class NotAMember(PermissionDenied):
    """The token is good, but its subject has no role in the organisation."""

    default_code = "not_a_member"


class ProjectRequired(Unprocessable):
    """The caller belongs to no one project, and the request names none."""

    default_code = "project_required"


class ProjectInvalid(Unprocessable):
    """The ``Waybill-Project`` header is not a project's id."""

    default_code = "project_invalid"


class ProjectMismatch(PermissionDenied):
    """The ``Waybill-Project`` header names another project than the key's own."""

    default_code = "project_mismatch"


class ProjectNotFound(NotFound):
    """No such project in the caller's organisation."""

    default_code = "project_not_found"


class ProjectArchived(PermissionDenied):
    """The project is archived: it can be read, and nothing in it can be changed."""

    default_code = "project_archived"


class ProjectNameTaken(Conflict):
    """The organisation has a project of that name."""

    default_code = "project_name_taken"


class CapabilityDenied(PermissionDenied):
    """The key is narrowed to other capabilities; ``extra["capability"]`` names the one that was asked for."""

    default_code = "capability_denied"


class ClearanceExceeded(PermissionDenied):
    """Content of a higher class than the key may read; ``extra`` names both as ``data_class`` and ``clearance``."""

    default_code = "clearance_exceeded"


class ScopeExceeded(PermissionDenied):
    """Somebody tried to hand out, or take over, more than they hold; ``extra["scopes"]`` names what they lack."""

    default_code = "scope_exceeded"


class KeyNotFound(NotFound):
    """No such key where the caller may look."""

    default_code = "key_not_found"


class KeyNotActive(Conflict):
    """The key was revoked, has expired, or was rotated already."""

    default_code = "key_not_active"


class MemberNotFound(NotFound):
    """No such member in the caller's organisation."""

    default_code = "member_not_found"


class MemberExists(Conflict):
    """The organisation has that member already."""

    default_code = "member_exists"


class LastOwner(Conflict):
    """The organisation would be left without an owner."""

    default_code = "last_owner"


class IssuerRequired(Unprocessable):
    """A member's issuer was not given, and the settings do not name exactly one."""

    default_code = "issuer_required"
