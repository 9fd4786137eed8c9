"""What the simulator remembers: every request, what was sent for it, and what it bills."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.factories.provider_simulator.scripts import Tokens

NOTHING = Tokens(0, 0)
CountTokens = Callable[[str], int]


def count_words(text: str) -> int:
    """The default rule: a token is a run of letters and digits, or one other character that is not a space."""
    return len(re.findall(r"\w+|[^\w\s]", text))


@dataclass
class Recorded:
    """One request as it came in. `client_closed` is set when the client hung up before the answer was complete."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    query: str = ""
    status: int = 200
    sent: str = ""  # text and tool-call arguments that went out
    deltas_sent: int = 0
    client_closed: bool = False
    cut: bool = False
    billed: Tokens = NOTHING
    held: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def request_id(self) -> str:
        """The id that the client is told."""
        return f"req_{self.number}"

    def headers_of_answer(self) -> dict[str, str]:
        """The header fields that name the request, OpenAI's and Anthropic's."""
        return {"x-request-id": self.request_id, "request-id": self.request_id}


def total(lines: list[Recorded]) -> Tokens:
    """The sum of what was billed."""
    return Tokens(
        sum(line.billed.input for line in lines),
        sum(line.billed.output for line in lines),
        sum(line.billed.cached for line in lines),
        sum(line.billed.cache_write for line in lines),
        sum(line.billed.reasoning for line in lines),
    )


def text_of_request(body: Mapping[str, Any]) -> str:
    """All text that a model reads of a request: system, messages, tool definitions; images count nothing."""
    texts: list[str] = []
    _collect(body.get("system"), texts)
    _collect(body.get("messages"), texts)
    _collect(body.get("input"), texts)
    if body.get("tools"):
        texts.append(str(body["tools"]))
    return "\n".join(texts)


def _collect(value: Any, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list):
        for item in value:
            _collect(item, texts)
    elif isinstance(value, dict):
        for name in ("text", "content", "arguments", "function", "tool_calls"):
            _collect(value.get(name), texts)
