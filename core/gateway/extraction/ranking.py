"""Which sentences of the passages answer the question, and whether any does.

Relevance is a weighted sum: closeness of the sentence's embedding to the question's; the share of the question's
content words that it and its neighbour hold (weighted by inverse document frequency over these passages); whether it
holds the kind of thing that was asked for; the rank of its passage. Selection trades relevance against redundancy by
maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction.expectations import expectation_of, names_in
from core.gateway.extraction.sentences import Kind, Sentence, split_sentences
from core.gateway.extraction.words import content_words
from core.gateway.models import Embedder, Passage

# Fitted by listwise logistic regression on the development questions beside the tests of the knowledge pipeline; the
# figures on other questions are in the test that reads them.
_CLOSENESS, _WORDS, _WORDS_AROUND, _KIND, _RANK = 5.5, 2.7, 2.5, 0.7, 3.3
_REDUNDANCY = 2.0
_MIN_WORDS = 3
_MAX_CANDIDATES = 48
# Strength of evidence: closeness of the closest sentence plus this share of the best passage's coverage.
_COVERAGE_SHARE = 0.3
_UNKNOWN_NAME_COST = 0.12
_WRONG_KIND_COST = 0.08
_KIND_AMONG_FIRST = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """Sentence `index` of passage number `passage`, with its score. Scores compare within one question only."""

    passage: int
    index: int
    sentence: Sentence
    text: str
    score: float
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first; all sentences of each passage; and how strong the evidence is, from about 0 to 1.3."""

    candidates: tuple[Candidate, ...]
    sentences: tuple[tuple[Sentence, ...], ...]
    strength: float


def rank_sentences(question: str, passages: Sequence[Passage], embedder: Embedder) -> Ranking:
    """Score the sentences of `passages`, which come in order of relevance. Embeds at most 48 of them."""
    sentences = tuple(tuple(split_sentences(passage.text)) for passage in passages)
    words = _Words(question, passages, sentences)
    units = _units(passages, sentences, words)
    if not units:
        return Ranking((), sentences, 0.0)
    vectors = embedder.embed([question, *(_in_context(passages[n], sentences[n], index) for n, index in units)])
    closeness = vectors[1:] @ vectors[0]
    expected = expectation_of(question)
    candidates = []
    for row, (number, index) in enumerate(units):
        sentence = sentences[number][index]
        text = passages[number].text[sentence.start : sentence.end]
        fits = 0 if expected is None else 1 if expected.answer.search(text) else -1
        score = (
            _CLOSENESS * float(closeness[row])
            + _WORDS * words.share_of_sentence(number, index)
            + _WORDS_AROUND * words.share_of_sentences(number, index)
            + _KIND * fits
            + _RANK / (1 + number)
        )
        candidates.append(Candidate(number, index, sentence, text, score, vectors[1 + row]))
    candidates.sort(key=lambda candidate: -candidate.score)
    strength = float(closeness.max()) + _COVERAGE_SHARE * max(words.share_of_passage(n) for n in range(len(passages)))
    if any(not words.occurs(name) for name in names_in(question)):
        strength -= _UNKNOWN_NAME_COST
    first = candidates[:_KIND_AMONG_FIRST]
    if expected is not None and not any(expected.answer.search(candidate.text) for candidate in first):
        strength -= _WRONG_KIND_COST
    return Ranking(tuple(candidates), sentences, strength)


def select_diverse(candidates: Sequence[Candidate], limit: int, within: float) -> list[Candidate]:
    """At most `limit` candidates whose scores are `within` that of the first, each unlike those before it."""
    chosen: list[Candidate] = []
    pool = [candidate for candidate in candidates if candidate.score >= candidates[0].score - within]

    def gain(candidate: Candidate) -> float:
        likeness = max((float(candidate.vector @ other.vector) for other in chosen), default=0.0)
        return candidate.score - _REDUNDANCY * likeness

    while pool and len(chosen) < limit:
        best = max(pool, key=gain)
        chosen.append(best)
        pool = [candidate for candidate in pool if candidate is not best]
    return chosen


class _Words:
    """The question's content words, what each is worth, and where they occur."""

    def __init__(self, question: str, passages: Sequence[Passage], sentences: Sequence[Sequence[Sentence]]) -> None:
        self._of_sentences = [
            [frozenset(content_words(passage.text[s.start : s.end])) for s in found]
            for passage, found in zip(passages, sentences, strict=True)
        ]
        self._of_passages = [frozenset(content_words(f"{p.document} {p.section} {p.text}")) for p in passages]
        frequency = Counter(word for found in self._of_sentences for words in found for word in words)
        total = sum(len(found) for found in self._of_sentences)
        self._worth = {word: math.log(1 + (total + 1) / (frequency[word] + 0.5)) for word in content_words(question)}
        self._total = sum(self._worth.values())

    def share_of_sentence(self, number: int, index: int) -> float:
        return self._share(self._of_sentences[number][index])

    def share_of_sentences(self, number: int, index: int) -> float:
        """Of the sentence together with the one before it."""
        found = self._of_sentences[number]
        return self._share(found[index] | found[max(index - 1, 0)])

    def share_of_passage(self, number: int) -> float:
        return self._share(self._of_passages[number])

    def occurs(self, name: str) -> bool:
        wanted = set(content_words(name))
        return any(wanted <= words for words in self._of_passages)

    def _share(self, words: frozenset[str]) -> float:
        return sum(worth for word, worth in self._worth.items() if word in words) / self._total if self._total else 0.0


def _units(
    passages: Sequence[Passage], sentences: Sequence[Sequence[Sentence]], words: _Words
) -> list[tuple[int, int]]:
    """The sentences worth scoring, as (passage, index). Of too many, those that share most words with the question."""
    units = [
        (number, index)
        for number, found in enumerate(sentences)
        for index, sentence in enumerate(found)
        if _can_stand_alone(passages[number].text, sentence)
    ]
    if len(units) > _MAX_CANDIDATES:
        units = sorted(units, key=lambda unit: -words.share_of_sentences(*unit))[:_MAX_CANDIDATES]
    return units


def _in_context(passage: Passage, sentences: Sequence[Sentence], index: int) -> str:
    """What is embedded. A table row means little without its heading and the header of the table."""
    sentence = sentences[index]
    text = passage.text[sentence.start : sentence.end]
    if sentence.kind is not Kind.ROW:
        return text
    header = sentences[header_of_row(sentences, index)]
    parts = [passage.section.rpartition(" > ")[2]]
    if header != sentence:
        parts.append(passage.text[header.start : header.end])
    return "\n".join([*(part for part in parts if part), text])


def header_of_row(sentences: Sequence[Sentence], index: int) -> int:
    """The index of the first row of the table to which the row at `index` belongs."""
    while index > 0 and sentences[index - 1].kind is Kind.ROW:
        index -= 1
    return index


def _can_stand_alone(text: str, sentence: Sentence) -> bool:
    """Whether a sentence is worth showing: not a heading, not a stub, not the torn edge of a passage."""
    body = text[sentence.start : sentence.end]
    if sentence.kind is Kind.HEADING or len(body.split()) < _MIN_WORDS or body.endswith("?"):
        return False
    torn_start = sentence.start == 0 and sentence.kind is Kind.PROSE and body[:1].islower()
    at_end = sentence.end == len(text.rstrip()) and sentence.kind is Kind.PROSE
    return not (torn_start or (at_end and body[-1] not in ".!\u2026:;)\"'\u201d\u2019\u00bb"))
