"""Maps providers' statuses to our errors. Body text is never copied: it may repeat the prompt or the key."""

from collections.abc import Mapping
from http import HTTPStatus

from core.gateway.errors import BadResponse, GatewayError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from core.gateway.providers.error_bodies import Reported
from core.kit.clock import utc_now
from core.kit.errors import OUTAGE_STATUSES
from core.kit.retry_after import retry_after_seconds

_NOTHING = Reported()
_RETRYABLE_STATUSES = frozenset({408, 409, 425})
# Accounts out of credit are answered with 429 too, but waiting does not help them.
_SPENT = frozenset(
    {
        "insufficient_quota",
        "insufficient_user_quota",
        "insufficient_balance",
        "insufficient_credits",
        "exceeded_current_quota_error",
        "billing_hard_limit_reached",
        "billing_error",
        "arrearage",
    }
)
_TOO_LONG = frozenset({"context_length_exceeded", "string_above_max_length", "input_too_long", "prompt_too_long"})
_TOO_LONG_PHRASES = (
    "maximum context length",
    "context length exceeded",
    "context window",
    "prompt is too long",
    "exceeds the maximum number of tokens",
    "exceeded model token limit",
    "maximum prompt length",
    "longer than the model's context",
    "too large for model with",
)
_LIMITS = frozenset(
    {
        "rate_limit_exceeded",
        "rate_limit_error",
        "rate_limit_reached_error",
        "rate_limited",
        "too_many_requests",
        "throttling_error",
        "throttling",
        "resource_exhausted",
    }
)
_OVERLOADS = frozenset(
    {
        "overloaded_error",
        "overloaded",
        "service_unavailable",
        "service_unavailable_error",
        "serviceunavailableerror",
        "server_overloaded",
        "engine_overloaded",
        "engine_overloaded_error",
        "unavailable",
        "service_tier_capacity_exceeded",
    }
)


def of_status(status: int, headers: Mapping[str, str], reported: Reported = _NOTHING) -> GatewayError:
    """The error of an answer with an error status; `reported` is the content of its body."""
    if reported.words & _SPENT or status == HTTPStatus.PAYMENT_REQUIRED:
        return ProviderRefused("The account at the model provider is spent.", code="provider_quota_exhausted")
    retry_after = retry_after_seconds({name.lower(): value for name, value in headers.items()}, utc_now())
    if retry_after is None:
        retry_after = reported.retry_after_seconds
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
            is_outage=status in OUTAGE_STATUSES or bool(reported.words & _OVERLOADS),
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ProviderRefused("The model provider does not accept our key.", code="provider_key_refused")
    if status == HTTPStatus.NOT_FOUND:
        return ProviderRefused("The model provider does not know this model or address.", code="provider_model_unknown")
    return _refused(status, reported)


def of_event(reported: Reported, *, has_begun: bool) -> GatewayError:
    """The error that arrived in place of a piece of an answer, after a status of 200.

    Before anything was produced, a word that means refusal counts as a refused call: then nothing is billed.
    """
    words = reported.words
    error: GatewayError | None = None
    if words & (_SPENT | _LIMITS):
        error = of_status(HTTPStatus.TOO_MANY_REQUESTS, {}, reported)
    elif words & _OVERLOADS:
        error = of_status(HTTPStatus.SERVICE_UNAVAILABLE, {}, reported)
    elif reported.status is not None:
        error = of_status(reported.status, {}, reported)
    elif is_too_long(reported):
        error = of_status(HTTPStatus.BAD_REQUEST, {}, reported)
    if error is None:
        return failed_midway()
    error.may_be_billed = has_begun
    return error


def is_too_long(reported: Reported) -> bool:
    """Whether an error means that the conversation is longer than the model's context."""
    message = reported.message.lower()
    return bool(reported.words & _TOO_LONG) or any(phrase in message for phrase in _TOO_LONG_PHRASES)


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
    """An error event inside a stream that started with 200: the protocols define no status for it."""
    return ProviderUnavailable("The model provider reported an error while it answered.", may_be_billed=True)


def not_the_protocol(what: str = "something that is not a chat completion") -> GatewayError:
    """The bytes do not parse."""
    return BadResponse(f"The model provider sent {what}.")


def no_answer() -> GatewayError:
    """The page of a proxy or a sign-in, or some text: no model has seen the request."""
    return BadResponse("The model provider sent a page instead of an answer.", may_be_billed=False)


def _refused(status: int, reported: Reported) -> GatewayError:
    if is_too_long(reported) or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ProviderRefused("The conversation is longer than what the model reads.", code="context_too_long")
    named = f"{_named(reported.code)}{_named(reported.param)}"
    return ProviderRefused(f"The model provider refused the request ({status}{named}).")


_PUNCTUATION = str.maketrans("", "", "_.[]")


def _named(code: str | None) -> str:
    plain = code is not None and code.isascii() and code.translate(_PUNCTUATION).isalnum()
    return f", {code[:64]}" if code and plain else ""
