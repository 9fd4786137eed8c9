"""From a question and passages to the quotes that answer it, part by part, each with a probability of answering."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from core.gateway.extraction.comparisons import comparison_of, counterpart
from core.gateway.extraction.evidence import Unit
from core.gateway.extraction.parts import parts_of
from core.gateway.extraction.ranking import Ranking, is_shown_beside, rank_sentences
from core.gateway.extraction.sentences import Kind, Sentence
from core.gateway.models import Embedder, Passage

_MAX_LIST_ITEMS = 8
# Chosen by cross-validation, as rows are read more reliably than sentences; the figures are in the README of the
# knowledge pipeline.
_ROW_ANSWERS_FROM, _SENTENCE_ANSWERS_FROM = 0.45, 0.5
# For related evidence only: similarity of the closest sentence and a share of the best passage's coverage.
_RELATED_FROM = 0.68
_EVIDENCE_WITHIN, _MAX_EVIDENCE = 2.5, 3
_MARKER = re.compile(r"(?:[-*\u2022\u2023\u25e6\u00b7\u2013\u2014]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)])\s+")


@dataclass(frozen=True, slots=True)
class Quote:
    """The quoted text, and the sentences of passage number `passage` that it is taken from.

    `confidence`: how likely it answers, 0 to 1; None for evidence that is merely related to the question.
    """

    passage: int
    text: str
    spans: tuple[Sentence, ...]
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The quotes that answer, without repeats, and the parts of the question that remain unanswered.

    Without quotes, there is no answer.
    """

    quotes: tuple[Quote, ...]
    unanswered: tuple[str, ...] = ()


def answer_of(question: str, passages: Sequence[Passage], embedder: Embedder, check: Callable[[], None]) -> Answer:
    """Answer `question` from the passages, which are in order of relevance. `check` is called between parts."""
    comparison = comparison_of(question)
    if comparison is not None:
        ranking = rank_sentences(comparison.first, passages, embedder)
        check()
        if is_answered(ranking):
            other = counterpart(ranking.units[0], comparison.other, ranking.units)
            first = _quotes(ranking.units[0], ranking, passages, round(ranking.probability, 3))
            if other is None:
                return Answer(tuple(first), (comparison.other,))
            return Answer(_without_repeats((*first, *_quotes(other, ranking, passages, round(ranking.probability, 3)))))
    parts = parts_of(question)
    quotes: list[Quote] = []
    unanswered: list[str] = []
    for part in parts:
        ranking = rank_sentences(part, passages, embedder)
        check()
        if is_answered(ranking):
            quotes += _composed(ranking, passages)
        else:
            unanswered.append(part)
    if not quotes and len(parts) > 1:
        ranking = rank_sentences(question, passages, embedder)
        return Answer(tuple(_composed(ranking, passages)) if is_answered(ranking) else ())
    return Answer(_without_repeats(quotes), tuple(unanswered) if quotes else ())


def evidence_for(question: str, passages: Sequence[Passage], embedder: Embedder) -> tuple[Quote, ...]:
    """Quotes related to `question`, though they may not answer it; empty when the passages are unrelated."""
    ranking = rank_sentences(question, passages, embedder)
    if not (ranking.units and ranking.relatedness >= _RELATED_FROM):
        return ()
    near = [
        unit
        for unit, score in zip(ranking.units, ranking.scores, strict=True)
        if ranking.scores[0] - score <= _EVIDENCE_WITHIN
    ][:_MAX_EVIDENCE]
    return _without_repeats(quote for unit in near for quote in _quotes(unit, ranking, passages, None))


def is_answered(ranking: Ranking) -> bool:
    """Whether the best candidate is likely enough to be the answer."""
    if not ranking.units:
        return False
    least = _SENTENCE_ANSWERS_FROM if ranking.units[0].row is None else _ROW_ANSWERS_FROM
    return ranking.probability >= least


def separator(previous: Quote | None, quote: Quote) -> str:
    """The separator between two quotes of an answer: rows and items start a line."""
    if previous is None:
        return ""
    return " " if previous.spans[-1].kind is Kind.PROSE and quote.spans[-1].kind is Kind.PROSE else "\n"


def _composed(ranking: Ranking, passages: Sequence[Passage]) -> list[Quote]:
    """The quotes of the best candidate, and of the second where their scores hardly differ."""
    chosen = list(ranking.best)
    first = ranking.units[0]
    second = ranking.units[1] if len(ranking.units) > 1 and ranking.allowed[1] else None
    if (
        second is not None
        and first.row is None
        and second.row is None
        and is_shown_beside(ranking.scores[0] - ranking.scores[1], is_same_passage=second.passage == first.passage)
    ):
        chosen.append(second)
    return [quote for unit in chosen for quote in _quotes(unit, ranking, passages, round(ranking.probability, 3))]


def _without_repeats(quotes: Iterable[Quote]) -> tuple[Quote, ...]:
    said: dict[str, Quote] = {}
    for quote in quotes:
        said.setdefault(" ".join(quote.text.split()), quote)
    return tuple(said.values())


def _quotes(unit: Unit, ranking: Ranking, passages: Sequence[Passage], confidence: float | None) -> list[Quote]:
    """The unit with the context needed to understand it: a row's heads, the list that a colon announces."""
    found = ranking.sentences[unit.passage]
    if unit.row is not None:
        header = () if unit.row.header is None else (found[unit.row.header],)
        return [Quote(unit.passage, unit.row.reading(unit.columns), (*header, unit.sentence), confidence)]
    text = passages[unit.passage].text
    said = [unit.sentence]
    if unit.text.endswith(":"):
        for sentence in found[unit.index + 1 : unit.index + 1 + _MAX_LIST_ITEMS]:
            if sentence.kind is not Kind.ITEM:
                break
            said.append(sentence)
    bare = (_without_marker(text, sentence) for sentence in said)
    return [Quote(unit.passage, text[one.start : one.end], (one,), confidence) for one in bare]


def _without_marker(text: str, sentence: Sentence) -> Sentence:
    marker = _MARKER.match(text, sentence.start, sentence.end) if sentence.kind is Kind.ITEM else None
    return sentence if marker is None else replace(sentence, start=marker.end())
