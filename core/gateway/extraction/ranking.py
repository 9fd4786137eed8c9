"""Which sentences of the passages answer the question, and whether any does.

Relevance mixes three signals: closeness of the sentence's embedding to the question's, closeness of its surroundings,
and how much of the question's content words it holds (weighted by inverse document frequency over these passages).
Selection trades relevance against redundancy by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction.sentences import Kind, Sentence, split_sentences
from core.gateway.extraction.words import content_words
from core.gateway.models import Embedder, Passage

# Weights and thresholds were fitted on questions about documents other than the sample corpus; see the gateway's tests.
_SENTENCE, _CONTEXT, _LEXICAL, _QUANTITY, _POSITION = 0.45, 0.2, 0.35, 0.08, 0.03
_REDUNDANCY = 0.35
_MIN_WORDS = 3
_MAX_CANDIDATES = 64
_QUANTITY_ASKED = re.compile(
    r"\b(how (?:many|much|long|often|far|old|large|big|heavy|high|fast|soon|late|early)|when|"
    r"what (?:time|date|year|percentage|share|price|rate|number|temperature)|"
    r"(?:maximum|minimum|limit|deadline|cost|price|fee))\b",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of ``passages[passage]``, with what it scored."""

    passage: int
    index: int
    sentence: Sentence
    text: str
    score: float
    cosine: float
    coverage: float
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first. `coverage`: the share of the question's words in the best candidate's passage."""

    candidates: tuple[Candidate, ...]
    coverage: float
    sentences: tuple[tuple[Sentence, ...], ...]


def rank_sentences(question: str, passages: Sequence[Passage], embedder: Embedder) -> Ranking:
    """Score the sentences of `passages` against `question`. Embeds the question and at most 64 sentences."""
    sentences = tuple(tuple(split_sentences(passage.text)) for passage in passages)
    asked = list(dict.fromkeys(content_words(question)))
    surroundings = [set(content_words(f"{p.document} {p.section} {p.text}")) for p in passages]
    weight = _inverse_frequencies(asked, passages, sentences)
    units = [
        (number, index, sentence, passages[number].text[sentence.start : sentence.end])
        for number, found in enumerate(sentences)
        for index, sentence in enumerate(found)
        if _can_stand_alone(passages[number].text, sentence)
    ]
    held = [_coverage(weight, set(content_words(text))) for _, _, _, text in units]
    if len(units) > _MAX_CANDIDATES:
        order = sorted(range(len(units)), key=lambda n: (-held[n], n))[:_MAX_CANDIDATES]
        units, held = [units[n] for n in sorted(order)], [held[n] for n in sorted(order)]
    if not units:
        return Ranking((), 0.0, sentences)
    vectors = embedder.embed([question, *(text for _, _, _, text in units)])
    cosines = vectors[1:] @ vectors[0]
    context = _contexts(vectors[0], vectors[1:], [number for number, *_ in units])
    wants_quantity = bool(_QUANTITY_ASKED.search(question))
    candidates = [
        Candidate(
            passage=number,
            index=index,
            sentence=sentence,
            text=text,
            score=_SENTENCE * float(cosines[n])
            + _CONTEXT * context[number]
            + _LEXICAL * held[n]
            + _QUANTITY * (wants_quantity and bool(_DIGIT.search(text)))
            + _POSITION / (1 + number),
            cosine=float(cosines[n]),
            coverage=held[n],
            vector=vectors[1 + n],
        )
        for n, (number, index, sentence, text) in enumerate(units)
    ]
    candidates.sort(key=lambda candidate: -candidate.score)
    return Ranking(tuple(candidates), _coverage(weight, surroundings[candidates[0].passage]), sentences)


def select_diverse(candidates: Sequence[Candidate], limit: int, floor: float) -> list[Candidate]:
    """At most `limit` candidates scoring at least `floor`, the best first, each unlike those before it (MMR)."""
    chosen: list[Candidate] = []
    pool = [candidate for candidate in candidates if candidate.score >= floor]
    while pool and len(chosen) < limit:

        def gain(candidate: Candidate) -> float:
            likeness = max((float(candidate.vector @ other.vector) for other in chosen), default=0.0)
            return candidate.score - _REDUNDANCY * likeness

        best = max(pool, key=gain)
        chosen.append(best)
        pool = [candidate for candidate in pool if candidate is not best]
    return chosen


def _inverse_frequencies(
    asked: Sequence[str], passages: Sequence[Passage], sentences: Sequence[Sequence[Sentence]]
) -> dict[str, float]:
    frequency: Counter[str] = Counter()
    total = 0
    for passage, found in zip(passages, sentences, strict=True):
        for sentence in found:
            total += 1
            frequency.update(set(content_words(passage.text[sentence.start : sentence.end])))
    return {word: math.log(1 + (total + 1) / (frequency[word] + 0.5)) for word in asked}


def _coverage(weight: dict[str, float], words: set[str]) -> float:
    total = sum(weight.values())
    return sum(value for word, value in weight.items() if word in words) / total if total else 0.0


def _contexts(question: NDArray[np.float32], vectors: NDArray[np.float32], owner: Sequence[int]) -> dict[int, float]:
    """Closeness of each passage to the question: the mean of its sentences' vectors stands for the passage."""
    close: dict[int, float] = {}
    owners = np.asarray(owner)
    for number in set(owner):
        mean = vectors[owners == number].mean(axis=0)
        close[number] = float(mean @ question / max(float(np.linalg.norm(mean)), 1e-9))
    return close


def _can_stand_alone(text: str, sentence: Sentence) -> bool:
    """Whether a sentence is worth showing: not a heading, not a stub, not the torn edge of a passage."""
    body = text[sentence.start : sentence.end]
    if sentence.kind is Kind.HEADING or len(body.split()) < _MIN_WORDS:
        return False
    torn_start = sentence.start == 0 and sentence.kind is Kind.PROSE and body[:1].islower()
    torn_end = (
        sentence.end == len(text.rstrip())
        and sentence.kind is Kind.PROSE
        and body[-1] not in ".!?…:;)\"'\u201d\u2019\u00bb"
    )
    return not (torn_start or torn_end)
