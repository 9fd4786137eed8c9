"""Errors of keys and of idempotency keys. Each has a stable code for clients."""

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
    """The key is misspelled, or was never issued by this installation."""

    default_code = "key_unknown"


class KeyExpired(Unauthenticated):
    """The key was valid until it expired."""

    default_code = "key_expired"


class KeyRevoked(Unauthenticated):
    """The key was valid until it was revoked."""

    default_code = "key_revoked"


class ScopeMissing(PermissionDenied):
    """The key is valid, but lacks the scope of the route; ``extra["scope"]`` names it."""

    default_code = "scope_missing"


class SecretKeyUnusable(Unavailable):
    """``WAYBILL_SECRET_KEY`` is missing or too short, so that no key can be hashed."""

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
    """The bearer token is not valid: its signature, issuer, audience or claims do not match."""

    default_code = "token_invalid"


class TokenExpired(Unauthenticated):
    """The bearer token was valid until it expired."""

    default_code = "token_expired"


class IdentityProviderUnavailable(Unavailable):
    """The issuer's signing keys cannot be read, so that its tokens cannot be verified."""

    default_code = "identity_provider_unavailable"


class NotAMember(PermissionDenied):
    """The token is valid, but its subject has no role in the organization."""

    default_code = "not_a_member"


class ProjectRequired(Unprocessable):
    """The caller belongs to no single project, and the request names none."""

    default_code = "project_required"


class ProjectInvalid(Unprocessable):
    """The ``Waybill-Project`` header is not a project's id."""

    default_code = "project_invalid"


class ProjectMismatch(PermissionDenied):
    """The ``Waybill-Project`` header names another project than the key's."""

    default_code = "project_mismatch"


class ProjectNotFound(NotFound):
    """No such project in the caller's organization."""

    default_code = "project_not_found"


class ProjectArchived(PermissionDenied):
    """The project is archived, and so read-only."""

    default_code = "project_archived"


class ProjectNameTaken(Conflict):
    """The organization already has a project of that name."""

    default_code = "project_name_taken"


class CapabilityDenied(PermissionDenied):
    """The key is limited to other capabilities; ``extra["capability"]`` names the requested one."""

    default_code = "capability_denied"


class ClearanceExceeded(PermissionDenied):
    """The data class is above the key's clearance; ``extra`` names both as ``data_class`` and ``clearance``."""

    default_code = "clearance_exceeded"


class ScopeExceeded(PermissionDenied):
    """The caller tried to grant, or take over, scopes that it lacks; ``extra["scopes"]`` names them."""

    default_code = "scope_exceeded"


class KeyNotFound(NotFound):
    """No such key in the caller's scope."""

    default_code = "key_not_found"


class KeyNotActive(Conflict):
    """The key was revoked, has expired, or was rotated already."""

    default_code = "key_not_active"


class MemberNotFound(NotFound):
    """No such member in the caller's organization."""

    default_code = "member_not_found"


class MemberExists(Conflict):
    """The organization already has that member."""

    default_code = "member_exists"


class LastOwner(Conflict):
    """The organization would have no owner."""

    default_code = "last_owner"


class IssuerRequired(Unprocessable):
    """No issuer was given for a member, and the settings do not name exactly one."""

    default_code = "issuer_required"
