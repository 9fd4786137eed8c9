"""Errors of webhooks.

WaybillError
├── NotFound: EndpointNotFound, DeliveryNotFound
├── Conflict: EndpointStateConflict, DeliveryPending, SecretMissing, TooManyEndpoints
├── Gone: BodyErased
└── Unprocessable: TargetRefused
"""

from core.kit.errors import Conflict, Gone, NotFound, Unprocessable


class EndpointNotFound(NotFound):
    """The project has no such endpoint."""

    default_code = "webhook_endpoint_not_found"


class DeliveryNotFound(NotFound):
    """The project has no such delivery."""

    default_code = "webhook_delivery_not_found"


class EndpointStateConflict(Conflict):
    """The endpoint is in a state that does not allow this."""

    default_code = "webhook_endpoint_state"


class TooManyEndpoints(Conflict):
    """The project has the maximum number of endpoints."""

    default_code = "webhook_endpoints_too_many"


class DeliveryPending(Conflict):
    """The delivery has not ended: it will be retried anyway."""

    default_code = "webhook_delivery_pending"


class SecretMissing(Conflict):
    """A job names a webhook, and the project has no secret to sign its messages."""

    default_code = "webhook_secret_missing"


class BodyErased(Gone):
    """Retention has deleted the message's body with the job's payload."""

    default_code = "webhook_body_erased"


class TargetRefused(Unprocessable):
    """A URL that messages are never sent to. `reason` is a stable code; the message says what would be valid."""

    default_code = "webhook_url_refused"

    def __init__(self, reason: str, message: str, path: str = "body.url") -> None:
        super().__init__(f"{path}: {message}", errors=[{"path": path, "code": reason, "message": message}])
        self.reason = reason
        self.message = message

    def at(self, path: str) -> "TargetRefused":
        """The same error for the field at `path`."""
        return TargetRefused(self.reason, self.message, path)
