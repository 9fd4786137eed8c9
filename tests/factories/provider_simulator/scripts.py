"""What the simulator is told to answer. A script is a value; a function from the request to a script decides late."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.factories.provider_simulator.records import Recorded


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts in totals: `input` includes `cached` and `cache_write`, `output` includes `reasoning`."""

    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An answer with an error status, in the error format of the wire that asked.

    `code` and `param` are OpenAI's; `kind` is Anthropic's error type, by default the one that belongs to the status.
    """

    status: int
    message: str = "scripted failure"
    code: str | None = None
    param: str | None = None
    kind: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True)
class ToolUse:
    """A tool call. `arguments` go out in `fragments` pieces; a string goes out as it is, valid JSON or not."""

    name: str
    arguments: Mapping[str, Any] | str
    id: str = "call_1"
    fragments: int = 3

    @property
    def text(self) -> str:
        """The arguments as they go over the wire."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))

    def pieces(self) -> list[str]:
        """The arguments cut into `fragments` pieces of nearly equal length."""
        text, count = self.text, max(1, min(self.fragments, len(self.text)))
        edges = [len(text) * number // count for number in range(count + 1)]
        return [text[start:end] for start, end in pairwise(edges)]


class Counted:
    """Stands for the token counts by the simulator's own rule."""


COUNTED = Counted()


@dataclass(frozen=True)
class _Faults:
    """Where an answer goes wrong. The counts are of deltas; one tool-call fragment is one delta."""

    cut_after_bytes: int | None
    cut_after: int | None
    malformed_after: int | None
    malformed: str
    error_after: int | None
    hold_after: int | None


class Answer:
    """An answer of text deltas and then of tool calls.

    `usage` is what the provider reports: counted by the simulator's rule, given as `Tokens` or as (input, output), or
    None for a provider that reports none. It is also what the provider bills for a whole answer, unless `billed` says
    otherwise: then the report is wrong.

    After so many deltas: `cut_after` closes the connection, `malformed_after` sends `malformed` as an event,
    `error_after` sends an error event, `hold_after` sends nothing more until `ProviderSimulator.release` or until the
    client hangs up. `cut_after_bytes` closes the connection after that many bytes of the body.
    """

    def __init__(
        self,
        *deltas: str,
        tool_calls: tuple[ToolUse, ...] = (),
        usage: Tokens | tuple[int, int] | Counted | None = COUNTED,
        billed: Tokens | None = None,
        finish_reason: str | None = "",
        model: str | None = None,
        first_token_seconds: float = 0.0,
        delta_seconds: float = 0.0,
        cut_after_bytes: int | None = None,
        cut_after: int | None = None,
        malformed_after: int | None = None,
        malformed: str = "{not json",
        error_after: int | None = None,
        hold_after: int | None = None,
    ) -> None:
        self.deltas = deltas
        self.tool_calls = tool_calls
        self.usage = Tokens(*usage) if isinstance(usage, tuple) else usage
        self.billed = billed
        # In OpenAI's words: stop, length, tool_calls, content_filter. None: the stream ends without a reason.
        self.finish_reason = ("tool_calls" if tool_calls else "stop") if finish_reason == "" else finish_reason
        self.model = model
        self.first_token_seconds = first_token_seconds
        self.delta_seconds = delta_seconds
        self.faults = _Faults(cut_after_bytes, cut_after, malformed_after, malformed, error_after, hold_after)

    @classmethod
    def of_json(cls, value: Any, **rest: Any) -> "Answer":
        """An answer whose text is `value` as JSON, in deltas of eight characters."""
        text = json.dumps(value)
        return cls(*(text[start : start + 8] for start in range(0, len(text), 8)), **rest)


@dataclass(frozen=True)
class Raw:
    """An answer byte for byte, for what a wire should never carry: `pieces` go out one by one, `piece_seconds` apart.

    `billed` is what the provider says it costs.
    """

    pieces: tuple[bytes, ...]
    content_type: str = "text/event-stream"
    piece_seconds: float = 0.0
    billed: Tokens = Tokens(0, 0)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Answer | Failure | Raw
LateScript = Callable[["Recorded"], Script]


def example_of(schema: Mapping[str, Any]) -> Any:
    """A small value that obeys a JSON Schema of objects, arrays, enumerations and plain types."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        return example_of(choice)
    kind = schema.get("type")
    if kind == "object":
        names = schema.get("required", schema.get("properties", {}))
        return {name: example_of(schema.get("properties", {}).get(name, {})) for name in names}
    if kind == "array":
        return [example_of(schema.get("items", {})) for _ in range(schema.get("minItems", 1))]
    plain: dict[Any, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}
    return plain.get(kind)


def obey_schema(recorded: "Recorded") -> Script:
    """The script of a model that obeys the output schema it is given, and says "ok" when there is none.

    In JSON mode the schema is one that stands in the messages, and without one the answer is ``{"answer": "ok"}``.
    """
    body = recorded.body
    form = body.get("response_format") or {}
    if form.get("type") == "json_object":
        schema = next(_schemas_in(body["messages"]), None)
        return Answer.of_json({"answer": "ok"} if schema is None else example_of(schema))
    wanted = form.get("json_schema") or (body.get("output_config") or {}).get("format")
    return Answer.of_json(example_of(wanted["schema"])) if wanted else Answer("ok")


def _schemas_in(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The JSON Schemas of objects in the text of messages."""
    for message in messages:
        text = message["content"] if isinstance(message["content"], str) else ""
        for at in (at for at, character in enumerate(text) if character == "{"):
            with suppress(ValueError):
                found, _ = json.JSONDecoder().raw_decode(text, at)
                if "properties" in found:
                    yield found
