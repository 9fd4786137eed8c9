"""What goes through the door: typed requests in, chunks of text with citations and exact usage out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from core.capability import ModelUsage

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
    """What is asked. A model that cannot read free text (``local/extractive``) answers this part."""

    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that may be quoted. `char_start` and `char_end` say where it lies in the document's text.

    `section` is the heading path, outermost first, joined by `` > ``; `page` counts from 1.
    """

    id: str
    text: str
    document: str
    page: int | None = None
    section: str = ""
    char_start: int = 0
    char_end: int = 0


Part = Question | Passage | Text
Render = Callable[[Sequence[Part]], str]


def render_plainly(parts: Sequence[Part]) -> str:
    """The parts as text, one paragraph each; passages are numbered from 1 and say where they come from."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One turn. Models that read text get `system` and ``render(parts)``; others read the typed parts themselves.

    `render` belongs to whoever asks: the prompt is theirs, the gateway holds none.
    """

    parts: tuple[Part, ...]
    system: str = ""
    max_output_tokens: int = 1024
    temperature: float = 0.0
    render: Render = render_plainly

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages, in the order in which they are numbered."""
        return tuple(part for part in self.parts if isinstance(part, Passage))

    @property
    def question(self) -> str:
        """The text of all questions, joined by a space; empty when there is none."""
        return " ".join(part.text for part in self.parts if isinstance(part, Question))


@dataclass(frozen=True, slots=True)
class Citation:
    """A verified quote: ``passage.text[start:end]`` stands word for word in the chunk that carries it."""

    passage_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next piece of the answer, with the quotes it holds."""

    text: str
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call consumed. `input_tokens` includes cached ones.

    `estimated`: the provider reported nothing, the tokens were counted here with another model's tokenizer. What it
    costs is the price book's business.
    """

    model: str
    input_tokens: int
    output_tokens: int
    estimated: bool = False

    def to_model_usage(self) -> ModelUsage:
        """The form in which `core.capability.ModelCall.report` takes it."""
        quantities = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        return ModelUsage(self.model, quantities, self.estimated)


class Finish(StrEnum):
    """Why a stream ended."""

    STOP = "stop"
    LENGTH = "length"
    NO_ANSWER = "no_answer"
    FILTERED = "content_filter"


class ChatStream(Iterator[Chunk], AbstractContextManager["ChatStream"], Protocol):
    """Chunks as they come. An error, `close` or leaving its ``with`` block closes the provider's stream."""

    @property
    def usage(self) -> Usage:
        """What was consumed up to now; final once the stream has ended or was closed, by whatever cause."""

    @property
    def finish(self) -> Finish | None:
        """Why the model ended; None while it has not, or when it was interrupted."""

    def close(self) -> None:
        """Stop producing and release the connection. Safe to call twice."""


Check = Callable[[], None]


class Ability(StrEnum):
    """What a chat model can do."""

    STREAMS = "streams"
    QUOTES = "quotes"  # every sentence is a verified quote, with its citation on the chunk
    WRITES = "writes"  # writes text of its own, so its quotes have to be verified by whoever asked
    ABSTAINS = "abstains"  # ends with `Finish.NO_ANSWER` rather than guess


class ChatModel(Protocol):
    """A model that answers. Safe to use from several threads."""

    name: str
    abilities: frozenset[Ability]
    description: str

    def stream(self, request: ChatRequest, *, check: Check) -> ChatStream:
        """Begin to answer. Raises `core.gateway.errors.GatewayError`, here or while iterating.

        `check` is called before every chunk, and while waiting for one; what it raises ends the call.
        """

    def close(self) -> None:
        """Release connections. The model can not be used afterwards."""


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
