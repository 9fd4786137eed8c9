"""Converts tools and messages from OpenAI's form, which both agent frameworks use, to the gateway's types."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from core.gateway.models import Image, Part, Text, ToolSpec
from core.kit.errors import CapabilityFailure


def read_tools(tools: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    """``[{"type": "function", "function": {...}}]`` as tool specifications."""
    functions = [tool.get("function", tool) for tool in tools]
    return tuple(
        ToolSpec(
            function["name"],
            function.get("description") or "",
            function.get("parameters") or {"type": "object", "properties": {}},
            function.get("strict"),
        )
        for function in functions
    )


def read_tool_choice(choice: Any) -> str:
    """A choice as ``auto``, ``none``, ``required`` or a tool's name."""
    if choice is None or choice is False:
        return "auto"
    if choice is True or choice == "any":
        return "required"
    if isinstance(choice, Mapping):
        return str(choice.get("function", choice).get("name", "required"))
    return str(choice)


def read_content(content: Any) -> tuple[Part, ...]:
    """A message's content, a text or a list of blocks, as parts. Unknown blocks are refused, not dropped."""
    if content is None or isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(part for block in content if (part := _read_block(block)) is not None)


def _read_block(block: Any) -> Part | None:
    if isinstance(block, str):
        return Text(block) if block else None
    kind = block.get("type")
    if kind == "text":
        return Text(block["text"]) if block["text"] else None
    if kind == "image_url":
        address = block["image_url"]
        return _read_address(address if isinstance(address, str) else address["url"])
    if kind == "image" and block.get("base64"):
        return Image(block["mime_type"], _decode(block["base64"]))
    if kind in {"tool_use", "tool_call", "tool_call_chunk"}:
        # The message carries the tool calls in a field of their own.
        return None
    raise CapabilityFailure(f"a message holds a block of type {kind!r}, which is not read", code="block_unknown")


def _read_address(address: str) -> Image:
    head, found, data = address.partition(";base64,")
    if not found or not head.startswith("data:"):
        # The provider would fetch it, bypassing every rule about where data may go.
        raise CapabilityFailure("a picture must be given as its bytes, not as an address", code="image_not_inline")
    return Image(head.removeprefix("data:"), _decode(data))


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise CapabilityFailure("a picture is not valid base64", code="image_malformed") from None
