"""How real providers bend OpenAI's wire: where usage stands, how errors look, what is refused, what comes besides.

A preset is data. `Dialect.answer` makes a script of it for `ProviderSimulator`, which refuses what the provider would.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.factories.provider_simulator.records import Recorded
from tests.factories.provider_simulator.scripts import LateScript, Raw, Tokens, ToolUse

Json = dict[str, Any]


def _openai_error(status: int, message: str, param: str | None) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


def _flat_error(status: int, message: str, param: str | None) -> Any:
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": status}


def _google_error(status: int, message: str, param: str | None) -> Any:
    words = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    return [{"error": {"code": status, "message": message, "status": words.get(status, "INVALID_ARGUMENT")}}]


def _mistral_error(status: int, message: str, param: str | None) -> Any:
    detail = [{"type": "extra_forbidden", "loc": ["body", param], "msg": "Extra inputs are not permitted"}]
    said: Any = {"detail": detail} if param else message
    return {"object": "error", "message": said, "type": "invalid_request_error", "code": str(status)}


def _xai_error(status: int, message: str, param: str | None) -> Any:
    return {"code": "Client specified an invalid argument", "error": message}


def _openrouter_error(status: int, message: str, param: str | None) -> Any:
    return {"error": {"code": status, "message": message, "metadata": {"headers": {"Retry-After": "7"}}}}


def _totals(tokens: Tokens) -> Json:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }


def _openai_usage(tokens: Tokens) -> Json:
    return {
        **_totals(tokens),
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def _beside(tokens: Tokens) -> Json:
    """Reasoning is in the sum and not in what was completed."""
    return {**_totals(tokens), "completion_tokens": tokens.output - tokens.reasoning}


def _xai_usage(tokens: Tokens) -> Json:
    return {**_openai_usage(tokens), "completion_tokens": tokens.output - tokens.reasoning}


def _deepseek_usage(tokens: Tokens) -> Json:
    hit = {"prompt_cache_hit_tokens": tokens.cached, "prompt_cache_miss_tokens": tokens.input - tokens.cached}
    return {**_totals(tokens), **hit, "completion_tokens_details": {"reasoning_tokens": tokens.reasoning}}


def _moonshot_usage(tokens: Tokens) -> Json:
    return {**_totals(tokens), "cached_tokens": tokens.cached, "reasoning_tokens": tokens.reasoning}


def _openrouter_usage(tokens: Tokens) -> Json:
    return {**_openai_usage(tokens), "cost": 0.0001, "is_byok": False}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One provider. `usage_in` is ``tail`` (an event of its own), ``end`` (with the finish) or ``choice`` (inside it).

    `refuses` maps a parameter to the words of its refusal, `refusal_status` is 400 or 422. `before` and `between` are
    events that an answer does not need. `retry` are the header fields of a 429.
    """

    usage: Callable[[Tokens], Json] = _openai_usage
    usage_in: str = "tail"
    error: Callable[[int, str, str | None], Any] = _openai_error
    refuses: Mapping[str, str] = field(default_factory=dict)
    refusal_status: int = 400
    names_param: bool = True
    before: tuple[bytes, ...] = ()
    between: tuple[bytes, ...] = ()
    reasoning_field: str | None = None
    stop: str = "stop"
    has_index: bool = True
    whole_arguments: bool = False
    retry: Mapping[str, str] = field(default_factory=dict)

    def answer(self, *texts: str, tokens: Tokens, thought: str = "", tool: ToolUse | None = None) -> LateScript:
        """A script that answers with `texts`, or calls `tool`, once nothing is sent that the provider refuses."""

        def script(recorded: Recorded) -> Raw:
            for name, words in self.refuses.items():
                if name in recorded.body:
                    param = name if self.names_param else None
                    return self.refusal(self.refusal_status, words, param)
            return Raw(tuple(self._events(texts, tokens, thought, tool)), billed=tokens)

        return script

    def failure(self, status: int, message: str = "Try again later.") -> Raw:
        """An error status in the provider's words."""
        return self.refusal(status, message, None)

    def refusal(self, status: int, message: str, param: str | None) -> Raw:
        """An error status about one parameter."""
        body = json.dumps(self.error(status, message, param)).encode()
        headers = self.retry if status == 429 else {}
        return Raw((body,), "application/json", status=status, headers=headers)

    def _events(self, texts: tuple[str, ...], tokens: Tokens, thought: str, tool: ToolUse | None) -> list[bytes]:
        events = [*self.before, _chunk({"role": "assistant", "content": ""})]
        if thought and self.reasoning_field:
            events.append(_chunk({self.reasoning_field: thought}))
        for text in texts:
            events += [*self.between, _chunk({"content": text})]
        if tool is not None:
            events += [_chunk({"tool_calls": [fragment]}) for fragment in self._fragments(tool)]
        usage = self.usage(tokens)
        finish = "tool_calls" if tool is not None and self.stop == "stop" else self.stop
        end: Json = {"index": 0, "delta": {}, "finish_reason": finish}
        if self.usage_in == "choice":
            end["usage"] = usage
        beside = {"usage": usage} if self.usage_in == "end" else {}
        events.append(_data({"object": "chat.completion.chunk", "choices": [end], **beside}))
        if self.usage_in == "tail":
            events.append(_data({"object": "chat.completion.chunk", "choices": [], "usage": usage}))
        return [*events, b"data: [DONE]\n\n"]

    def _fragments(self, tool: ToolUse) -> list[Json]:
        index = {"index": 0} if self.has_index else {}
        first = {**index, "id": tool.id, "type": "function"}
        if self.whole_arguments:
            return [{**first, "function": {"name": tool.name, "arguments": tool.text}}]
        named, *rest = tool.pieces()
        return [
            {**first, "function": {"name": tool.name, "arguments": named}},
            *({**index, "function": {"arguments": piece}} for piece in rest),
        ]


def _data(body: Json) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def _chunk(delta: Json) -> bytes:
    return _data({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


_FILTER = {"hate": {"filtered": False, "severity": "safe"}}

DIALECTS: dict[str, Dialect] = {
    "openai": Dialect(
        refuses={
            "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "temperature": "Unsupported value: 'temperature' does not support 0 with this model. "
            "Only the default (1) value is supported.",
        },
        retry={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"},
    ),
    "azure": Dialect(
        before=(_data({"id": "", "model": "", "prompt_filter_results": [], "choices": []}),),
        between=(
            _data({"choices": [{"index": 0, "finish_reason": None, "content_filter_results": _FILTER}]}),
            _data({"choices": [{"index": 0, "finish_reason": None, "delta": None}]}),
        ),
        refuses={"stream_options": "Unrecognized request argument supplied: stream_options"},
        names_param=False,
        retry={"retry-after-ms": "1500", "Retry-After": "2"},
    ),
    "gemini": Dialect(
        usage=_beside,
        usage_in="end",
        error=_google_error,
        refuses={"seed": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'},
        whole_arguments=True,
    ),
    "deepseek": Dialect(
        usage=_deepseek_usage,
        usage_in="end",
        between=(b": keep-alive\n\n",),
        reasoning_field="reasoning_content",
        retry={"Retry-After": "20"},
    ),
    "moonshot": Dialect(
        usage=_moonshot_usage,
        usage_in="choice",
        reasoning_field="reasoning_content",
        refuses={"temperature": "invalid temperature: only 1 is allowed for this model"},
        names_param=False,
    ),
    "mistral": Dialect(
        usage=_totals,
        usage_in="end",
        error=_mistral_error,
        refuses={"stream_options": "", "parallel_tool_calls": ""},
        refusal_status=422,
        whole_arguments=True,
        has_index=False,
    ),
    "xai": Dialect(
        usage=_xai_usage,
        error=_xai_error,
        reasoning_field="reasoning_content",
        refuses={"presence_penalty": "Argument not supported on this model: presencePenalty"},
        names_param=False,
        whole_arguments=True,
    ),
    "vllm": Dialect(
        error=_flat_error,
        refuses={"parallel_tool_calls": "parallel_tool_calls is not supported by this model's tool parser"},
        names_param=False,
        reasoning_field="reasoning",
    ),
    "sglang": Dialect(
        usage=_totals,
        error=_flat_error,
        between=(b": ping\n\n",),
        has_index=False,
        reasoning_field="reasoning_content",
    ),
    "openrouter": Dialect(
        usage=_openrouter_usage,
        error=_openrouter_error,
        before=(b": OPENROUTER PROCESSING\n\n",) * 2,
        reasoning_field="reasoning",
    ),
}
