"""The tree of errors.

    WaybillError
    ├── BadRequest 400          ├── Conflict 409               ├── RateLimited 429
    ├── Unauthenticated 401     ├── Gone 410                   ├── Unavailable 503
    ├── PermissionDenied 403    ├── PayloadTooLarge 413        └── CapabilityFailure   (a worker's, no HTTP status)
    ├── NotFound 404            ├── UnsupportedMedia 415           ├── retryable: the next attempt may succeed
    └── …                       └── Unprocessable 422              └── final: a retry changes nothing
                                                                       └── Unstorable: it has no form in JSON

Each class has its HTTP status and a default code, which an instance may narrow. A refused request never gets a 500.
"""

from dataclasses import dataclass
from typing import Any, ClassVar


class WaybillError(Exception):
    """An error with a stable `code`, an explanation for people, and optional machine-readable `extra` members."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.retry_after_seconds = retry_after_seconds
        self.extra = extra


class BadRequest(WaybillError):
    """The request cannot be read."""

    status, title, default_code = 400, "Bad request", "bad_request"


class Unauthenticated(WaybillError):
    """No key, or an unknown, expired or revoked one."""

    status, title, default_code = 401, "Authentication required", "unauthenticated"


class PermissionDenied(WaybillError):
    """The key is valid, but may not do this."""

    status, title, default_code = 403, "Permission denied", "permission_denied"


class NotFound(WaybillError):
    """No such resource in the caller's project. Resources of other tenants get the same response."""

    status, title, default_code = 404, "Not found", "not_found"


class Conflict(WaybillError):
    """The resource is in a state that does not allow this."""

    status, title, default_code = 409, "Conflict", "conflict"


class Gone(WaybillError):
    """The resource existed, but its retention period has ended."""

    status, title, default_code = 410, "Gone", "gone"


class PayloadTooLarge(WaybillError):
    """The body is larger than allowed."""

    status, title, default_code = 413, "Payload too large", "payload_too_large"


class UnsupportedMedia(WaybillError):
    """The route does not accept this media type."""

    status, title, default_code = 415, "Unsupported media type", "unsupported_media_type"


class Unprocessable(WaybillError):
    """Well-formed, but not valid; `extra["errors"]` names the fields."""

    status, title, default_code = 422, "Unprocessable content", "validation_error"


class RateLimited(WaybillError):
    """Too many requests; `retry_after_seconds` says when to try again."""

    status, title, default_code = 429, "Too many requests", "rate_limited"


class Unavailable(WaybillError):
    """A dependency of Waybill is unavailable. The same request may be sent again."""

    status, title, default_code = 503, "Service unavailable", "unavailable"


# What servers, and the proxies before them, return while a service is unavailable. A 500 may be about the request.
OUTAGE_STATUSES = frozenset({429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530})


@dataclass(frozen=True, slots=True)
class Outage:
    """A dependency of a job is unavailable: its name, and how long it asked not to be called."""

    dependency: str
    retry_after_seconds: float | None = None


class CapabilityFailure(WaybillError):
    """Raised by a capability to end an attempt with a stable code. `retryable` asks for another attempt.

    With an `outage` the job goes back to the queue until the dependency may be available again, and the attempt is not
    counted.
    """

    title, default_code = "Capability failed", "capability_failed"

    def __init__(
        self, detail: str, *, code: str | None = None, retryable: bool = False, outage: Outage | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.retryable = retryable or outage is not None
        self.outage = outage


class Unstorable(CapabilityFailure):
    """The output of a capability, a model or a tool cannot be represented in JSON.

    Final: it would return the same again.
    """

    title, default_code = "Not storable", "not_storable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retryable=False)
