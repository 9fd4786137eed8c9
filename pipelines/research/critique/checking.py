"""Checks whether the cited sources support a claim, as far as that is possible without a model that reads.

In this order: a claim names sources that exist; words in quotation marks occur in them; a claim that occurs there word
for word is *quoted*; every figure and every name of the claim occurs in its sources; it negates what they negate; and
one of their sentences is close to it, by meaning and by words. A claim that passes with a margin is *entailed*; one
that passes without is left open for a model, and without a model it counts as unsupported.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from core.gateway.extraction.sentences import split_sentences
from core.gateway.extraction.words import content_words
from pipelines._kit.figures import missing_figures
from pipelines._kit.quotes import find_quote
from pipelines.research.critique.claims import Claim

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_SOURCE = "it names no source"
UNKNOWN_SOURCE = "it cites a source that does not exist"
NOT_QUOTED = "its quoted words do not stand in the source"
FIGURE = "the source does not hold {what}"
DENIAL = "it denies what the source says, or the other way round"
FAR = "no sentence of the source is close to it"

# Cosine to the closest sentence, and share of the claim's content words in its neighborhood: below the first pair a
# claim is unsupported, above the second it is entailed. Measured on the claims next to the tests of this module.
_LEAST_CLOSE, _LEAST_WORDS = 0.45, 0.25
_SURELY_CLOSE, _SURELY_WORDS = 0.72, 0.70

_INNER_QUOTE = re.compile('[\u201c\u00ab"]([^\u201c\u201d\u00ab\u00bb"]{3,}?)[\u201d\u00bb"]')
_NAME = re.compile(r"(?<![.!?:\u201c\"] )(?<!^)\b[A-Z][\w\-]+")
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|cannot|without|refused?|refuses|excluded?|excludes|forbidden|"
    r"prohibited)\b|n't\b",
    re.IGNORECASE,
)

Support = Literal["quoted", "entailed"]


class Embeds(Protocol):
    """The part of the job's models that is used here."""

    def embed(self, name: str, texts: Sequence[str]) -> "NDArray[Any]":
        """Texts to unit vectors, one row each."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`support` or, with None, the `reason`. `is_open`: a model that reads may still find it supported."""

    support: Support | None
    reason: str = ""
    is_open: bool = False


def check_claims(claims: Sequence[Claim], texts: Sequence[str], models: Embeds, embedding: str) -> list[Finding]:
    """A finding for each claim; `texts` are all sources, which claims cite from 1. At most one call of the embedder."""
    findings = [_by_form(claim, texts) for claim in claims]
    near = [number for number, finding in enumerate(findings) if finding is None]
    if not near:
        return [finding for finding in findings if finding is not None]
    sentences = {cited: _sentences(texts[cited - 1]) for number in near for cited in claims[number].cited}
    flat = [(cited, index) for cited, found in sentences.items() for index in range(len(found))]
    rows = {place: row for row, place in enumerate(flat, start=len(near))}
    vectors = models.embed(
        embedding, [*(claims[number].text for number in near), *(sentences[cited][index] for cited, index in flat)]
    )
    for row, number in enumerate(near):
        claim = claims[number]
        places = [(cited, index) for cited in claim.cited for index in range(len(sentences[cited]))]
        close = {place: float(vectors[row] @ vectors[rows[place]]) for place in places}
        findings[number] = _by_meaning(claim, sentences, close)
    return [finding for finding in findings if finding is not None]


def _by_form(claim: Claim, texts: Sequence[str]) -> Finding | None:
    """The finding that needs no comparison of meanings; None when there is none."""
    if not claim.cited:
        return Finding(None, NO_SOURCE)
    if any(not 1 <= number <= len(texts) for number in claim.cited):
        return Finding(None, UNKNOWN_SOURCE)
    read = [texts[number - 1] for number in claim.cited]
    if any(find_quote(text, claim.text) for text in read):
        return Finding("quoted")
    for quote in _INNER_QUOTE.findall(claim.text):
        if len(quote.split()) > 1 and not any(find_quote(text, quote) for text in read):
            return Finding(None, NOT_QUOTED)
    missing = _missing(claim.text, read)
    return Finding(None, FIGURE.format(what=missing)) if missing else None


def _missing(text: str, read: Sequence[str]) -> str:
    """A figure or a name of the claim that occurs in none of its sources; empty when there is none."""
    if figures := missing_figures(text, read):
        return figures[0]
    words = set(content_words(" ".join(read)))
    for name in _NAME.findall(text):
        if not set(content_words(name)) <= words:
            return str(name)
    return ""


def _by_meaning(claim: Claim, sentences: dict[int, list[str]], close: dict[tuple[int, int], float]) -> Finding:
    if not close:
        return Finding(None, FAR)
    cited, index = max(close, key=close.__getitem__)
    closeness = close[cited, index]
    found = sentences[cited]
    held = set(content_words(" ".join(found[max(index - 1, 0) : index + 2])))
    # A claim that cites several sources may take its words from all of them.
    for number in {number for number, _ in close}:
        _, nearest = max((place for place in close if place[0] == number), key=close.__getitem__)
        held |= set(content_words(sentences[number][nearest]))
    words = set(content_words(claim.text))
    share = len(words & held) / len(words) if words else 0.0
    if closeness < _LEAST_CLOSE or share < _LEAST_WORDS:
        return Finding(None, FAR)
    if bool(_NEGATION.search(claim.text)) != bool(_NEGATION.search(found[index])):
        return Finding(None, DENIAL, is_open=True)
    if closeness >= _SURELY_CLOSE and share >= _SURELY_WORDS:
        return Finding("entailed", is_open=True)
    return Finding(None, FAR, is_open=True)


def _sentences(text: str) -> list[str]:
    return [text[found.start : found.end] for found in split_sentences(text)]
