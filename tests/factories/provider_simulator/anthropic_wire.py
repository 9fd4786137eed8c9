"""Anthropic's Messages wire: https://platform.claude.com/docs/en/api/messages-streaming."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.factories.provider_simulator.events import Event
from tests.factories.provider_simulator.records import Recorded
from tests.factories.provider_simulator.scripts import Answer, Failure, Tokens

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def error(failure: Failure) -> dict[str, Any]:
    """The body of an answer with an error status."""
    return _error(failure.kind or _KINDS.get(failure.status, "api_error"), failure.message)


def whole(answer: Answer, recorded: Recorded, usage: Tokens | None) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    text = "".join(answer.deltas)
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    content.extend(
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.text)}
        for call in answer.tool_calls
    )
    return _message(answer, recorded) | {
        "content": content,
        "stop_reason": _STOP_REASONS.get(answer.finish_reason or ""),
        "usage": _usage(usage) if usage is not None else {},
    }


def events(answer: Answer, recorded: Recorded, usage: Tokens | None) -> Iterator[Event]:
    """The events of a streamed answer. The usage of the input comes first, that of the output at the end."""
    start = _message(answer, recorded) | {"content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = _usage(usage) | {"output_tokens": 1} if usage is not None else {}
    yield _event("message_start", {"message": start})
    index = 0
    if answer.deltas:
        yield _event("content_block_start", {"index": index, "content_block": {"type": "text", "text": ""}})
        yield _event("ping", {})
        for text in answer.deltas:
            yield _event("content_block_delta", {"index": index, "delta": {"type": "text_delta", "text": text}}, text)
        yield _event("content_block_stop", {"index": index})
        index += 1
    for call in answer.tool_calls:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield _event("content_block_start", {"index": index, "content_block": block})
        for piece in call.pieces():
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield _event("content_block_delta", {"index": index, "delta": delta}, piece)
        yield _event("content_block_stop", {"index": index})
        index += 1
    if answer.finish_reason is not None:
        end: dict[str, Any] = {
            "stop_reason": _STOP_REASONS.get(answer.finish_reason, "end_turn"),
            "stop_sequence": None,
        }
        yield _event("message_delta", {"delta": end, "usage": _usage(usage) if usage is not None else None})
        yield _event("message_stop", {})


def malformed(text: str) -> str:
    """Text in the place of an event."""
    return f"event: content_block_delta\ndata: {text}\n\n"


def error_event() -> str:
    """An error in the midst of a stream."""
    return f"event: error\ndata: {json.dumps(_error('overloaded_error', 'Overloaded'))}\n\n"


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _event(kind: str, fields: Mapping[str, Any], text: str | None = None) -> Event:
    return Event(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n", text)


def _message(answer: Answer, recorded: Recorded) -> dict[str, Any]:
    model = answer.model or recorded.body.get("model", "")
    return {"id": f"msg_{recorded.number}", "type": "message", "role": "assistant", "model": model}


def _usage(tokens: Tokens) -> dict[str, Any]:
    """On this wire the input is told apart: what was read from the cache and written to it is not in `input_tokens`."""
    usage: dict[str, Any] = {
        "input_tokens": tokens.input - tokens.cached - tokens.cache_write,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.cache_write,
        "output_tokens": tokens.output,
    }
    if tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage
