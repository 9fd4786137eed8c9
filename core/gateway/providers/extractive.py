"""``local/extractive``: answers with the passages' own sentences. No key, no network, nothing invented."""

from collections.abc import Callable, Generator, Mapping
from threading import Lock

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.errors import InvalidRequest
from core.gateway.extraction.parts import MAX_PARTS
from core.gateway.extraction.quotes import Answer, Quote, answer_of, evidence_for, separator
from core.gateway.models import (
    Ability,
    ChatRequest,
    ChatStream,
    Check,
    Chunk,
    Citation,
    Embedder,
    Finish,
    Usage,
)
from core.gateway.streams import Meter, MeteredStream

NAME = "local/extractive"
NO_ANSWER = "No sentence in these documents clearly answers this question. The passages that were found may help."
NOT_ANSWERED_TOO = "No sentence in these documents clearly answers this part:"


class Extractive:
    """Selects and orders sentences of the given passages; every one is a verified quote."""

    name = NAME
    abilities = frozenset({Ability.STREAMS, Ability.QUOTES, Ability.ABSTAINS})
    description = (
        "Answers with sentences taken word for word from the given passages, and with rows of tables under their heads."
        " It can find where something is said and quote it. It cannot summarise, combine facts, calculate,"
        " translate, follow instructions, hold a conversation or answer without passages, and it reads English best."
        " When no sentence is likely enough to answer it says so rather than guess."
    )

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        self._load = embedder
        self._opening = Lock()
        self._embedder: Embedder | None = None

    def stream(self, request: ChatRequest, *, check: Check) -> ChatStream:
        """Quote the answer sentence by sentence, or abstain with `Finish.NO_ANSWER`.

        Raises `InvalidRequest` when the request has no question. System text and plain text parts are not read.
        """
        if not request.question.strip():
            raise InvalidRequest(f"{NAME} answers a question, and the request has none", code="question_missing")
        meter = Meter(
            lambda meter: Usage(
                model=NAME, input_tokens=meter.input_tokens or 0, output_tokens=meter.output_tokens or 0
            )
        )
        return MeteredStream(self._answer(request, meter, check), meter, check)

    def bound(self, request: ChatRequest) -> Mapping[str, int]:
        """The question and the passages; quotes cannot exceed the input, apart from the model's fixed phrases."""
        embedder = self._open()
        read = embedder.count_tokens("\n".join([request.question, *(p.text for p in request.passages)]))
        # A part that is named takes its subject from another, so at most the length of the question.
        own = embedder.count_tokens("\n".join([NO_ANSWER, *[f"{NOT_ANSWERED_TOO} {request.question}"] * MAX_PARTS]))
        return {"input_tokens": read, "output_tokens": read + own}

    def close(self) -> None:
        """Nothing to release: the embedder belongs to the process."""

    def _open(self) -> Embedder:
        with self._opening:
            if self._embedder is None:
                self._embedder = RecentVectors(self._load())
            return self._embedder

    def _answer(self, request: ChatRequest, meter: Meter, check: Check) -> Generator[Chunk, None, None]:
        embedder = self._open()
        passages = request.passages
        meter.input_tokens = embedder.count_tokens("\n".join([request.question, *(p.text for p in passages)]))
        meter.output_tokens = 0
        meter.left_out = frozenset(request.options)
        if request.seeks_evidence:
            answer = Answer(evidence_for(request.question, passages, embedder))
        else:
            answer = answer_of(request.question, passages, embedder, check)
        check()
        if not answer.quotes:
            meter.output_tokens = embedder.count_tokens(NO_ANSWER)
            meter.finish = Finish.NO_ANSWER
            yield Chunk(NO_ANSWER)
            return
        previous: Quote | None = None
        for quote in answer.quotes:
            tokens = embedder.count_tokens(quote.text)
            if previous is not None and meter.output_tokens + tokens > request.max_output_tokens:
                meter.finish = Finish.LENGTH
                return
            meter.output_tokens += tokens
            passage = passages[quote.passage].id
            yield Chunk(
                separator(previous, quote) + quote.text,
                tuple(Citation(passage, span.start, span.end, quote.confidence) for span in quote.spans),
            )
            previous = quote
        if answer.unanswered:
            said = "\n".join(["", *(f"{NOT_ANSWERED_TOO} {part}" for part in answer.unanswered)])
            tokens = embedder.count_tokens(said)
            if meter.output_tokens + tokens > request.max_output_tokens:
                meter.finish = Finish.LENGTH
                return
            meter.output_tokens += tokens
            yield Chunk(said)
        meter.finish = Finish.STOP
