"""The question's terms and which of them a text covers: by stem, irregular form, number, or the range it lies in."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from core.gateway.extraction.quantities import canonical_number
from core.gateway.extraction.words import content_words

_IRREGULAR = {
    form: line.split()[0]
    for line in Path(__file__).with_name("irregular.txt").read_text(encoding="utf-8").splitlines()
    for form in line.split()
}
_MENTION = re.compile(r"[^\W_]+(?:[.,'\u2019-][^\W_]+)*")
_ORDINARY = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=20_000)
def term_of(word: str) -> str:
    """The term of a word in lower case: its base form or its number in digits, then its stem."""
    plain = canonical_number(_IRREGULAR.get(word, word))
    found = content_words(plain)
    return found[0] if found else plain


def terms_of(text: str) -> frozenset[str]:
    """The terms of a text."""
    found: set[str] = set()
    for word in _words(text):
        found.add(term_of(word))
        if "-" in word:
            found.update(term_of(part) for part in word.split("-") if len(part) > 1)
    return frozenset(found)


def question_terms(question: str) -> list[str]:
    """The terms of a question that carry meaning, once each, in order."""
    kept: dict[str, None] = {}
    for word in _words(question):
        if content_words(word) or word in _KEPT:
            kept[term_of(word)] = None
    return list(kept)


# Common enough to be no content words, and yet they tell one row or sentence from another.
_KEPT = frozenset(["first", "once", "before", "after", "above", "below", "under", "over"])


def _words(text: str) -> Iterable[str]:
    return (match.group().casefold().replace("\u2019", "'").removesuffix("'s") for match in _MENTION.finditer(text))


def names_of(question: str) -> list[str]:
    """The terms of names and numbers in a question: what an answer cannot leave unsaid. Its first word is no name."""
    mentions = [match.group() for match in _MENTION.finditer(question)]
    sentence_starts = {match.end() for match in re.finditer(r"[.?!]\s+", question)} | {0}
    starts = [match.start() for match in _MENTION.finditer(question)]
    return [
        term_of(word.casefold().removesuffix("'s").replace("\u2019s", ""))
        for word, start in zip(mentions, starts, strict=True)
        if (word[0].isdigit() or (word[0].isupper() and start not in sentence_starts and word != "I"))
        or canonical_number(word.casefold()).isdigit()
    ]


_ASKS = re.compile(r"\b(?:what|which|who|whom|whose|how many|how much)\b", re.IGNORECASE)
_OF_TIME = frozenset(term_of(word) for word in ("time", "date", "day", "year", "month", "hour", "many", "much"))


def focus_of(question: str) -> str | None:
    """The thing asked for: the first term behind what, which, who or how many; None without one."""
    asks = _ASKS.search(question)
    if asks is None:
        return None
    return next((term for term in question_terms(question[asks.end() :]) if term not in _OF_TIME), None)


class Worth:
    """How much each term of a question is worth: its rarity among the texts at hand."""

    def __init__(self, question: str, texts: Sequence[Collection[str]]) -> None:
        frequency = Counter(term for terms in texts for term in terms)
        total = len(texts)
        self.terms = question_terms(question)
        self.names = frozenset(names_of(question))
        self.focus = focus_of(question)
        self._worth = {term: math.log(1 + (total + 1) / (frequency[term] + 0.5)) for term in self.terms}
        self._total = sum(self._worth.values())
        self._greatest = math.log(1 + (total + 1) / 0.5)

    def share(self, terms: Collection[str]) -> float:
        """The share of the question's worth that `terms` cover, 0 to 1."""
        return sum(w for term, w in self._worth.items() if term in terms) / self._total if self._total else 0.0

    def missing(self, terms: Collection[str]) -> list[str]:
        """The question's terms that `terms` do not hold."""
        return [term for term in self.terms if term not in terms]

    def of(self, term: str) -> float:
        """The worth of one term as a share of the question's."""
        return self._worth[term] / self._total

    def rarity(self, term: str) -> float:
        """The worth of one term as a share of what a term that occurs nowhere is worth."""
        return self._worth[term] / self._greatest
