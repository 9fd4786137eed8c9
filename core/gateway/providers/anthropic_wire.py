"""Our requests in the words of Anthropic's Messages API, and its events in ours."""

import base64
from typing import Any

from core.gateway.models import ChatRequest, Chunk, Finish, Image, Message, Part, Role, Text, ToolCall, ToolResult
from core.gateway.providers import failures
from core.gateway.providers.openai_wire import count_of, parse_object
from core.gateway.streams import Meter

_FINISHES = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.STOP,
    "pause_turn": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "refusal": Finish.FILTERED,
}


def arguments_of(request: ChatRequest, *, native_schema: bool) -> dict[str, Any]:
    """A call's arguments. Without `native_schema` an output schema becomes a tool that the model has to call."""
    system = [request.system] if request.system else []
    system.extend(_plain(message) for message in request.messages if message.role is Role.SYSTEM)
    arguments: dict[str, Any] = {"messages": _messages(request)}
    if system:
        arguments["system"] = "\n\n".join(system)
    if request.stop:
        arguments["stop_sequences"] = list(request.stop)
    arguments |= {name: request.options[name] for name in ("top_p", "top_k") if name in request.options}
    tools = [_tool(tool.name, tool.description, dict(tool.parameters)) for tool in request.tools]
    if tools:
        arguments["tool_choice"] = _choice(request.tool_choice)
        if request.options.get("parallel_tool_calls") is False and request.tool_choice != "none":
            arguments["tool_choice"]["disable_parallel_tool_use"] = True
    if request.output_schema is not None:
        schema = dict(request.output_schema)
        if native_schema:
            arguments["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        else:
            tools.append(_tool(request.output_name, "Give the answer in this form.", schema))
            arguments["tool_choice"] = {"type": "tool", "name": request.output_name}
    if tools:
        arguments["tools"] = tools
    return arguments


def _tool(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "input_schema": schema}


def _choice(choice: str) -> dict[str, Any]:
    kinds = {"auto": "auto", "none": "none", "required": "any"}
    return {"type": kinds[choice]} if choice in kinds else {"type": "tool", "name": choice}


def _messages(request: ChatRequest) -> list[dict[str, Any]]:
    """The messages, neighbours of one side joined: all results of a turn must stand in one message of the user."""
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role is Role.SYSTEM:
            continue
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        blocks = _blocks(message, request)
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(blocks)
        else:
            messages.append({"role": role, "content": blocks})
    return messages


def _blocks(message: Message, request: ChatRequest) -> list[dict[str, Any]]:
    if message.role is Role.USER:
        return [
            _image(piece) if isinstance(piece, Image) else {"type": "text", "text": piece}
            for piece in message.pieces(request.render)
        ]
    return [block for part in message.parts if (block := _block(part)) is not None]


def _block(part: Part) -> dict[str, Any] | None:
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": parse_object(part.arguments)}
    if isinstance(part, ToolResult):
        return {
            "type": "tool_result",
            "tool_use_id": part.call_id,
            "content": part.text,
            "is_error": part.is_error,
        }
    # An empty text block is refused.
    return {"type": "text", "text": part.text} if isinstance(part, Text) and part.text else None


def _plain(message: Message) -> str:
    return "\n\n".join(part.text for part in message.parts if isinstance(part, Text))


def _image(image: Image) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": data}}


class Reader:
    """Reads the events of one answer. The SDK builds its objects unvalidated: a field may hold anything or be absent.

    `schema_tool` is the tool that stands for an output schema: its arguments are the answer's text.
    Raises `BadResponse` for what is not the protocol, and when the answer ends without a reason.
    """

    def __init__(self, meter: Meter, schema_tool: str | None) -> None:
        self._meter = meter
        self._schema_tool = schema_tool
        self._open: dict[int, ToolCall] = {}
        self._calls: list[ToolCall] = []

    def read(self, event: Any) -> Chunk | None:
        """The text of one event, if it holds any; usage, end and names go to the meter."""
        kind = getattr(event, "type", None)
        if kind == "message_start":
            message = getattr(event, "message", None)
            model = getattr(message, "model", None)
            self._meter.model_reported = model if isinstance(model, str) else None
            self._read_input(getattr(message, "usage", None))
        elif kind == "content_block_start":
            self._begin(getattr(event, "index", None), getattr(event, "content_block", None))
        elif kind == "content_block_delta":
            return self._read_delta(getattr(event, "index", None), getattr(event, "delta", None))
        elif kind == "content_block_stop":
            call = self._open.pop(getattr(event, "index", -1), None)
            if call is not None and call.name != self._schema_tool:
                self._calls.append(call)
        elif kind == "message_delta":
            reason = getattr(getattr(event, "delta", None), "stop_reason", None)
            if reason is not None:
                self._meter.finish = _FINISHES.get(reason, Finish.STOP)
            self._read_output(getattr(event, "usage", None))
        elif not isinstance(kind, str):
            raise failures.not_the_protocol("an event that is not of a message")
        return None

    def end(self) -> Chunk | None:
        """The tool calls, now that they are whole."""
        if self._meter.finish is None:
            raise failures.cut_short()
        return Chunk("", tool_calls=tuple(self._calls)) if self._calls else None

    def _begin(self, index: Any, block: Any) -> None:
        if getattr(block, "type", None) != "tool_use":
            return
        name = getattr(block, "name", None)
        if not isinstance(index, int) or not isinstance(name, str):
            raise failures.not_the_protocol("a tool call that is none")
        self._open[index] = ToolCall(str(getattr(block, "id", "")), name, "")

    def _read_delta(self, index: Any, delta: Any) -> Chunk | None:
        kind = getattr(delta, "type", None)
        if kind == "text_delta":
            return self._say(getattr(delta, "text", None))
        if kind == "input_json_delta" and index in self._open:
            piece, call = getattr(delta, "partial_json", None), self._open[index]
            if not isinstance(piece, str):
                raise failures.not_the_protocol("a tool call that is none")
            if call.name == self._schema_tool:
                return self._say(piece)
            self._open[index] = ToolCall(call.id, call.name, call.arguments + piece)
            self._meter.say(piece)
            return None
        if kind is None:
            raise failures.not_the_protocol("an event that is not of a message")
        return None

    def _say(self, text: Any) -> Chunk | None:
        if not isinstance(text, str):
            raise failures.not_the_protocol("text that is not text")
        if text:
            self._meter.say(text)
        return Chunk(text) if text else None

    def _read_input(self, usage: Any) -> None:
        """On this wire the kinds are apart: what was read from and written to the cache is not in ``input_tokens``."""
        if usage is None or getattr(usage, "input_tokens", None) is None:
            return
        read = count_of(getattr(usage, "cache_read_input_tokens", None), default=0)
        written = count_of(getattr(usage, "cache_creation_input_tokens", None), default=0)
        self._meter.input_tokens = count_of(getattr(usage, "input_tokens", None)) + read + written
        self._meter.cached_input_tokens, self._meter.cache_write_tokens = read, written

    def _read_output(self, usage: Any) -> None:
        if usage is None:
            return
        self._read_input(usage)
        details = getattr(usage, "output_tokens_details", None)
        produced = count_of(getattr(usage, "output_tokens", None))
        self._meter.output_tokens = produced
        self._meter.reasoning_tokens = min(count_of(getattr(details, "thinking_tokens", None), default=0), produced)
