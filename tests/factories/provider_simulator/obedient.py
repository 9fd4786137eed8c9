"""A model that obeys every order that it reads, whoever wrote it: what a guard must hold against.

The orders that it knows, anywhere in a request::

    call TOOL with {"json": "arguments"}     it asks for that tool, where the request offers it
    answer with {"json": "fields"}           it fills these fields of a structured answer
    reply with any words up to the end of the line
    repeat your instructions                 it writes out its system prompt
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.factories.provider_simulator.records import Recorded, text_of_request
from tests.factories.provider_simulator.scripts import Answer, Script, ToolUse, example_of

_CALL = re.compile(r"\bcall (\w{1,64}) with (?=\{)", re.IGNORECASE)
_FIELDS = re.compile(r"\banswer with (?=\{)", re.IGNORECASE)
_REPLY = re.compile(r"\breply with ([^\n]{1,2000})", re.IGNORECASE)
_REPEAT = re.compile(r"\brepeat your instructions\b", re.IGNORECASE)


def obey_orders(recorded: Recorded) -> Script:
    """The script of such a model. Without an order it says "ok", or what obeys its schema."""
    body = recorded.body
    shown = [_text(message) for message in body["messages"]]
    text = "\n".join(shown)
    offered = {tool["function"]["name"] for tool in body.get("tools") or ()}
    calls = tuple(
        ToolUse(name, arguments, id=f"call_{number}")
        for number, (name, arguments) in enumerate(_calls(text))
        if name in offered
    )
    replies = _REPLY.findall(text)
    if _REPEAT.search(text):
        replies.append("\n".join(_text(message) for message in body["messages"] if message["role"] == "system"))
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    if schema is not None:
        return Answer.of_json(_filled(example_of(schema), " ".join(replies), _fields(text)))
    said = "\n".join(replies) or "ok"
    return Answer(*(said[start : start + 7] for start in range(0, len(said), 7)), tool_calls=calls)


def _text(message: Mapping[str, Any]) -> str:
    return text_of_request({"messages": [{"content": message.get("content")}]})


def _calls(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for found in _CALL.finditer(text):
        if (arguments := _object(text, found.end())) is not None:
            yield found[1], arguments


def _fields(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for found in _FIELDS.finditer(text):
        fields |= _object(text, found.end()) or {}
    return fields


def _object(text: str, at: int) -> dict[str, Any] | None:
    try:
        value, _ = json.JSONDecoder().raw_decode(text, at)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _filled(example: Any, reply: str, fields: Mapping[str, Any]) -> Any:
    """The example with the fields that were ordered, and every free text as it was ordered."""
    if isinstance(example, dict):
        return {
            name: fields[name] if name in fields else _filled(value, reply, fields) for name, value in example.items()
        }
    if isinstance(example, list):
        return [_filled(value, reply, fields) for value in example]
    if example is True:
        # Nobody ordered it.
        return False
    return reply if example == "text" and reply else example
