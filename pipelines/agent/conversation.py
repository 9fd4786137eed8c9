"""The conversation as a graph's state holds it, and as it is sent to the gateway."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.gateway.calls import JobModels
from core.gateway.models import Ability, ChatRequest, Message, Part, Role, Text, ToolCall, ToolResult, ToolSpec
from core.gateway.routing import CHAT
from core.kit.errors import CapabilityFailure

Entry = dict[str, Any]
_MAX_TOKENS = 4096
# How mail programs introduce quoted text of others.
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)


def user(text: str) -> Entry:
    """A message of the user's."""
    return {"role": "user", "text": text}


def agent(text: str, calls: Sequence[Mapping[str, str]] = ()) -> Entry:
    """The model's message, with the tool calls it requests: ``id``, ``name`` and ``arguments`` as it wrote them."""
    return {"role": "agent", "text": text, "calls": [dict(call) for call in calls]}


def answered(call_id: str, text: str, *, is_error: bool = False) -> Entry:
    """The outcome of a call."""
    return {"role": "tool", "call_id": call_id, "text": text, "is_error": is_error}


def own_words(entries: Sequence[Entry]) -> str:
    """The user's newest message, without quotations of others."""
    newest = next((entry["text"] for entry in reversed(entries) if entry["role"] == "user"), "")
    return _QUOTED_LINE.sub("", newest)


def ask_model(models: JobModels, system: str, entries: Sequence[Entry], tools: Sequence[ToolSpec]) -> Entry:
    """The bound model's next message. Raises `CapabilityFailure`: ``model_without_tools``, and those of the gateway."""
    if Ability.TOOLS not in models.resolve(CHAT).abilities:
        raise CapabilityFailure(
            "agent.run needs a bound model that calls tools, and the default model does not", code="model_without_tools"
        )
    request = ChatRequest(
        messages=tuple(_message(entry) for entry in entries),
        system=system,
        tools=tuple(tools),
        max_output_tokens=_MAX_TOKENS,
        has_own_limit=False,
    )
    text, calls = [], []
    with models.chat(CHAT, request) as stream:
        for chunk in stream:
            text.append(chunk.text)
            calls += [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in chunk.tool_calls]
    return agent("".join(text), calls)


def _message(entry: Entry) -> Message:
    if entry["role"] == "tool":
        return Message(Role.TOOL, (ToolResult(entry["call_id"], entry["text"], is_error=entry["is_error"]),))
    parts: tuple[Part, ...] = (Text(entry["text"]),) if entry["text"] else ()
    if entry["role"] == "user":
        return Message(Role.USER, parts)
    return Message(Role.ASSISTANT, (*parts, *(ToolCall(**call) for call in entry["calls"])))
