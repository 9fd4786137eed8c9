"""The gateway's types: requests in, chunks of text with citations and exact usage out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self

from core.capability import ModelUsage
from core.guard.records import Source

if TYPE_CHECKING:
    # Only the worker image holds numpy.
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text of the user's turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question. A model that cannot read free text (``local/extractive``) answers this part.

    `seeks_evidence`: related evidence is wanted, whether or not a single sentence answers the question.
    """

    text: str
    seeks_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A quotable piece of a document. `char_start` and `char_end` are its position in the document's text.

    `section` is the heading path, outermost first, joined by `` > ``; `page` counts from 1. `source` is who wrote it:
    unless that is the caller, a model reads it as data.
    """

    id: str
    text: str
    document: str
    page: int | None = None
    section: str = ""
    char_start: int = 0
    char_end: int = 0
    source: Source = Source.DOCUMENT


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, for models with `Ability.VISION`. `media_type` is, for example, ``image/png``.

    `detail` is how closely to look at it, in the provider's words, where its interface has them.
    """

    media_type: str
    data: bytes
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a content part: texts sent separately arrive separately."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's request to call a tool. `arguments` is the JSON that it wrote, whether valid or not."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's result for the call with `call_id`."""

    call_id: str
    text: str
    is_error: bool = False


Readable = Question | Passage | Text
Part = Readable | Image | Break | ToolCall | ToolResult
Render = Callable[[Sequence[Readable]], str]


def render_plainly(parts: Sequence[Readable]) -> str:
    """The parts as text, one paragraph each; passages are numbered from 1 and name their source."""
    paragraphs, number = [], 0
    for part in parts:
        if isinstance(part, Passage):
            number += 1
            place = ", ".join(
                item for item in (part.document, f"page {part.page}" if part.page else "", part.section) if item
            )
            paragraphs.append(f"[{number}] {place}\n{part.text}")
        else:
            paragraphs.append(part.text)
    return "\n\n".join(paragraphs)


class Role(StrEnum):
    """The author of a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. An assistant's holds text and tool calls, a tool's holds results, a user's the other parts.

    `name` distinguishes speakers of one role, where the provider's interface has it.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None

    @property
    def readable(self) -> tuple[Readable, ...]:
        """The parts that are text."""
        return tuple(part for part in self.parts if isinstance(part, Question | Passage | Text))

    @property
    def images(self) -> tuple[Image, ...]:
        """The pictures."""
        return tuple(part for part in self.parts if isinstance(part, Image))

    def pieces(self, render: Render) -> list[str | Image]:
        """The parts in their order: each run of text between pictures and breaks rendered, and each picture."""
        found: list[str | Image] = []
        run: list[Readable] = []
        for part in (*self.parts, Break()):
            if isinstance(part, Question | Passage | Text):
                run.append(part)
                continue
            if run and (text := render(run)):
                found.append(text)
            run = []
            if isinstance(part, Image):
                found.append(part)
        return found

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the model asked for."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The results of earlier calls."""
        return tuple(part for part in self.parts if isinstance(part, ToolResult))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool the model may call. `parameters` is the JSON Schema of its arguments, which `strict` holds it to."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request to a chat model. Models that read text get `system` and ``render(parts)`` of each user message.

    `tool_choice` is ``auto``, ``none``, ``required`` or the name of a tool. `output_schema` is a JSON Schema that the
    answer must obey; `output_strict` is whether the provider enforces it, None: where it can. `json_object`: the schema
    is that of any object, which a provider with a JSON mode is asked for through that mode. Without `has_own_limit`, a
    model whose version declares its maximum output is sent no limit; `max_output_tokens` is for models without one.
    `temperature` None: the provider's own. `options` are further parameters by their names in OpenAI's interface; a
    provider gets those that its own has. `sample` numbers repetitions of the same request, each of which is sent.
    `render` belongs to the caller: the prompt is theirs, the gateway holds none. `cleaned`: links that are not allowed
    are removed from the answer; a caller who passes False shows nothing of it, or cleans what is shown
    (`core.guard.links`).
    """

    messages: tuple[Message, ...]
    system: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    output_schema: Mapping[str, Any] | None = None
    output_name: str = "answer"
    output_description: str | None = None
    output_strict: bool | None = None
    stop: tuple[str, ...] = ()
    json_object: bool = False
    max_output_tokens: int = 1024
    has_own_limit: bool = True
    temperature: float | None = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0
    render: Render = render_plainly
    cleaned: bool = True

    @classmethod
    def of_parts(cls, parts: Sequence[Part], **rest: Any) -> Self:
        """A request of one user message."""
        return cls(messages=(Message(Role.USER, tuple(parts)),), **rest)

    @property
    def user_parts(self) -> tuple[Part, ...]:
        """The parts of all user messages."""
        return tuple(part for message in self.messages if message.role is Role.USER for part in message.parts)

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages of all user messages, in the order of their numbers."""
        return tuple(part for part in self.user_parts if isinstance(part, Passage))

    @property
    def question(self) -> str:
        """The text of all questions, joined by a space; empty when there is none."""
        return " ".join(part.text for part in self.user_parts if isinstance(part, Question))

    @property
    def seeks_evidence(self) -> bool:
        """Whether a question wants related evidence rather than its answer."""
        return any(part.seeks_evidence for part in self.user_parts if isinstance(part, Question))


@dataclass(frozen=True, slots=True)
class Citation:
    """A verified quote: ``passage.text[start:end]`` appears word for word in the chunk that carries it.

    `confidence`: how likely it answers the question, 0 to 1, by the model that chose it; None if not applicable.
    """

    passage_id: str
    start: int
    end: int
    confidence: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next piece of the answer, with the quotes it holds. A tool call comes once, when it is complete."""

    text: str
    citations: tuple[Citation, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """The consumption of a call, in totals.

    `input_tokens` includes tokens read from and written to a cache; `output_tokens` includes the reasoning.
    `estimated`: the provider reported nothing plausible; the tokens were counted here with another model's tokenizer.
    `reason` is why, or how a report that departs from the protocol was read (docs/reference/gateway.md).
    `worker_seconds` is the time that an embedded model used on this machine. The cost is computed by the price book.
    """

    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    worker_seconds: int = 0
    reason: str | None = None

    def to_model_usage(self) -> ModelUsage:
        """The form that `core.capability.ModelCall.report` takes: kinds that add up, without the empty ones."""
        special = {
            "cached_input_tokens": self.cached_input_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "worker_second": self.worker_seconds,
        }
        quantities = {
            "input_tokens": max(0, self.input_tokens - self.cached_input_tokens - self.cache_write_tokens),
            "output_tokens": max(0, self.output_tokens - self.reasoning_tokens),
            **{kind: amount for kind, amount in special.items() if amount},
        }
        return ModelUsage(self.model, quantities, self.estimated, self.reason)


class Finish(StrEnum):
    """Why a stream ended."""

    STOP = "stop"
    LENGTH = "length"
    NO_ANSWER = "no_answer"
    FILTERED = "content_filter"


class ChatStream(Iterator[Chunk], AbstractContextManager["ChatStream"], Protocol):
    """Chunks as they arrive. An error, `close` or leaving its ``with`` block closes the provider's stream."""

    @property
    def usage(self) -> Usage:
        """The consumption so far; final once the stream has ended or was closed, for whatever reason."""

    @property
    def has_begun(self) -> bool:
        """Whether the model has produced anything: text, reasoning or a part of a tool call."""

    @property
    def finish(self) -> Finish | None:
        """Why the model ended; None while it has not, or when it was interrupted."""

    @property
    def request_id(self) -> str | None:
        """The provider's own id of the request, once known."""

    @property
    def model_reported(self) -> str | None:
        """The name of the model that answered, as the provider gives it."""

    @property
    def logprobs(self) -> list[dict[str, Any]] | None:
        """Those of each token of the answer, as the provider gives them; None when it gave none."""

    @property
    def left_out(self) -> frozenset[str]:
        """Parameters of the request, by OpenAI's names, that were not sent because the provider does not take them."""

    def close(self) -> None:
        """Stop producing and release the connection. Safe to call twice."""


Check = Callable[[], None]


class Ability(StrEnum):
    """What a chat model can do."""

    STREAMS = "streams"
    QUOTES = "quotes"  # every sentence is a verified quote, with its citation on the chunk
    WRITES = "writes"  # writes text of its own, so the caller has to verify its quotes
    ABSTAINS = "abstains"  # ends with `Finish.NO_ANSWER` rather than guess
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    VISION = "vision"


class Provider(Protocol):
    """A chat model behind one deployment. Safe to use from several threads."""

    name: str
    abilities: frozenset[Ability]
    description: str

    def stream(self, request: ChatRequest, *, check: Check) -> ChatStream:
        """Start to answer. Raises `core.gateway.errors.GatewayError`, here or while iterating.

        `check` is called before every chunk and while waiting for one; an exception from it ends the call.
        """

    def bound(self, request: ChatRequest) -> Mapping[str, int]:
        """The maximum that the request can consume, by kind of quantity of the ledger."""

    def close(self) -> None:
        """Release connections. The model cannot be used afterwards."""


ChatModel = Provider


class Embedder(Protocol):
    """A model that turns text into unit vectors. Safe to use from several threads."""

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Texts to an array of shape (len(texts), dimensions); every row has length 1."""

    def embed_query(self, text: str) -> "NDArray[np.float32]":
        """A query to an array of shape (dimensions,), of length 1."""

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by the model's own tokenizer, without special tokens and without truncation."""
