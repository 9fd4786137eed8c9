"""The question's terms and which of them a text covers: by stem, irregular form, number, or the range it lies in."""

import math
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from core.gateway.extraction.quantities import canonical_number, is_ordinal
from core.gateway.extraction.words import content_words

_IRREGULAR = {
    form: line.split()[0]
    for line in Path(__file__).with_name("irregular.txt").read_text(encoding="utf-8").splitlines()
    for form in line.split()
}
# Words of one line exclude each other: a statement about the north says nothing about the south. A word on its own line
# must be present when the question has it.
_CONTRASTS = [
    frozenset(line.split())
    for line in Path(__file__).with_name("contrasts.txt").read_text(encoding="utf-8").splitlines()
]
_ALSO_WRITTEN = {
    "children": "child",
    "another": "other",
    "northern": "north",
    "southern": "south",
    "eastern": "east",
    "western": "west",
}
# Verbs and adjectives that the kind of answer implies: "How much do I pay?" is answered without "pay".
_LIGHT = frozenset(
    _IRREGULAR.get(word, word) for word in Path(__file__).with_name("light.txt").read_text(encoding="utf-8").split()
)
_LIGHT_WORTH = 0.3
_MENTION = re.compile(r"[^\W_]+(?:[.,'\u2019-][^\W_]+)*")
# Words that only indicate which kind of answer is asked for; the answer itself need not contain them.
_FRAME = re.compile(
    r"\bhow (?:long|often|soon|quickly)\b|\b(?:the )?(?:names?|kinds?|types?|sorts?|terms?) (?:of|for)\b", re.IGNORECASE
)
_LONG_NAME = re.compile(r"\b[A-Z][a-z]{1,30}(?: [A-Z][a-z]{1,30}){1,4}\b")
_MIN_STEM, _MIN_MISSPELT = 4, 6
_NEAR = 8


@lru_cache(maxsize=20_000)
def term_of(word: str) -> str:
    """The term of a word in lower case: its base form or its number in digits, then its stem."""
    plain = canonical_number(_IRREGULAR.get(word, word))
    found = content_words(plain)
    # "LX-400" and "3.5" are one name each; only the whole is distinctive.
    return found[0] if len(found) == 1 else plain


_LIGHT_TERMS = frozenset(map(term_of, _LIGHT))


def terms_of(text: str) -> frozenset[str]:
    """The terms of a text."""
    found: set[str] = set()
    for word in _words(text):
        found.add(term_of(word))
        if "-" in word:
            found.update(term_of(part) for part in word.split("-") if len(part) > 1)
    return frozenset(found)


def question_terms(question: str) -> list[str]:
    """The terms of a question that carry meaning, without repeats, in order."""
    kept: dict[str, None] = {}
    for word in _words(_FRAME.sub(" ", question)):
        for part in _parts(word):
            if content_words(part) or part in _KEPT:
                kept[term_of(part)] = None
    return list(kept)


# Too common to be content words, yet they distinguish one row or sentence from another.
_KEPT = frozenset(["first", "once", "before", "after", "above", "below", "under", "over"])


def _words(text: str) -> Iterable[str]:
    return (_plain(match.group()) for match in _MENTION.finditer(text))


def _plain(word: str) -> str:
    """In lower case, without accents and the genitive ending: "C\u00e9loron's" as "celoron"."""
    folded = word.casefold().replace("\u2019", "'").removesuffix("'s")
    if folded.isascii():
        return folded
    decomposed = unicodedata.normalize("NFD", folded)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _parts(word: str) -> Sequence[str]:
    """The parts of a hyphenated word, as "first-aid" may be written "first aid"; "LX-400" is a name."""
    named = any(character.isdigit() for character in word) and any(character.isalpha() for character in word)
    return (word,) if named else word.split("-")


def contrasts_of(question: str) -> list[tuple[str, frozenset[str]]]:
    """The terms of a question that have opposites, each with those; with none, where the term itself is required.

    The words are compared as written: "a month" is not "monthly", and a "lead" not "left".
    """
    words = {
        form for word in _words(question) for form in (word, word.removesuffix("s"), _ALSO_WRITTEN.get(word, word))
    }
    asked = frozenset(question_terms(question))
    found = []
    for line in _CONTRASTS:
        others = frozenset(map(term_of, line)) - asked
        found += [(term_of(word), others) for word in line & words]
    return found


def names_of(question: str) -> list[str]:
    """The terms of names and numbers in a question, which an answer has to mention.

    The question's first word is not a name, and the ordinal of "second-hand" is not a number.
    """
    sentence_starts = {match.end() for match in re.finditer(r"[.?!]\s+", question)} | {0}
    return [
        term_of(part)
        for match in _MENTION.finditer(question)
        for part in _parts(_plain(match.group()))
        if not ("-" in match.group() and is_ordinal(part))
        if any(character.isdigit() for character in part)
        or (match.group()[0].isupper() and match.start() not in sentence_starts and match.group() != "I")
        or (canonical_number(part).isdigit() and part != "one")
    ]


def is_named(name: str, terms: Collection[str]) -> bool:
    """Whether `terms` contain a name, a word derived from it ("Brazilian" names Brazil), or it with one typo."""
    if name in terms or (len(name) >= _MIN_STEM and any(term.startswith(name) for term in terms)):
        return True
    if len(name) < _MIN_MISSPELT or not name.isalpha():
        return False
    near = _without_one(name)
    return any(
        term.isalpha() and abs(len(term) - len(name)) <= 1 and (term in near or not near.isdisjoint(_without_one(term)))
        for term in terms
    )


def _without_one(word: str) -> set[str]:
    """The word itself, and every variant with one letter removed."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def initials_of(text: str) -> frozenset[str]:
    """The initials of the multi-word names in `text`: "United Kingdom" gives "uk"."""
    return frozenset("".join(word[0] for word in found.split()).casefold() for found in _LONG_NAME.findall(text))


_ASKS = re.compile(
    r"\b(?:what|which|who|whom|whose|how many|how much|how(?= (?:wide|deep|heavy|tall|thick|fast|loud|hot)\b))\b",
    re.IGNORECASE,
)
_OF_TIME = frozenset(term_of(word) for word in ("time", "date", "day", "year", "month", "hour", "many", "much"))


def focus_of(question: str) -> str | None:
    """The thing asked for: the first term after what, which, who or how many; None without one."""
    asks = _ASKS.search(question)
    if asks is None:
        return None
    return next((term for term in question_terms(question[asks.end() :]) if term not in _OF_TIME), None)


class Worth:
    """The weight of each term of a question: its rarity among the texts at hand."""

    def __init__(self, question: str, texts: Sequence[Collection[str]]) -> None:
        frequency = Counter(term for terms in texts for term in terms)
        total = len(texts)
        self.terms = question_terms(question)
        self.names = frozenset(names_of(question))
        self.focus = focus_of(question)
        self._contrasts = contrasts_of(question)
        self._worth = {
            term: math.log(1 + (total + 1) / (frequency[term] + 0.5)) * (_LIGHT_WORTH if term in _LIGHT_TERMS else 1)
            for term in self.terms
        }
        self._total = sum(self._worth.values())
        self._greatest = math.log(1 + (total + 1) / 0.5)

    def share(self, terms: Collection[str]) -> float:
        """The share of the question's weight that `terms` cover, 0 to 1."""
        return sum(w for term, w in self._worth.items() if term in terms) / self._total if self._total else 0.0

    def nearby(self, text: str, places: Sequence[int]) -> float:
        """The share of the question's weight that `text` covers within eight words of one of the `places`.

        Without places, that of the best seventeen words of `text`.
        """
        found = [(match.start(), _plain(match.group())) for match in _MENTION.finditer(text)]
        terms = [frozenset(term_of(part) for part in (word, *word.split("-")) if part) for _, word in found]
        starts = [start for start, _ in found]
        around = [bisect_left(starts, place) for place in places] or range(_NEAR, max(len(terms), _NEAR + 1))
        return max(
            (self.share(frozenset().union(*terms[max(0, word - _NEAR) : word + _NEAR + 1])) for word in around),
            default=0.0,
        )

    def contradicts(self, terms: Collection[str]) -> bool:
        """Whether `terms` describe the counterpart of what the question asks about."""
        return any(
            asked not in terms and (not others or any(other in terms for other in others))
            for asked, others in self._contrasts
        )

    def missing(self, terms: Collection[str]) -> list[str]:
        """The question's terms that are not in `terms`."""
        return [term for term in self.terms if term not in terms]

    def of(self, term: str) -> float:
        """The weight of one term as a share of the question's."""
        return self._worth[term] / self._total

    def rarity(self, term: str) -> float:
        """The weight of one term as a share of the weight of a term that occurs nowhere."""
        return self._worth[term] / self._greatest
