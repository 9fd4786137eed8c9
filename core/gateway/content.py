"""Prompts and answers as span attributes, where the operator wants that: only what the model itself read.

The formats are those of the conventions (``gen-ai-input-messages.json``, ``gen-ai-output-messages.json`` and
``gen-ai-system-instructions.json`` of the repository that `core.kit.semconv` names), as JSON strings.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.gateway.models import (
    ChatRequest,
    Chunk,
    Finish,
    Image,
    Message,
    Passage,
    Question,
    Text,
    ToolCall,
    ToolResult,
)
from core.kit import semconv
from core.kit.errors import CapabilityFailure
from core.kit.json_values import dumps
from core.kit.telemetry import Value

# Returns texts with everything masked that the guard's policy would redact or block. Raises `CapabilityFailure`.
Mask = Callable[[Sequence[str]], list[str]]
_CUT = "…"
# The minimum that remains of a text when many have to be cut.
_LEAST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class ContentCapture:
    """Attributes that hold messages, each of at most `max_bytes`."""

    max_bytes: int

    def attributes(
        self,
        request: ChatRequest,
        answer: Sequence[Chunk],
        finish: Finish | None,
        *,
        mask_request: Mask | None,
        mask_answer: Mask | None,
    ) -> dict[str, Value]:
        """The attributes of a call made with `request`; content that cannot be masked is left out."""
        said: list[Any] = [{"type": "text", "content": "".join(chunk.text for chunk in answer)}]
        said += [_part(call) for chunk in answer for call in chunk.tool_calls]
        asked = [{"role": each.role.value, "parts": list(_parts(each))} for each in request.messages]
        system = [{"type": "text", "content": request.system}] if request.system else []
        written = [{"role": "assistant", "parts": said, "finish_reason": finish.value if finish else "error"}]
        try:
            shown = {
                semconv.SYSTEM_INSTRUCTIONS: _masked(system, mask_request),
                semconv.INPUT_MESSAGES: _masked(asked, mask_request),
                semconv.OUTPUT_MESSAGES: _masked(written, mask_answer),
            }
        except CapabilityFailure as refusal:
            return {semconv.CONTENT_WITHHELD: refusal.code}
        except Exception as error:  # noqa: BLE001 - a call must not fail for what its span shows
            return {semconv.CONTENT_WITHHELD: type(error).__name__}
        found: dict[str, Value] = {}
        for name, value in shown.items():
            if value:
                found[name], is_cut = self._fitted(value)
                if is_cut:
                    found[semconv.CONTENT_TRUNCATED] = True
        return found

    def _fitted(self, value: Any) -> tuple[str, bool]:
        """JSON of at most `max_bytes`: texts are cut to the same length, and any remaining excess is left out."""
        body = dumps(value)
        if len(body) <= self.max_bytes:
            return body.decode(), False
        length = self.max_bytes
        while length > _LEAST_CHARACTERS:
            length //= 2
            body = dumps(_mapped(value, partial(_cut, length)))
            if len(body) <= self.max_bytes:
                return body.decode(), True
        return "[]", True


def _cut(length: int, text: str) -> str:
    return text if len(text) <= length else text[:length] + _CUT


def _parts(message: Message) -> Iterator[dict[str, Any]]:
    for part in message.parts:
        match part:
            case Text() | Question() | Passage():
                yield {"type": "text", "content": part.text}
            case ToolCall():
                yield _part(part)
            case ToolResult():
                yield {"type": "tool_call_response", "id": part.call_id, "response": part.text}
            case Image():
                # A picture is never attached, because nothing screens it.
                yield {"type": "blob", "modality": "image", "mime_type": part.media_type, "content": ""}
            case _:
                pass


def _part(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}


def _masked(value: Any, mask: Mask | None) -> Any:
    if mask is None:
        return value
    texts: list[str] = []

    def note(text: str) -> str:
        texts.append(text)
        return text

    _mapped(value, note)
    masked = dict(zip(texts, mask(texts), strict=True))
    return _mapped(value, masked.__getitem__)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with `change` applied to every text of a message."""
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    if isinstance(value, dict):
        return {
            name: change(each) if name in {"content", "arguments", "response"} else _mapped(each, change)
            for name, each in value.items()
        }
    return value
