"""Our requests in the words of the chat-completions wire format, and its events in ours."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.gateway.errors import BadResponse
from core.gateway.models import ChatRequest, Chunk, Finish, Image, Message, Role, Text, ToolCall, ToolSpec
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
        arguments["tools"] = [{"type": "function", "function": _function(tool)} for tool in request.tools]
        named = request.tool_choice not in {"auto", "none", "required"}
        arguments["tool_choice"] = (
            {"type": "function", "function": {"name": request.tool_choice}} if named else request.tool_choice
        )
    if request.output_schema is not None:
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


@dataclass
class _Call:
    """A tool call whose fragments are still coming."""

    id: str = ""
    name: str = ""
    arguments: str = ""


class Reader:
    """Reads the events of one answer, as the JSON that came: a field may hold anything or be absent.

    Raises `BadResponse` for what is not the protocol, and when the answer ends without a reason.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._calls: dict[int, _Call] = {}

    def read(self, event: Any) -> Chunk | None:
        """The text of one event, if it holds any; usage, end and names go to the meter."""
        if not isinstance(event, dict):
            raise failures.not_the_protocol("an event that is not an object")
        model = event.get("model")
        if isinstance(model, str) and model:
            self._meter.model_reported = model
        reported = read_usage(event.get("usage"), self._meter)
        choices = event.get("choices")
        if not choices and reported:
            return None
        if not isinstance(choices, list) or not all(_is_choice(choice) for choice in choices):
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

    def _read_choice(self, choice: dict[str, Any]) -> Chunk | None:
        reason = choice.get("finish_reason")
        if reason is not None:
            self._meter.finish = _FINISHES.get(reason, Finish.STOP) if isinstance(reason, str) else Finish.STOP
        delta = choice["delta"]
        fragments = delta.get("tool_calls")
        if fragments is not None and not isinstance(fragments, list):
            raise failures.not_the_protocol("tool calls that are none")
        for fragment in fragments or ():
            self._collect(fragment)
        text = delta.get("content")
        if text is None or text == "":
            return None
        if not isinstance(text, str):
            raise failures.not_the_protocol("text that is not text")
        self._meter.say(text)
        return Chunk(text)

    def _collect(self, fragment: Any) -> None:
        index = fragment.get("index") if isinstance(fragment, dict) else None
        function = fragment.get("function") if isinstance(fragment, dict) else None
        if not isinstance(index, int) or not isinstance(function, dict):
            raise failures.not_the_protocol("a tool call that is none")
        call = self._calls.setdefault(index, _Call())
        name, arguments, given = function.get("name") or "", function.get("arguments") or "", fragment.get("id") or ""
        if not all(isinstance(value, str) for value in (name, arguments, given)):
            raise failures.not_the_protocol("a tool call that is none")
        call.id = call.id or given
        call.name = call.name or name
        call.arguments += arguments
        if arguments:
            self._meter.say(arguments)


def _is_choice(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("delta"), dict)


def read_usage(usage: Any, meter: Meter) -> bool:
    """Whether a usage was there; its counts go to the meter. Cached and reasoning tokens are inside the totals.

    Raises `BadResponse` for counts that are none.
    """
    if usage is None:
        return False
    given = count_of(_field(usage, "prompt_tokens")), count_of(_field(usage, "completion_tokens"))
    cached = _field(_field(usage, "prompt_tokens_details"), "cached_tokens")
    reasoning = _field(_field(usage, "completion_tokens_details"), "reasoning_tokens")
    meter.input_tokens, meter.output_tokens = given
    meter.cached_input_tokens = min(count_of(cached, default=0), given[0])
    meter.reasoning_tokens = min(count_of(reasoning, default=0), given[1])
    return True


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def count_of(value: Any, *, default: int | None = None) -> int:
    """`value` as a count of a usage; `default` when it is absent. Raises `BadResponse` when it is no count."""
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
