"""OpenAI's chat-completions and embeddings wire: https://platform.openai.com/docs/api-reference/chat."""

import base64
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from tests.factories.provider_simulator.events import Event
from tests.factories.provider_simulator.records import Recorded
from tests.factories.provider_simulator.scripts import Answer, Failure, Tokens, ToolUse

_DIMENSIONS = 8


def error(failure: Failure) -> dict[str, Any]:
    """The body of an answer with an error status."""
    return {
        "error": {"message": failure.message, "type": "error", "code": failure.code, "param": failure.param},
    }


def whole(answer: Answer, recorded: Recorded, usage: Tokens | None) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.deltas) or None}
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.text}}
            for call in answer.tool_calls
        ]
    body = _envelope(answer, recorded, "chat.completion")
    body["choices"] = [{"index": 0, "message": message, "finish_reason": answer.finish_reason}]
    if usage is not None:
        body["usage"] = _usage(usage)
    return body


def events(answer: Answer, recorded: Recorded, usage: Tokens | None) -> Iterator[Event]:
    """The events of a streamed answer. The one of the usage comes only when the request asked for it."""

    def chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        if recorded.body.get("logprobs") and delta.get("content"):
            choice["logprobs"] = {"content": [_logprob(delta["content"])]}
        return _data(_envelope(answer, recorded, "chat.completion.chunk") | {"choices": [choice]})

    yield Event(chunk({"role": "assistant", "content": ""}))
    for text in answer.deltas:
        yield Event(chunk({"content": text}), text)
    for number, call in enumerate(answer.tool_calls):
        for fragment, piece in enumerate(call.pieces()):
            yield Event(chunk({"tool_calls": [_fragment(call, number, fragment, piece)]}), piece)
    if answer.finish_reason is not None:
        yield Event(chunk({}, answer.finish_reason))
    asked = (recorded.body.get("stream_options") or {}).get("include_usage")
    if usage is not None and asked:
        tail = _envelope(answer, recorded, "chat.completion.chunk") | {"choices": [], "usage": _usage(usage)}
        yield Event(_data(tail))
    yield Event("data: [DONE]\n\n")


def malformed(text: str) -> str:
    """Text in the place of an event."""
    return f"data: {text}\n\n"


def error_event() -> str:
    """An error in the midst of a stream."""
    return _data({"error": {"message": "overloaded", "code": "server_error"}})


def embeddings(recorded: Recorded, tokens: int) -> dict[str, Any]:
    """Unit-length vectors made from a hash of each text, so that equal texts are equal and others are not."""
    texts = recorded.body["input"]
    texts = [texts] if isinstance(texts, str) else texts
    dimensions = recorded.body.get("dimensions") or _DIMENSIONS
    packed = recorded.body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = vector_of(text, dimensions)
        value: Any = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if packed else vector
        data.append({"object": "embedding", "index": index, "embedding": value})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": recorded.body.get("model", ""), "data": data, "usage": usage}


def vector_of(text: str, dimensions: int = _DIMENSIONS) -> list[float]:
    """The simulator's embedding of a text."""
    raw = hashlib.shake_256(text.encode()).digest(dimensions)
    values = [byte - 127.5 for byte in raw]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


def _logprob(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": -0.25, "bytes": list(token.encode()), "top_logprobs": []}


def _fragment(call: ToolUse, number: int, fragment: int, piece: str) -> dict[str, Any]:
    if fragment:
        return {"index": number, "function": {"arguments": piece}}
    return {
        "index": number,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": piece},
    }


def _data(body: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _envelope(answer: Answer, recorded: Recorded, kind: str) -> dict[str, Any]:
    model = answer.model or recorded.body.get("model", "")
    return {"id": f"chatcmpl-{recorded.number}", "object": kind, "created": 1700000000, "model": model}


def _usage(tokens: Tokens) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
    if tokens.cached or tokens.cache_write:
        usage["prompt_tokens_details"] = {"cached_tokens": tokens.cached}
    if tokens.reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": tokens.reasoning}
    return usage
