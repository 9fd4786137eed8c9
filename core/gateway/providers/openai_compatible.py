"""Any endpoint that speaks OpenAI's chat-completions wire format: OpenAI, vLLM, Ollama and many more.

The official SDK does the transport. Its own retries are off, because a retry hidden from the caller is paid twice.
"""

import json
import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import httpx
import openai

from core.gateway.errors import GatewayError
from core.gateway.interruptible import interruptible, open_client
from core.gateway.models import Ability, ChatRequest, ChatStream, Check, Chunk
from core.gateway.providers import failures
from core.gateway.providers.chunks import chunks_of
from core.gateway.providers.error_bodies import Reported, read_error
from core.gateway.providers.estimates import bound_of, learn_from, usage_of
from core.gateway.providers.estimator import CountTokens, Estimator
from core.gateway.providers.json_reading import read_json
from core.gateway.providers.openai_events import Reader
from core.gateway.providers.openai_wire import arguments_of
from core.gateway.providers.refused_parameters import REFUSALS, RefusedParameters, missing
from core.gateway.providers.sse import read_events
from core.gateway.streams import BY_SUMS, Meter, MeteredStream, UsageReading

# At debug level the SDK logs whole prompts.
logging.getLogger("openai").setLevel(logging.WARNING)

ALL_ABILITIES = frozenset(
    {Ability.STREAMS, Ability.WRITES, Ability.TOOLS, Ability.JSON_SCHEMA, Ability.VISION},
)


class OpenAICompatible:
    """One model behind one endpoint. `timeout_seconds` bounds the wait for the first byte and between two chunks.

    `api_key` may be a function, which is called for each request, so that a changed key needs no restart. `parameters`
    are sent with every call. `own_tokenizer`: `count_tokens` counts as this model does.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | Callable[[], str | None] | None,
        model: str,
        timeout_seconds: float,
        count_tokens: CountTokens,
        abilities: frozenset[Ability] = ALL_ABILITIES,
        parameters: Mapping[str, Any] | None = None,
        own_tokenizer: bool = False,
        reading: UsageReading = BY_SUMS,
    ) -> None:
        self.name = model
        self.abilities = abilities
        self.description = f"{model} behind an OpenAI-compatible endpoint. Writes its own text: verify what it quotes."
        self._parameters = dict(parameters or {})
        self._reading = reading
        self._estimator = Estimator(count_tokens, is_exact=own_tokenizer)
        self._read_key = read_key(api_key)
        self._client = self._open_client(base_url, open_client(timeout_seconds))
        self._refused = RefusedParameters(model)

    def stream(self, request: ChatRequest, *, check: Check) -> ChatStream:
        """Start to answer; requesting the first chunk opens the connection. See `Provider.stream`."""
        meter = Meter(lambda meter: usage_of(meter, self.name, request, self._estimator), self._reading)
        return MeteredStream(self._answer(request, meter, check), meter, check)

    def bound(self, request: ChatRequest) -> Mapping[str, int]:
        """The maximum that the request can consume, by kind of quantity of the ledger."""
        return bound_of(request, self._estimator)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _open_client(self, base_url: str, transport: httpx.Client) -> openai.OpenAI:
        return openai.OpenAI(base_url=base_url, api_key=self._key, max_retries=0, http_client=transport)

    def _key(self) -> str:
        # Local servers need no key, but the SDK does not start without one.
        return self._read_key() or "none"

    def _answer(self, request: ChatRequest, meter: Meter, check: Check) -> Generator[Chunk, None, None]:
        try:
            yield from self._chunks(request, meter, check)
        except FAILURES as error:
            failure = translate(error, has_begun=meter.has_begun)
        else:
            return
        # Outside the handler: an SDK's error holds the provider's words, and a traceback would show them.
        raise failure

    def _chunks(self, request: ChatRequest, meter: Meter, check: Check) -> Generator[Chunk, None, None]:
        meter.sent = True
        reader = Reader(meter)
        with interruptible(check):
            stream = self._open(request, meter)
        with stream:
            meter.request_id = stream.response.headers.get("x-request-id")
            events = iter(stream)
            yield from chunks_of(events, reader, meter, check, FAILURES)
        learn_from(meter, request, self._estimator)

    def _open(self, request: ChatRequest, meter: Meter) -> "_Events":
        """The events as JSON: the SDK builds an object for each known type, which costs more than everything else."""
        left_out: frozenset[str] = frozenset()
        while True:
            wanted = self._body(request)
            body = self._refused.left_out(wanted, left_out)
            meter.left_out = missing(wanted, body)
            try:
                return self._client.post(
                    "/chat/completions",
                    body=body,
                    options={"headers": self._headers()},
                    cast_to=object,
                    stream=True,
                    stream_cls=_Events,
                )
            except openai.APIStatusError as error:
                refused = self._refused.learn(body, _reported(error)) if error.status_code in REFUSALS else None
                if not refused:
                    raise
                left_out |= refused

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        optional = {
            "max_tokens": request.max_output_tokens if request.has_own_limit else None,
            "temperature": request.temperature,
            "stream_options": {"include_usage": True},
        }
        said = {name: value for name, value in optional.items() if value is not None}
        return {"model": self.name, "stream": True, **arguments_of(request), **said, **self._parameters}

    def _headers(self) -> dict[str, str]:
        """Header fields of every call besides the SDK's own."""
        return {}


class _Events(openai.Stream[object]):
    """The events of an answer as raw JSON, errors included; no server follows the protocol exactly."""

    def __stream__(self) -> Iterator[object]:
        try:
            yield from read_events(self.response.iter_bytes())
        finally:
            # Also when not all of it was read.
            self.response.close()


def read_key(api_key: str | Callable[[], str | None] | None) -> Callable[[], str | None]:
    """A key as a function."""
    return api_key if callable(api_key) else lambda: api_key


FAILURES = (openai.OpenAIError, httpx.HTTPError, json.JSONDecodeError, UnicodeDecodeError)


def translate(error: Exception, *, has_begun: bool = False) -> GatewayError:
    """The SDK's exception as our error, without the provider's words.

    `has_begun`: the model had produced something, so the call is billed whatever the error is.
    """
    if isinstance(error, openai.APITimeoutError | httpx.TimeoutException):
        return failures.timed_out()
    if isinstance(error, openai.APIStatusError):
        return failures.of_status(error.status_code, error.response.headers, _reported(error))
    if isinstance(error, httpx.RemoteProtocolError):
        return failures.cut_short()
    if isinstance(error, openai.APIConnectionError | httpx.TransportError):
        return failures.unreachable()
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIResponseValidationError):
        return failures.of_event(read_error(error.body), has_begun=has_begun)
    return failures.not_the_protocol()


def _reported(error: openai.APIStatusError) -> Reported:
    # The SDK keeps only the content of "error".
    try:
        return read_error(read_json(error.response.content))
    except ValueError:
        return read_error(error.body)
