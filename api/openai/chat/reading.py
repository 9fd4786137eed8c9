"""A chat completion's body as the input of `models.chat`."""

from typing import Any

from api.openai.chat.schemas import CreateCompletion, ImagePart, Message, ObjectFormat, SchemaFormat, Tool
from api.openai.errors import refuse
from api.openai.parameters import Common, JsonSchema, options_of


def input_of(body: CreateCompletion) -> dict[str, Any]:
    """The input, without values that were left out. Raises `Refused` for values that the gateway does not support."""
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise refuse("max_tokens", "send either max_completion_tokens or max_tokens, not both")
    found: dict[str, Any] = {
        "model": body.model,
        "messages": [_message(message, at) for at, message in enumerate(body.messages)],
    }
    found |= asked_of(body, body.max_completion_tokens or body.max_tokens, body.stop, body.n)
    if body.tools:
        found["tools"] = [_tool(tool) for tool in body.tools]
        choice = body.tool_choice
        if choice is not None:
            found["tool_choice"] = choice if isinstance(choice, str) else choice.function.name
    elif body.tool_choice not in (None, "auto", "none"):
        raise refuse("tool_choice", "tool_choice: the request has no tools")
    if isinstance(body.response_format, ObjectFormat):
        found["json_object"] = True
    elif isinstance(body.response_format, SchemaFormat):
        found |= schema_of(body.response_format.json_schema)
    return found | options_of(body)


def asked_of(body: Common, most: int | None, stop: str | list[str] | None, n: int | None) -> dict[str, Any]:
    """Options for the length, number and variety of the answers."""
    found = {
        "max_output_tokens": most,
        "temperature": body.temperature,
        "stop": ([stop] if isinstance(stop, str) else stop) or None,
        "n": n,
    }
    return {name: value for name, value in found.items() if value is not None}


def schema_of(given: JsonSchema) -> dict[str, Any]:
    """The answer's schema, with its options."""
    found = {
        "output_schema": given.json_schema,
        "output_name": given.name,
        "output_description": given.description,
        "output_strict": given.strict,
    }
    return {name: value for name, value in found.items() if value is not None}


def read_image(url: str, param: str, detail: str | None) -> dict[str, str]:
    """A picture by its ``data:`` URL. Raises `Refused` for an address, which would be fetched past every rule."""
    head, found, data = url.partition(";base64,")
    if not found or not head.startswith("data:image/"):
        raise refuse(param, f"{param}: send the image's bytes as data:image/…;base64,…; addresses are not fetched")
    image = {"type": "image", "media_type": head.removeprefix("data:"), "data": data}
    return image if detail is None else {**image, "detail": detail}


def _message(message: Message, at: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": "system" if message.role == "developer" else message.role,
        "content": _content(message, at),
    }
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        found["name"] = message.name
    return found


def _content(message: Message, at: int) -> str | list[dict[str, str]]:
    if message.content is None or isinstance(message.content, str):
        return message.content or message.refusal or ""
    return [
        read_image(part.image_url.url, f"messages.{at}.content.{number}.image_url.url", part.image_url.detail)
        if isinstance(part, ImagePart)
        else {"type": "text", "text": part.text}
        for number, part in enumerate(message.content)
    ]


def _tool(tool: Tool) -> dict[str, Any]:
    function = tool.function
    found: dict[str, Any] = {"name": function.name, "description": function.description or ""}
    if function.parameters is not None:
        found["parameters"] = function.parameters
    if function.strict is not None:
        found["strict"] = function.strict
    return found
