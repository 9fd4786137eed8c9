"""``local/extractive``: answers with the passages' own sentences. No key, no network, no invention."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.errors import InvalidRequest
from core.gateway.extraction.evidence import Unit
from core.gateway.extraction.parts import MAX_PARTS, parts_of
from core.gateway.extraction.ranking import Ranking, rank_sentences
from core.gateway.extraction.sentences import Kind, Sentence
from core.gateway.models import (
    Ability,
    ChatRequest,
    ChatStream,
    Check,
    Chunk,
    Citation,
    Embedder,
    Finish,
    Passage,
    Usage,
)
from core.gateway.streams import Meter, MeteredStream

NAME = "local/extractive"
NO_ANSWER = "No sentence in these documents clearly answers this question. The passages that were found may help."
NOT_ANSWERED_TOO = "No sentence in these documents clearly answers this part:"
_MAX_LIST_ITEMS = 8
# A further sentence is shown when the ranking can hardly tell it from the first: the score is a log-odds.
_WITHIN = 0.5
# Chosen by cross-validation; the figures are in the README of the knowledge pipeline.
_ANSWERS_FROM = 0.7
# What merely bears on a question: closeness of the closest sentence and a share of the best passage's coverage.
_RELATED_FROM = 0.68
_EVIDENCE_WITHIN, _MAX_EVIDENCE = 2.5, 3


@dataclass(frozen=True, slots=True)
class Quote:
    """What is said, and the sentences of passage number `passage` that it is taken from."""

    passage: int
    text: str
    spans: tuple[Sentence, ...]


class Extractive:
    """Selects and orders sentences of the passages it is given; every one is a verified quote."""

    name = NAME
    abilities = frozenset({Ability.STREAMS, Ability.QUOTES, Ability.ABSTAINS})
    description = (
        "Answers with sentences taken word for word from the given passages, and with rows of tables under their heads."
        " It can find where something is said and quote it. It cannot summarise, combine facts, calculate, compare,"
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
        """The question and the passages; it only quotes, so no more comes out than went in, but what it says itself."""
        embedder = self._open()
        read = embedder.count_tokens("\n".join([request.question, *(p.text for p in request.passages)]))
        own = embedder.count_tokens("\n".join([NO_ANSWER, *[NOT_ANSWERED_TOO] * (MAX_PARTS - 1)]))
        return {"input_tokens": read, "output_tokens": read + own}

    def close(self) -> None:
        """Nothing is held: the embedder belongs to the process."""

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
        quotes: list[Quote] = []
        unanswered: Sequence[str] = ()
        if not request.seeks_evidence:
            quotes, unanswered = _answers(request.question, passages, embedder, check)
        elif is_related(ranking := rank_sentences(request.question, passages, embedder)):
            quotes = compose(ranking, passages, seeks_evidence=True)
        check()
        if not quotes:
            meter.output_tokens = embedder.count_tokens(NO_ANSWER)
            meter.finish = Finish.NO_ANSWER
            yield Chunk(NO_ANSWER)
            return
        previous: Quote | None = None
        for quote in quotes:
            tokens = embedder.count_tokens(quote.text)
            if previous is not None and meter.output_tokens + tokens > request.max_output_tokens:
                meter.finish = Finish.LENGTH
                return
            meter.output_tokens += tokens
            passage = passages[quote.passage].id
            yield Chunk(
                _separator(previous, quote) + quote.text,
                tuple(Citation(passage, span.start, span.end) for span in quote.spans),
            )
            previous = quote
        if unanswered:
            said = "\n".join(["", *(f"{NOT_ANSWERED_TOO} {part}" for part in unanswered)])
            tokens = embedder.count_tokens(said)
            if meter.output_tokens + tokens > request.max_output_tokens:
                meter.finish = Finish.LENGTH
                return
            meter.output_tokens += tokens
            yield Chunk(said)
        meter.finish = Finish.STOP


def _answers(
    question: str, passages: Sequence[Passage], embedder: Embedder, check: Check
) -> tuple[list[Quote], Sequence[str]]:
    """The quotes that answer `question`, and those of its parts that nothing answers; both empty without an answer."""
    parts = parts_of(question)
    quotes: list[Quote] = []
    unanswered: list[str] = []
    for part in parts:
        ranking = rank_sentences(part, passages, embedder)
        check()
        if is_answered(ranking):
            quotes += compose(ranking, passages, seeks_evidence=False)
        else:
            unanswered.append(part)
    if not quotes and len(parts) > 1:
        ranking = rank_sentences(question, passages, embedder)
        return (compose(ranking, passages, seeks_evidence=False) if is_answered(ranking) else []), ()
    return _without_repeats(quotes), unanswered


def is_answered(ranking: Ranking) -> bool:
    """Whether the best candidate is likely enough to be the answer."""
    return bool(ranking.units) and ranking.probability >= _ANSWERS_FROM


def is_related(ranking: Ranking) -> bool:
    """Whether the passages bear on the question, though none of their sentences may answer it."""
    return bool(ranking.units) and ranking.relatedness >= _RELATED_FROM


def compose(ranking: Ranking, passages: Sequence[Passage], *, seeks_evidence: bool) -> list[Quote]:
    """The quotes of the answer, the best first and without repeats."""
    if seeks_evidence:
        near = [
            unit
            for unit, score in zip(ranking.units, ranking.scores, strict=True)
            if ranking.scores[0] - score <= _EVIDENCE_WITHIN
        ][:_MAX_EVIDENCE]
        return _without_repeats(quote for unit in near for quote in _with_companions(unit, ranking, passages))
    first = ranking.units[0]
    quotes = [quote for unit in ranking.best for quote in _with_companions(unit, ranking, passages)]
    second = ranking.units[1] if len(ranking.units) > 1 and ranking.allowed[1] else None
    if (
        second is not None
        and first.row is None
        and second.row is None
        and ranking.scores[0] - ranking.scores[1] <= _WITHIN
    ):
        quotes += _with_companions(second, ranking, passages)
    return _without_repeats(quotes)


def _without_repeats(quotes: Iterable[Quote]) -> list[Quote]:
    said: dict[str, Quote] = {}
    for quote in quotes:
        said.setdefault(" ".join(quote.text.split()), quote)
    return list(said.values())


def _with_companions(unit: Unit, ranking: Ranking, passages: Sequence[Passage]) -> list[Quote]:
    """The unit with what it cannot be understood without: a row's heads, the list that a colon announces."""
    found = ranking.sentences[unit.passage]
    if unit.row is not None:
        header = () if unit.row.header is None else (found[unit.row.header],)
        return [Quote(unit.passage, unit.row.reading(unit.columns), (*header, unit.sentence))]
    quotes = [Quote(unit.passage, unit.text, (unit.sentence,))]
    if unit.text.endswith(":"):
        for sentence in found[unit.index + 1 : unit.index + 1 + _MAX_LIST_ITEMS]:
            if sentence.kind is not Kind.ITEM:
                break
            text = passages[unit.passage].text[sentence.start : sentence.end]
            quotes.append(Quote(unit.passage, text, (sentence,)))
    return quotes


def _separator(previous: Quote | None, quote: Quote) -> str:
    if previous is None:
        return ""
    return " " if previous.spans[-1].kind is Kind.PROSE and quote.spans[-1].kind is Kind.PROSE else "\n"
