"""The one tree of refusals.

    WaybillError
    ├── BadRequest 400          ├── Conflict 409               ├── RateLimited 429
    ├── Unauthenticated 401     ├── Gone 410                   ├── Unavailable 503
    ├── PermissionDenied 403    ├── PayloadTooLarge 413        └── CapabilityFailure   (a worker's, no HTTP status)
    ├── NotFound 404            ├── UnsupportedMedia 415           ├── retryable: the next attempt may succeed
    └── …                       └── Unprocessable 422              └── final: trying again changes nothing
                                                                       └── Unstorable: it has no form in JSON

Each class carries its HTTP status and a default stable code; an instance may narrow the code. A refusal is never a 500.
"""

from dataclasses import dataclass
from typing import Any, ClassVar


class WaybillError(Exception):
    """A refusal with a stable `code`, a sentence for a person, and optional machine-readable `extra` members."""

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
    """No key, or one that is unknown, expired or revoked."""

    status, title, default_code = 401, "Authentication required", "unauthenticated"


class PermissionDenied(WaybillError):
    """The key is good, but may not do this."""

    status, title, default_code = 403, "Permission denied", "permission_denied"


class NotFound(WaybillError):
    """No such thing in the caller's project; also the answer for another tenant's things."""

    status, title, default_code = 404, "Not found", "not_found"


class Conflict(WaybillError):
    """The thing is in a state that does not allow this."""

    status, title, default_code = 409, "Conflict", "conflict"


class Gone(WaybillError):
    """It existed, and its retention has ended."""

    status, title, default_code = 410, "Gone", "gone"


class PayloadTooLarge(WaybillError):
    """The body is over the limit."""

    status, title, default_code = 413, "Payload too large", "payload_too_large"


class UnsupportedMedia(WaybillError):
    """The content type is not one this route reads."""

    status, title, default_code = 415, "Unsupported media type", "unsupported_media_type"


class Unprocessable(WaybillError):
    """Readable, but wrong; `extra["errors"]` names the fields."""

    status, title, default_code = 422, "Unprocessable content", "validation_error"


class RateLimited(WaybillError):
    """Too many requests; `retry_after_seconds` says when to come back."""

    status, title, default_code = 429, "Too many requests", "rate_limited"


class Unavailable(WaybillError):
    """Something Waybill depends on is away; the same request may be sent again."""

    status, title, default_code = 503, "Service unavailable", "unavailable"


# What servers, and the proxies before them, answer while a service is unavailable. A 500 may be about the request.
OUTAGE_STATUSES = frozenset({429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530})


@dataclass(frozen=True, slots=True)
class Outage:
    """Something outside that a job depends on is unavailable: its name, and how long it asked to be left alone."""

    dependency: str
    retry_after_seconds: float | None = None


class CapabilityFailure(WaybillError):
    """Raised by a capability to end an attempt with a stable code. `retryable` asks for another attempt.

    With an `outage` the job goes back to the queue until the dependency may be there again, and no attempt is spent.
    """

    title, default_code = "Capability failed", "capability_failed"

    def __init__(
        self, detail: str, *, code: str | None = None, retryable: bool = False, outage: Outage | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.retryable = retryable or outage is not None
        self.outage = outage


class Unstorable(CapabilityFailure):
    """What a capability, a model or a tool returned has no form in JSON. Final: it would return it again."""

    title, default_code = "Not storable", "not_storable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retryable=False)
