"""The stream that every provider returns: it runs a check before each chunk and can report usage at any moment."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from core.gateway.errors import GatewayError
from core.gateway.models import Check, Chunk, Finish, ToolCall, Usage
from core.kit.closing import Closing
from core.kit.json_values import clean_text, split_half_pair

# The provider's name for its model or a request; anything longer is not a name.
_NAME_MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class UsageReading:
    """Whether reports count cached tokens in the input and reasoning in the output; None: infer it from their sums."""

    cached: Literal["included", "beside"] | None = None
    reasoning: Literal["included", "beside"] | None = None


BY_SUMS = UsageReading()


class Meter:
    """The consumption of a call so far. The provider writes it while it produces; `read` turns it into a `Usage`."""

    def __init__(self, read: Callable[["Meter"], Usage], reading: UsageReading = BY_SUMS) -> None:
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        # The input as counted here, computed once; it does not change while the answer grows.
        self.input_counted: int | None = None
        self.cached_input_tokens = 0
        self.cache_write_tokens = 0
        self.reasoning_tokens = 0
        self.worker_seconds = 0
        self.reading = reading
        # How a report that departs from the protocol was read: a reason of the ledger.
        self.read_as: str | None = None
        # A list of pieces: appending to a string would copy everything before.
        self._text: list[str] = []
        # The number of pieces in which the text arrived.
        self.pieces = 0
        # Reasoning that was streamed: billed like the answer, and not shown.
        self._thought: list[str] = []
        self.thought_pieces = 0
        self.request_id: str | None = None
        self.model_reported: str | None = None
        self.sent = False
        self.finish: Finish | None = None
        self.logprobs: list[dict[str, Any]] = []
        # Parameters of the request that the provider does not take, by their names in OpenAI's interface.
        self.left_out: frozenset[str] = frozenset()
        self._read = read

    def say(self, text: str) -> None:
        """Add the next piece of the model's output."""
        self._text.append(clean_text(text))
        self.pieces += 1

    def think(self, text: str) -> None:
        """Add the next piece of the reasoning, as far as the provider shows it."""
        self._thought.append(clean_text(text))
        self.thought_pieces += 1

    def report_input(self, total: int | None, *, cached: int = 0, written: int = 0) -> None:
        """Record the provider's input count. No request is empty, so zero is ignored; the last report counts."""
        if total:
            self.input_tokens = total
            self.cached_input_tokens = min(cached, total)
            self.cache_write_tokens = min(written, total - self.cached_input_tokens)

    def report_output(self, total: int | None, *, reasoning: int = 0) -> None:
        """Record the provider's output count. A zero does not undo an earlier report."""
        if total is not None and (total or self.output_tokens is None):
            self.output_tokens, self.reasoning_tokens = total, min(reasoning, total)

    @property
    def text(self) -> str:
        """The output shown so far, including tool calls."""
        return "".join(self._text)

    @property
    def thought(self) -> str:
        """The reasoning received."""
        return "".join(self._thought)

    @property
    def has_begun(self) -> bool:
        """Whether the model has produced anything, shown or not."""
        return self.pieces > 0 or self.thought_pieces > 0

    def usage(self) -> Usage:
        """The usage so far."""
        return self._read(self)


# An event may be any JSON value.
END = object()


def next_event(events: Iterator[Any], meter: Meter, failures: tuple[type[Exception], ...]) -> Any:
    """The next event, or `END`. A failure after the model reported its end takes nothing back of its answer."""
    try:
        return next(events, END)
    except Exception as error:
        if meter.finish is None or not isinstance(error, (GatewayError, *failures)):
            raise
        return END


class MeteredStream(Closing):
    """A `core.gateway.models.ChatStream` over a generator, whose ``finally`` blocks release its resources.

    Every provider's text passes through here and is sanitized: see `core.kit.json_values`.
    """

    def __init__(self, pieces: Generator[Chunk, None, None], meter: Meter, check: Check) -> None:
        self._pieces = pieces
        self._half = ""
        self._meter = meter
        self._check = check

    @property
    def usage(self) -> Usage:
        """The consumption so far."""
        return self._meter.usage()

    @property
    def has_begun(self) -> bool:
        """Whether the model has produced anything: text, reasoning or a part of a tool call."""
        return self._meter.has_begun

    @property
    def finish(self) -> Finish | None:
        """Why the model ended; None while it has not, or when it was interrupted."""
        return self._meter.finish

    @property
    def request_id(self) -> str | None:
        """The provider's own id of the request, once known."""
        return _clean_name(self._meter.request_id)

    @property
    def model_reported(self) -> str | None:
        """The name of the model that answered, as the provider gives it."""
        return _clean_name(self._meter.model_reported)

    @property
    def logprobs(self) -> list[dict[str, Any]] | None:
        """See `core.gateway.models.ChatStream.logprobs`."""
        return self._meter.logprobs or None

    @property
    def left_out(self) -> frozenset[str]:
        """See `core.gateway.models.ChatStream.left_out`."""
        return self._meter.left_out

    def close(self) -> None:
        """Stop producing and release the connection."""
        self._pieces.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        try:
            self._check()
        except BaseException:
            self.close()
            raise
        try:
            chunk = next(self._pieces)
        except StopIteration:
            if not self._half:
                raise
            chunk, self._half = Chunk(clean_text(self._half)), ""
            return chunk
        # A provider may split the two halves of one character over two pieces.
        text, self._half = split_half_pair(self._half + chunk.text)
        return replace(chunk, text=clean_text(text), tool_calls=tuple(map(_cleaned, chunk.tool_calls)))


def _cleaned(call: ToolCall) -> ToolCall:
    return ToolCall(clean_text(call.id), clean_text(call.name), clean_text(call.arguments))


def _clean_name(name: str | None) -> str | None:
    return None if name is None else clean_text(name[:_NAME_MAX_CHARACTERS])
