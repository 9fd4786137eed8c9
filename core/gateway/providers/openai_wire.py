"""Our requests in the words of the chat-completions wire format, and its events in ours."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.gateway.errors import BadResponse
from core.gateway.models import ChatRequest, Chunk, Finish, Image, Message, Role, Text, ToolCall
from core.gateway.providers import failures
from core.gateway.streams import Meter

_FINISHES = {
    "stop": Finish.STOP,
    "tool_calls": Finish.STOP,
    "function_call": Finish.STOP,
    "length": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
}


def arguments_of(request: ChatRequest) -> dict[str, Any]:
    """The part of a call that every endpoint understands the same way."""
    system = [{"role": "system", "content": request.system}] if request.system else []
    arguments: dict[str, Any] = {
        "messages": [*system, *(entry for message in request.messages for entry in _entries(message, request))]
    }
    if request.stop:
        arguments["stop"] = list(request.stop)
    if request.tools:
        arguments["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in request.tools
        ]
        named = request.tool_choice not in {"auto", "none", "required"}
        arguments["tool_choice"] = (
            {"type": "function", "function": {"name": request.tool_choice}} if named else request.tool_choice
        )
    if request.output_schema is not None:
        arguments["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": request.output_name,
                "schema": dict(request.output_schema),
                "strict": allows_strict(request.output_schema),
            },
        }
    return arguments


def allows_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes a schema: every object is closed and requires all of its properties.

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
    if message.role is Role.USER:
        text = request.render(message.readable)
        if not message.images:
            return [{"role": "user", "content": text}]
        content = [{"type": "text", "text": text}] if text else []
        return [{"role": "user", "content": [*content, *(_image(image) for image in message.images)]}]
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    entry: dict[str, Any] = {"role": message.role.value, "content": text or None}
    if message.tool_calls:
        entry["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return [entry]


def _image(image: Image) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{data}"}}


@dataclass
class _Call:
    """A tool call whose fragments are still coming."""

    id: str = ""
    name: str = ""
    arguments: str = ""


class Reader:
    """Reads the events of one answer. The SDK builds its objects unvalidated: a field may hold anything or be absent.

    Raises `BadResponse` for what is not the protocol, and when the answer ends without a reason.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._calls: dict[int, _Call] = {}

    def read(self, event: Any) -> Chunk | None:
        """The text of one event, if it holds any; usage, end and names go to the meter."""
        model = getattr(event, "model", None)
        if isinstance(model, str) and model:
            self._meter.model_reported = model
        reported = read_usage(getattr(event, "usage", None), self._meter)
        choices: Any = getattr(event, "choices", None)
        if not choices and reported:
            return None
        if not isinstance(choices, list) or not all(hasattr(choice, "delta") for choice in choices):
            raise failures.not_the_protocol("an event that is not a chat completion")
        return self._read_choice(choices[0]) if choices else None

    def end(self) -> Chunk | None:
        """The tool calls, now that they are whole."""
        if self._meter.finish is None:
            raise failures.cut_short()
        if not self._calls:
            return None
        calls = [self._calls[index] for index in sorted(self._calls)]
        if not all(call.name for call in calls):
            raise failures.not_the_protocol("a tool call without a name")
        return Chunk(
            "",
            tool_calls=tuple(
                ToolCall(call.id or f"call_{number}", call.name, call.arguments)
                for number, call in enumerate(calls, start=1)
            ),
        )

    def _read_choice(self, choice: Any) -> Chunk | None:
        reason = getattr(choice, "finish_reason", None)
        if reason is not None:
            self._meter.finish = _FINISHES.get(reason, Finish.STOP)
        delta = choice.delta
        for fragment in getattr(delta, "tool_calls", None) or ():
            self._collect(fragment)
        text = getattr(delta, "content", None)
        if text is None or text == "":
            return None
        if not isinstance(text, str):
            raise failures.not_the_protocol("text that is not text")
        self._meter.text += text
        return Chunk(text)

    def _collect(self, fragment: Any) -> None:
        index, function = getattr(fragment, "index", None), getattr(fragment, "function", None)
        if not isinstance(index, int) or function is None:
            raise failures.not_the_protocol("a tool call that is none")
        call = self._calls.setdefault(index, _Call())
        name, arguments = getattr(function, "name", None) or "", getattr(function, "arguments", None) or ""
        if not isinstance(name, str) or not isinstance(arguments, str):
            raise failures.not_the_protocol("a tool call that is none")
        call.id = call.id or getattr(fragment, "id", None) or ""
        call.name = call.name or name
        call.arguments += arguments
        self._meter.text += arguments


def read_usage(usage: Any, meter: Meter) -> bool:
    """Whether a usage was there; its counts go to the meter. Cached and reasoning tokens are inside the totals."""
    if usage is None:
        return False
    given = count_in(usage, "prompt_tokens"), count_in(usage, "completion_tokens")
    cached = count_in(getattr(usage, "prompt_tokens_details", None), "cached_tokens", default=0)
    reasoning = count_in(getattr(usage, "completion_tokens_details", None), "reasoning_tokens", default=0)
    meter.input_tokens, meter.output_tokens = given
    meter.cached_input_tokens = min(cached, given[0])
    meter.reasoning_tokens = min(reasoning, given[1])
    return True


def count_in(usage: Any, name: str, *, default: int | None = None) -> int:
    """A count of a usage; `default` when it is absent. Raises `BadResponse` when it is no count."""
    value = getattr(usage, name, None)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadResponse("The model provider reported a usage that is not a number.")
    return value


def parse_object(arguments: str) -> dict[str, Any]:
    """The arguments of a tool call as an object; empty when the model wrote something else."""
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
