"""Errors of the gateway. All are `CapabilityFailure`, so a worker knows immediately whether to retry.

GatewayError
├── ProviderUnavailable   retryable: unreachable, overloaded, 429, 5xx; `retry_after_seconds` if reported
│   └── ProviderTimeout   retryable: nothing arrived within the time allowed
├── BadResponse           retryable: cut short, or not the protocol
├── ProviderRefused       final: our key, our request, the provider's policy or an exhausted quota
└── InvalidRequest        final: the request lacks a part that this model needs
"""

from math import ceil

from core.kit.errors import CapabilityFailure


class GatewayError(CapabilityFailure):
    """A model call that failed. The detail never contains a prompt or a key, so it may be shown and logged."""

    title, default_code = "Model call failed", "model_failed"
    retryable_by_default = False
    billed_by_default = False

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        may_be_billed: bool | None = None,
        is_outage: bool = False,
    ) -> None:
        super().__init__(detail, code=code, retryable=self.retryable_by_default)
        self.retry_after_seconds = None if retry_after_seconds is None else ceil(retry_after_seconds)
        # Whether it means that the provider is currently unavailable, regardless of this request.
        self.is_outage = is_outage
        # Whether the provider may have started work before it failed. If so, its input is counted.
        self.may_be_billed = self.billed_by_default if may_be_billed is None else may_be_billed


class ProviderUnavailable(GatewayError):
    """The provider cannot be reached, is overloaded or limits our rate."""

    title, default_code, retryable_by_default = "Model provider unavailable", "provider_unavailable", True


class ProviderTimeout(ProviderUnavailable):
    """The provider sent nothing within the time allowed."""

    title, default_code = "Model provider timed out", "provider_timeout"
    billed_by_default = True


class BadResponse(GatewayError):
    """The provider's response does not follow the protocol, or stopped in the middle."""

    title, default_code, retryable_by_default = "Invalid response from model provider", "provider_bad_response", True
    billed_by_default = True


class ProviderRefused(GatewayError):
    """The provider refused the request, and would refuse it again."""

    title, default_code = "Request refused by model provider", "provider_refused"


class InvalidRequest(GatewayError):
    """The request lacks a part that the model needs."""

    title, default_code = "Model request incomplete", "model_request_invalid"


def was_turned_away(error: GatewayError) -> bool:
    """Whether the provider never started work and bills nothing: an error status, a page, or no connection."""
    return isinstance(error, ProviderRefused | ProviderUnavailable | BadResponse) and not error.may_be_billed


def cause_of_rest(error: GatewayError) -> str:
    """Why a call waits before it is retried, as metrics name it."""
    return "backoff" if error.retry_after_seconds is None else "retry_after"
