"""Items of a conversation as messages of `models.chat`, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.openai.chat.reading import read_image
from api.openai.errors import refuse
from api.openai.responses.schemas import (
    CallItem,
    CallOutputItem,
    FilePart,
    ImagePart,
    Item,
    ItemReference,
    MessageItem,
    TextPart,
)

Messages = list[dict[str, Any]]
_ROLES = {"developer": "system"}


def messages_of(given: str | Sequence[Item]) -> Messages:
    """Messages, in order. Calls belong to the preceding assistant message, or form one of their own."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    found: Messages = []
    for at, item in enumerate(given):
        if isinstance(item, MessageItem):
            found.append({"role": _ROLES.get(item.role, item.role), "content": _content(item, at)})
        elif isinstance(item, CallItem):
            if not found or found[-1]["role"] != "assistant":
                found.append({"role": "assistant", "content": ""})
            call = {"id": item.call_id, "name": item.name, "arguments": item.arguments}
            found[-1].setdefault("tool_calls", []).append(call)
        elif isinstance(item, ItemReference):
            raise refuse(f"input.{at}", f"input.{at}: there is no stored item {item.id[:60]} in this project")
        elif isinstance(item, CallOutputItem):
            found.append({"role": "tool", "tool_call_id": item.call_id, "content": _output(item)})
    return found


def answer_of(text: str, calls: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A finished answer as a message of the continued conversation."""
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}


def input_items(tail: str, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages as items. `tail` is the common part of one response's ids."""
    found: list[dict[str, Any]] = []
    for message in messages:
        at = len(found)
        if message["role"] == "tool":
            found.append(
                {
                    "id": f"fco_{tail}_{at}",
                    "type": "function_call_output",
                    "call_id": message["tool_call_id"],
                    "output": message["content"],
                    "status": "completed",
                }
            )
            continue
        if message["content"] or not message.get("tool_calls"):
            found.append(_message_item(f"msg_{tail}_{at}", message))
        found.extend(
            call_item(f"fc_{tail}_{at}_{number}", call) for number, call in enumerate(message.get("tool_calls") or ())
        )
    return found


def message_item(
    item_id: str, text: str, status: str = "completed", logprobs: Sequence[Any] | None = None
) -> dict[str, Any]:
    """An answer's text."""
    content = [text_part(text, logprobs)] if status != "in_progress" else []
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def text_part(text: str, logprobs: Sequence[Any] | None = None) -> dict[str, Any]:
    """The only part of an answer's message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs or []}


def call_item(item_id: str, call: Mapping[str, Any], status: str = "completed") -> dict[str, Any]:
    """A tool call."""
    return {
        "id": item_id,
        "type": "function_call",
        "call_id": call["id"],
        "name": call["name"],
        "arguments": call["arguments"] if status == "completed" else "",
        "status": status,
    }


def _message_item(item_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    says = text_part if message["role"] == "assistant" else _input_text
    shown = [
        says(part["text"])
        if part["type"] == "text"
        else {
            "type": "input_image",
            "image_url": f"data:{part['media_type']};base64,{part['data']}",
            "detail": part.get("detail", "auto"),
        }
        for part in parts
    ]
    return {"id": item_id, "type": "message", "role": message["role"], "status": "completed", "content": shown}


def _input_text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _content(item: MessageItem, at: int) -> str | list[dict[str, str]]:
    if isinstance(item.content, str):
        return item.content
    return [_part(part, f"input.{at}.content.{number}") for number, part in enumerate(item.content)]


def _part(part: TextPart | ImagePart | FilePart, param: str) -> dict[str, str]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart) and part.image_url is not None:
        return read_image(part.image_url, f"{param}.image_url", part.detail)
    raise refuse(
        f"{param}.file_id", f"{param}.file_id: models do not read files; to use a file, name a capability in `model`"
    )


def _output(item: CallOutputItem) -> str:
    return item.output if isinstance(item.output, str) else "\n\n".join(part.text for part in item.output)
