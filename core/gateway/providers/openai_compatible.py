"""Any endpoint that speaks OpenAI's chat-completions wire format: OpenAI, Azure OpenAI (``/openai/v1``), vLLM, Ollama.

The official SDK does the transport; its own retries are off, because a retry that the caller can not see is paid twice.
"""

import json
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import httpx
import openai
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice

from core.gateway.background import LoopThread
from core.gateway.errors import BadResponse, GatewayError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from core.gateway.models import Ability, ChatRequest, ChatStream, Check, Chunk, Finish, Usage
from core.gateway.streams import Meter, MeteredStream

_CONNECT_SECONDS = 5.0
_RETRYABLE_STATUSES = frozenset({408, 409, 425, 429})
_RETRY_AFTER_MAX_SECONDS = 3600
# Spent accounts are answered with 429 too, but waiting does not fill them.
_FINAL_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_FINISHES = {
    "stop": Finish.STOP,
    "tool_calls": Finish.STOP,
    "function_call": Finish.STOP,
    "length": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
}


class OpenAICompatible:
    """One model behind one endpoint. `timeout_seconds` bounds the wait for the first byte and between two chunks."""

    abilities = frozenset({Ability.STREAMS, Ability.WRITES})

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None,
        model: str,
        timeout_seconds: float,
        count_tokens: Callable[[str], int],
    ) -> None:
        self.name = model
        self.description = f"{model} behind an OpenAI-compatible endpoint. Writes its own text: verify what it quotes."
        self._count_tokens = count_tokens
        self._background = LoopThread()
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            # Local servers want no key, and the SDK will not start without one.
            api_key=api_key or "none",
            max_retries=0,
            http_client=httpx.AsyncClient(
                timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
                # A redirect would carry the key and the prompt to a host that nobody configured.
                follow_redirects=False,
            ),
        )
        # Models disagree about these; what the endpoint refuses is remembered and not sent again.
        self._refused: set[str] = set()

    def stream(self, request: ChatRequest, *, check: Check) -> ChatStream:
        """Begin to answer; the connection is opened by the first chunk that is asked for. See `ChatModel.stream`."""
        prompt = request.render(request.parts)
        meter = Meter(lambda meter: self._usage(meter, request.system, prompt))
        return MeteredStream(self._answer(request, prompt, meter, check), meter, check)

    def close(self) -> None:
        """Close the connections and the thread that serves them."""
        self._background.run(self._client.close())
        self._background.close()

    def _answer(self, request: ChatRequest, prompt: str, meter: Meter, check: Check) -> Generator[Chunk, None, None]:
        try:
            yield from self._background.iterate(lambda: self._chunks(request, prompt, meter), check)
        except (openai.OpenAIError, httpx.HTTPError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise _translate(error) from error

    async def _chunks(self, request: ChatRequest, prompt: str, meter: Meter) -> AsyncIterator[Chunk]:
        meter.sent = True
        async with await self._open(request, prompt) as stream:
            async for event in stream:
                _read_usage(event, meter)
                text = _read_text(event, meter)
                if text:
                    meter.text += text
                    yield Chunk(text)
        if meter.finish is None:
            raise BadResponse("The model's answer was cut short by its provider.", code="provider_stream_cut")

    async def _open(self, request: ChatRequest, prompt: str) -> "openai.AsyncStream[ChatCompletionChunk]":
        while True:
            try:
                stream: openai.AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
                    **self._arguments(request, prompt)
                )
            except openai.BadRequestError as error:
                if not self._learn(error):
                    raise
            else:
                return stream

    def _arguments(self, request: ChatRequest, prompt: str) -> dict[str, Any]:
        system = [{"role": "system", "content": request.system}] if request.system else []
        limit = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
        optional = {
            limit: request.max_output_tokens,
            "temperature": request.temperature,
            "stream_options": {"include_usage": True},
        }
        return {
            "model": self.name,
            "messages": [*system, {"role": "user", "content": prompt}],
            "stream": True,
            **{name: value for name, value in optional.items() if name not in self._refused},
        }

    def _learn(self, error: openai.BadRequestError) -> bool:
        """Whether the endpoint refused a parameter that can be left out, and had not refused it before."""
        name = error.param
        if name not in {"max_tokens", "temperature", "stream_options"} or name in self._refused:
            return False
        self._refused.add(name)
        return True

    def _usage(self, meter: Meter, system: str, prompt: str) -> Usage:
        if meter.input_tokens is not None and meter.output_tokens is not None:
            return Usage(self.name, meter.input_tokens, meter.output_tokens)
        if not meter.sent:
            return Usage(self.name, 0, 0)
        return Usage(
            self.name,
            self._count_tokens(f"{system}\n{prompt}"),
            self._count_tokens(meter.text),
            estimated=True,
        )


def _read_usage(event: ChatCompletionChunk, meter: Meter) -> None:
    # The SDK builds its objects without validating them, so a field may hold anything or be absent.
    usage: Any = getattr(event, "usage", None)
    if usage is None:
        return
    counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise BadResponse("The model provider reported a usage that is not a number.")
    meter.input_tokens, meter.output_tokens = counts


def _read_text(event: ChatCompletionChunk, meter: Meter) -> str:
    choices: Any = getattr(event, "choices", None)
    if not choices and getattr(event, "usage", None) is not None:
        return ""
    if not isinstance(choices, list) or not all(isinstance(choice, Choice) for choice in choices):
        raise BadResponse("The model provider sent an event that is not a chat completion.")
    if not choices:
        return ""
    reason = getattr(choices[0], "finish_reason", None)
    if reason is not None:
        meter.finish = _FINISHES.get(reason, Finish.STOP)
    text = getattr(getattr(choices[0], "delta", None), "content", None)
    if text is not None and not isinstance(text, str):
        raise BadResponse("The model provider sent text that is not text.")
    return text or ""


def _translate(error: Exception) -> GatewayError:
    if isinstance(error, openai.APITimeoutError | httpx.TimeoutException):
        return ProviderTimeout("The model provider did not answer in time.")
    if isinstance(error, openai.APIStatusError):
        return _translate_status(error)
    if isinstance(error, httpx.RemoteProtocolError):
        return BadResponse("The model's answer was cut short by its provider.", code="provider_stream_cut")
    if isinstance(error, openai.APIConnectionError | httpx.TransportError):
        return ProviderUnavailable("The model provider cannot be reached.", code="provider_unreachable")
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIResponseValidationError):
        # An error event inside a stream that began with 200: the protocol knows no status for it.
        return ProviderUnavailable("The model provider reported an error while it answered.")
    return BadResponse("The model provider sent something that is not a chat completion.")


def _translate_status(error: openai.APIStatusError) -> GatewayError:
    status = error.status_code
    if error.code in _FINAL_CODES:
        return ProviderRefused("The account at the model provider is spent.", code="provider_quota_exhausted")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return ProviderUnavailable(
            "The model provider limits our rate.",
            code="provider_rate_limited",
            retry_after_seconds=_retry_after(error.response),
        )
    if status in _RETRYABLE_STATUSES or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ProviderUnavailable(
            f"The model provider answered {status}.", retry_after_seconds=_retry_after(error.response)
        )
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return ProviderRefused("The model provider does not accept our key.", code="provider_key_refused")
    if status == httpx.codes.NOT_FOUND:
        return ProviderRefused("The model provider does not know this model or address.", code="provider_model_unknown")
    return ProviderRefused(f"The model provider refused the request ({status}{_named(error.code)}).")


def _named(code: str | None) -> str:
    return f", {code[:64]}" if code and code.isascii() and code.replace("_", "").isalnum() else ""


def _retry_after(response: httpx.Response) -> int | None:
    """Whole seconds of a ``Retry-After`` in seconds (RFC 9110, section 10.2.3), at most an hour; dates are not read."""
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    if not 0 <= seconds < float("inf"):
        return None
    return min(-int(-seconds // 1), _RETRY_AFTER_MAX_SECONDS)
