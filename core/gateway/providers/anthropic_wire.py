"""Converts our requests to Anthropic's Messages API, and its events to ours."""

import base64
import json
from typing import Any

from core.gateway.models import ChatRequest, Chunk, Finish, Image, Message, Part, Role, Text, ToolCall, ToolResult
from core.gateway.providers import failures
from core.gateway.providers.error_bodies import is_error, read_error
from core.gateway.providers.openai_wire import parse_object
from core.gateway.providers.reported import count_of
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

# The request options that its interface has.
OPTIONS = frozenset({"top_p", "top_k", "parallel_tool_calls"})
_READ = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def arguments_of(request: ChatRequest, *, native_schema: bool) -> dict[str, Any]:
    """A call's arguments. Without `native_schema` an output schema becomes a tool that the model has to call."""
    system = [request.system] if request.system else []
    system.extend(_plain(message) for message in request.messages if message.role is Role.SYSTEM)
    arguments: dict[str, Any] = {"messages": _messages(request)}
    if not arguments["messages"]:
        # The API requires at least one user message.
        arguments["messages"] = [{"role": "user", "content": "\n\n".join(system)}]
    elif system:
        arguments["system"] = "\n\n".join(system)
    if request.stop:
        arguments["stop_sequences"] = list(request.stop)
    arguments |= {name: request.options[name] for name in ("top_p", "top_k") if name in request.options}
    tools = [
        _tool(tool.name, tool.description, dict(tool.parameters))
        | ({} if tool.strict is None else {"strict": tool.strict})
        for tool in request.tools
    ]
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
    """The messages, with neighbors of one side merged: all results of a turn must be in one user message."""
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
    # The API refuses an empty text block.
    return {"type": "text", "text": part.text} if isinstance(part, Text) and part.text else None


def _plain(message: Message) -> str:
    return "\n\n".join(part.text for part in message.parts if isinstance(part, Text))


def _image(image: Image) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": data}}


class Reader:
    """Reads the events of one answer from the raw JSON: a field may hold anything or be absent.

    Unknown content is skipped; text that arrived is kept. `schema_tool` is the tool that stands for an output schema:
    its arguments are the answer's text.
    """

    def __init__(self, meter: Meter, schema_tool: str | None) -> None:
        self._meter = meter
        self._schema_tool = schema_tool
        self._open: dict[Any, ToolCall] = {}
        self._calls: list[ToolCall] = []
        self._counts: dict[str, int] = {}
        self._is_failed = False

    def read(self, event: Any) -> Chunk | None:
        """The text of one event, if it holds any. Usage, end, reasoning and names go to the meter.

        Raises `GatewayError` for an event that reports an error.
        """
        if is_error(event):
            raise failures.of_event(read_error(event), has_begun=self._meter.has_begun)
        kind = _field(event, "type")
        index = count_of(_field(event, "index"))
        if kind == "message_start":
            message = _field(event, "message")
            model = _field(message, "model")
            self._meter.model_reported = model if isinstance(model, str) else None
            self._read_input(_field(message, "usage"))
        elif kind == "content_block_start":
            return self._begin(index, _field(event, "content_block"))
        elif kind == "content_block_delta":
            return self._read_delta(index, _field(event, "delta"))
        elif kind == "content_block_stop":
            self._close(index)
        elif kind == "message_delta":
            self._finish(_field(event, "delta"))
            self._read_output(_field(event, "usage"))
        elif kind == "message":
            return self._read_whole(event)
        return None

    def end(self) -> Chunk | None:
        """The tool calls, now complete. Raises `GatewayError` for an answer that did not end properly."""
        if self._is_failed:
            raise failures.failed_midway()
        if self._meter.finish is None:
            raise failures.cut_short()
        for index in tuple(self._open):
            self._close(index)
        if not all(call.name for call in self._calls):
            raise failures.not_the_protocol("a tool call without a name")
        return Chunk("", tool_calls=tuple(self._calls)) if self._calls else None

    def _finish(self, said: Any) -> None:
        reason = _field(said, "stop_reason")
        if reason:
            self._meter.finish = _FINISHES.get(reason) if isinstance(reason, str) else None
            self._is_failed = self._meter.finish is None

    def _read_whole(self, message: Any) -> Chunk | None:
        """Read the answer of a server that ignores ``stream``."""
        model = _field(message, "model")
        self._meter.model_reported = model if isinstance(model, str) else None
        blocks = _field(message, "content")
        chunks = [self._begin(at, block) for at, block in enumerate(blocks if isinstance(blocks, list) else ())]
        self._finish(message)
        self._read_output(_field(message, "usage"))
        text = "".join(chunk.text for chunk in chunks if chunk is not None)
        return Chunk(text) if text else None

    def _begin(self, index: Any, block: Any) -> Chunk | None:
        kind = _field(block, "type")
        if kind == "text":
            return self._say(_field(block, "text"))
        if kind == "thinking":
            self._think(_field(block, "thinking"))
        elif kind == "tool_use":
            name, given, arguments = (_field(block, field) for field in ("name", "id", "input"))
            self._close(index)
            # Some servers send the arguments immediately, where the protocol has an empty object.
            whole = json.dumps(arguments) if isinstance(arguments, dict) and arguments else ""
            self._open[index] = ToolCall(
                given if isinstance(given, str) else "", name if isinstance(name, str) else "", ""
            )
            return self._argue(index, whole)
        return None

    def _close(self, index: Any) -> None:
        call = self._open.pop(index, None)
        if call is not None and call.name != self._schema_tool:
            self._calls.append(call)

    def _read_delta(self, index: Any, delta: Any) -> Chunk | None:
        kind = _field(delta, "type")
        if kind == "text_delta":
            return self._say(_field(delta, "text"))
        if kind == "thinking_delta":
            self._think(_field(delta, "thinking"))
        elif kind == "input_json_delta" and index in self._open:
            return self._argue(index, _field(delta, "partial_json"))
        return None

    def _argue(self, index: Any, piece: Any) -> Chunk | None:
        call = self._open[index]
        if call.name == self._schema_tool:
            return self._say(piece)
        if isinstance(piece, str) and piece:
            self._open[index] = ToolCall(call.id, call.name, call.arguments + piece)
            self._meter.say(piece)
        return None

    def _think(self, text: Any) -> None:
        if isinstance(text, str) and text:
            self._meter.think(text)

    def _say(self, text: Any) -> Chunk | None:
        if not isinstance(text, str) or not text:
            return None
        self._meter.say(text)
        return Chunk(text)

    def _read_input(self, usage: Any) -> None:
        """This API counts the kinds separately: ``input_tokens`` excludes tokens read from and written to the cache.

        A later report may omit what an earlier one contained.
        """
        for name in _READ:
            count = count_of(_field(usage, name))
            if count is not None:
                self._counts[name] = count or self._counts.get(name, 0)
        if _READ[0] in self._counts:
            read, cached, written = (self._counts.get(name, 0) for name in _READ)
            self._meter.report_input(read + cached + written, cached=cached, written=written)

    def _read_output(self, usage: Any) -> None:
        self._read_input(usage)
        thought = count_of(_field(_field(usage, "output_tokens_details"), "thinking_tokens"))
        self._meter.report_output(count_of(_field(usage, "output_tokens")), reasoning=thought or 0)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
