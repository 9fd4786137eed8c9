"""Statuses of providers as our errors. What a provider wrote into a body stays there: it may repeat prompt and key."""

from collections.abc import Mapping
from http import HTTPStatus

from core.gateway.errors import BadResponse, GatewayError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from core.kit.clock import utc_now
from core.kit.errors import OUTAGE_STATUSES
from core.kit.retry_after import retry_after_seconds

_RETRYABLE_STATUSES = frozenset({408, 409, 425})
# Spent accounts are answered with 429 too, but waiting does not fill them.
_SPENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})
_TOO_LONG_CODES = frozenset({"context_length_exceeded"})
_LIMIT_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "throttling_error"})
_OVERLOAD_CODES = frozenset({"overloaded_error", "overloaded", "service_unavailable", "engine_overloaded_error"})


def of_status(status: int, code: str | None, headers: Mapping[str, str], param: str | None = None) -> GatewayError:
    """The error of an answer with an error status.

    `code` is the provider's own short word for it, `param` the parameter that it names.
    """
    if code in _SPENT_CODES or status == HTTPStatus.PAYMENT_REQUIRED:
        return ProviderRefused("The account at the model provider is spent.", code="provider_quota_exhausted")
    retry_after = retry_after_seconds({name.lower(): value for name, value in headers.items()}, utc_now())
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ProviderUnavailable(
            "The model provider limits our rate.",
            code="provider_rate_limited",
            retry_after_seconds=retry_after,
            is_outage=True,
        )
    if status in _RETRYABLE_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnavailable(
            f"The model provider answered {status}.",
            retry_after_seconds=retry_after,
            is_outage=status in OUTAGE_STATUSES,
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ProviderRefused("The model provider does not accept our key.", code="provider_key_refused")
    if status == HTTPStatus.NOT_FOUND:
        return ProviderRefused("The model provider does not know this model or address.", code="provider_model_unknown")
    return _refused(status, code, param)


def of_event(code: object, kind: object, *, has_begun: bool) -> GatewayError:
    """The error of an event inside a stream that began with 200. `code` and `kind` are the provider's short words.

    Before anything was produced, a word that refuses the call is taken for it: nothing is billed then.
    """
    words = {word.lower() for word in (code, kind) if isinstance(word, str)}
    status = next((int(word) for word in map(str, (code, kind)) if word.isascii() and word.isdecimal()), 0)
    error: GatewayError | None = None
    if words & _SPENT_CODES:
        error = of_status(HTTPStatus.TOO_MANY_REQUESTS, "insufficient_quota", {})
    elif words & _LIMIT_CODES:
        error = of_status(HTTPStatus.TOO_MANY_REQUESTS, None, {})
    elif words & _OVERLOAD_CODES:
        error = of_status(HTTPStatus.SERVICE_UNAVAILABLE, None, {})
    elif HTTPStatus.BAD_REQUEST <= status < 600:  # noqa: PLR2004 - the end of the error statuses
        error = of_status(status, None, {})
    if error is None:
        return failed_midway()
    error.may_be_billed = has_begun
    return error


def timed_out() -> GatewayError:
    """Nothing arrived within the time allowed."""
    return ProviderTimeout("The model provider did not answer in time.", is_outage=True)


def cut_short() -> GatewayError:
    """The connection ended before the answer."""
    return BadResponse("The model's answer was cut short by its provider.", code="provider_stream_cut")


def unreachable() -> GatewayError:
    """No connection."""
    return ProviderUnavailable("The model provider cannot be reached.", code="provider_unreachable", is_outage=True)


def failed_midway() -> GatewayError:
    """An error event inside a stream that began with 200: the protocols know no status for it."""
    return ProviderUnavailable("The model provider reported an error while it answered.", may_be_billed=True)


def not_the_protocol(what: str = "something that is not a chat completion") -> GatewayError:
    """The bytes make no sense."""
    return BadResponse(f"The model provider sent {what}.")


def _refused(status: int, code: str | None, param: str | None) -> GatewayError:
    if code in _TOO_LONG_CODES:
        return ProviderRefused("The conversation is longer than what the model reads.", code="context_too_long")
    return ProviderRefused(f"The model provider refused the request ({status}{_named(code)}{_named(param)}).")


_PUNCTUATION = str.maketrans("", "", "_.[]")


def _named(code: str | None) -> str:
    plain = code is not None and code.isascii() and code.translate(_PUNCTUATION).isalnum()
    return f", {code[:64]}" if code and plain else ""
