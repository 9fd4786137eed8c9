"""Converts our requests to the chat-completions wire format."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from core.gateway.models import ChatRequest, Image, Message, Role, Text, ToolSpec


def arguments_of(request: ChatRequest) -> dict[str, Any]:
    """The part of a call that every endpoint interprets the same way."""
    system = [{"role": "system", "content": request.system}] if request.system else []
    arguments: dict[str, Any] = {
        "messages": [*system, *(entry for message in request.messages for entry in _entries(message, request))]
    }
    if request.stop:
        arguments["stop"] = list(request.stop)
    if request.tools:
        arguments["tools"] = [{"type": "function", "function": _function(tool)} for tool in request.tools]
        named = request.tool_choice not in {"auto", "none", "required"}
        arguments["tool_choice"] = (
            {"type": "function", "function": {"name": request.tool_choice}} if named else request.tool_choice
        )
    if request.json_object:
        arguments["response_format"] = {"type": "json_object"}
    elif request.output_schema is not None:
        arguments["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": request.output_name,
                **({"description": request.output_description} if request.output_description else {}),
                "schema": dict(request.output_schema),
                "strict": allows_strict(request.output_schema)
                if request.output_strict is None
                else request.output_strict,
            },
        }
    return {**request.options, **arguments}


def _function(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return function if tool.strict is None else {**function, "strict": tool.strict}


def allows_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode accepts a schema: every object is closed and requires all of its properties.

    See https://platform.openai.com/docs/guides/structured-outputs#supported-schemas.
    """
    if isinstance(schema, list):
        return all(allows_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
        return all(allows_strict(item) for item in (*properties.values(), *schema.get("$defs", {}).values()))
    return all(allows_strict(item) for item in schema.values())


def _entries(message: Message, request: ChatRequest) -> list[dict[str, Any]]:
    if message.role is Role.TOOL:
        return [
            {"role": "tool", "tool_call_id": result.call_id, "content": result.text} for result in message.tool_results
        ]
    named = {} if message.name is None else {"name": message.name}
    if message.role is Role.USER:
        pieces = message.pieces(request.render)
        if not message.images and len(pieces) < 2:  # noqa: PLR2004 - text in one piece needs no list
            return [{"role": "user", **named, "content": pieces[0] if pieces else ""}]
        content = [_image(piece) if isinstance(piece, Image) else {"type": "text", "text": piece} for piece in pieces]
        return [{"role": "user", **named, "content": content}]
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    entry: dict[str, Any] = {"role": message.role.value, **named, "content": text or None}
    if message.tool_calls:
        entry["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return [entry]


def _image(image: Image) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode()
    url = {"url": f"data:{image.media_type};base64,{data}"}
    return {"type": "image_url", "image_url": url if image.detail is None else {**url, "detail": image.detail}}


def parse_object(arguments: str) -> dict[str, Any]:
    """The arguments of a tool call as an object; empty when the model wrote something else."""
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
