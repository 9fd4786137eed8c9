"""Anthropic's Messages API. The official SDK does the transport; its own retries are off."""

import json
import logging
from collections.abc import Callable, Generator, Mapping
from typing import Any

import anthropic
import httpx2

from core.gateway.errors import GatewayError
from core.gateway.interruptible import interruptible, open_client2
from core.gateway.models import Ability, ChatRequest, ChatStream, Check, Chunk
from core.gateway.providers import failures
from core.gateway.providers.anthropic_wire import OPTIONS, Reader, arguments_of
from core.gateway.providers.chunks import chunks_of
from core.gateway.providers.error_bodies import Reported, read_error
from core.gateway.providers.estimates import bound_of, learn_from, usage_of
from core.gateway.providers.estimator import CountTokens, Estimator
from core.gateway.providers.refused_parameters import REFUSALS, RefusedParameters, missing
from core.gateway.providers.sse import read_events
from core.gateway.streams import Meter, MeteredStream

# At debug level the SDK logs whole prompts.
logging.getLogger("anthropic").setLevel(logging.WARNING)

BASE_URL = "https://api.anthropic.com"
ALL_ABILITIES = frozenset(
    {Ability.STREAMS, Ability.WRITES, Ability.TOOLS, Ability.JSON_SCHEMA, Ability.VISION},
)
# This API refuses a call without it.
_REQUIRED = frozenset({"max_tokens"})
_FAILURES = (anthropic.AnthropicError, httpx2.HTTPError, json.JSONDecodeError, UnicodeDecodeError)


class Anthropic:
    """One of Anthropic's models. `timeout_seconds` bounds the wait for the first byte and between two chunks.

    `api_key` may be a function, which is called for each request. `parameters` are sent with every call, for example
    ``{"cache_control": {"type": "ephemeral"}}``. `native_schema` is False for models without structured outputs: they
    are made to call a tool instead.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str | None] | None,
        model: str,
        timeout_seconds: float,
        count_tokens: CountTokens,
        base_url: str = BASE_URL,
        abilities: frozenset[Ability] = ALL_ABILITIES,
        parameters: Mapping[str, Any] | None = None,
        native_schema: bool = True,
    ) -> None:
        self.name = model
        self.abilities = abilities
        self.description = f"{model} of Anthropic. Writes its own text: verify what it quotes."
        self._read_key = api_key if callable(api_key) else lambda: api_key
        self._parameters = dict(parameters or {})
        self._native_schema = native_schema
        self._estimator = Estimator(count_tokens)
        self._client = anthropic.Anthropic(
            base_url=base_url,
            # Each call carries its key in a header; without one here the SDK would look for one in the environment.
            api_key="none",
            max_retries=0,
            http_client=open_client2(timeout_seconds),
        )
        self._refused = RefusedParameters(model)

    def stream(self, request: ChatRequest, *, check: Check) -> ChatStream:
        """Start to answer; requesting the first chunk opens the connection. See `Provider.stream`."""
        meter = Meter(lambda meter: usage_of(meter, self.name, request, self._estimator))
        return MeteredStream(self._answer(request, meter, check), meter, check)

    def bound(self, request: ChatRequest) -> Mapping[str, int]:
        """The maximum that the request can consume, by kind of quantity of the ledger."""
        return bound_of(request, self._estimator)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answer(self, request: ChatRequest, meter: Meter, check: Check) -> Generator[Chunk, None, None]:
        try:
            yield from self._chunks(request, meter, check)
        except _FAILURES as error:
            failure = _translate(error, has_begun=meter.has_begun)
        else:
            return
        # Outside the handler: an SDK's error holds the provider's words, and a traceback would show them.
        raise failure

    def _chunks(self, request: ChatRequest, meter: Meter, check: Check) -> Generator[Chunk, None, None]:
        meter.sent = True
        forced = request.output_schema is not None and not self._native_schema
        reader = Reader(meter, request.output_name if forced else None)
        with interruptible(check):
            stream = self._open(request, meter)
        with stream:
            meter.request_id = stream.response.headers.get("request-id")
            # Not the SDK's own parser: it skips unnamed events and recognizes only other line endings.
            events = read_events(stream.response.iter_bytes())
            yield from chunks_of(events, reader, meter, check, _FAILURES)
        learn_from(meter, request, self._estimator)

    def _open(self, request: ChatRequest, meter: Meter) -> Any:
        left_out: frozenset[str] = frozenset()
        while True:
            wanted = self._arguments(request)
            arguments = self._refused.left_out(wanted, left_out)
            extra = self._refused.left_out(wanted["extra_body"], left_out)
            refused = missing(wanted, arguments) | missing(wanted["extra_body"], extra)
            meter.left_out = refused | (frozenset(request.options) - OPTIONS)
            try:
                return self._client.messages.create(**{**arguments, "extra_body": extra})
            except anthropic.APIStatusError as error:
                sent = {name: value for name, value in {**arguments, **extra}.items() if name not in _REQUIRED}
                learned = self._refused.learn(sent, _reported(error)) if error.status_code in REFUSALS else None
                if not learned:
                    raise
                left_out |= learned

    def _arguments(self, request: ChatRequest) -> dict[str, Any]:
        arguments = {
            "model": self.name,
            "max_tokens": request.max_output_tokens,
            "stream": True,
            "extra_headers": {"Authorization": f"Bearer {self._read_key() or 'none'}"},
            **arguments_of(request, native_schema=self._native_schema),
        }
        # Newer releases of the SDK no longer name it, but many models still take it.
        # Newer models refuse it together with top_p, and use 1 when it is left out.
        is_left_out = request.temperature is None or ("top_p" in request.options and request.temperature == 1.0)
        extra = {} if is_left_out else {"temperature": request.temperature}
        return {**arguments, "extra_body": {**extra, **self._parameters}}


def _translate(error: Exception, *, has_begun: bool) -> GatewayError:  # noqa: PLR0911 - a table of what can go wrong
    """The SDK's exception as our error, without the provider's words."""
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return failures.timed_out()
    if isinstance(error, anthropic.APIStatusError):
        if error.status_code < httpx2.codes.BAD_REQUEST:
            return failures.of_event(_reported(error), has_begun=has_begun)
        return failures.of_status(error.status_code, error.response.headers, _reported(error))
    if isinstance(error, httpx2.RemoteProtocolError):
        return failures.cut_short()
    if isinstance(error, anthropic.APIConnectionError | httpx2.TransportError):
        return failures.unreachable()
    if isinstance(error, anthropic.APIError) and not isinstance(error, anthropic.APIResponseValidationError):
        return failures.failed_midway()
    return failures.not_the_protocol()


def _reported(error: anthropic.APIStatusError) -> Reported:
    return read_error(error.body)
