"""Finds a policy's own dictionaries and patterns, in time that is linear in the text."""

import re
from collections.abc import Iterable, Iterator, Mapping

from core.guard.policy import Dictionary, GuardPolicy, Pattern
from core.guard.records import Finding
from core.kit.expressions import Expression
from core.registry.data_classes import DataClass

DICTIONARY, PATTERN = "dictionary", "pattern"
TERM_MAX_WORDS = 24
# The limit on an expression's matches in one text: after it, the rest of the text becomes one finding. It bounds the
# cost of an expression that scans far ahead, which is a pass over the text for each match.
MATCHES_MAX = 1_000
# RE2's programs and caches are bounded per expression: a policy may have a hundred.
_EXPRESSION_MEMORY_BYTES = 1 << 20
# A word; a character of a script that puts no space between words; any other character that is not white space.
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+|\S")


def words_of(term: str) -> tuple[str, ...]:
    """The words and signs of a term, case-folded: its matches consist of these."""
    return tuple(match.group().casefold() for match in _WORD.finditer(term))


def compile_pattern(expression: str) -> Expression:
    """A tenant's expression. Raises ValueError for one that RE2 refuses, or that matches the empty text."""
    compiled = Expression(expression, memory_bytes=_EXPRESSION_MEMORY_BYTES)
    if compiled.is_in(""):
        raise ValueError("an expression that matches nothing at all would match everywhere")
    return compiled


class TermFinder:
    """The dictionaries and patterns of a policy, prepared for matching. Thread-safe."""

    def __init__(self, policy: GuardPolicy) -> None:
        self._dictionaries = [(each, _Terms(each.terms)) for each in policy.dictionaries]
        self._patterns = [(each, compile_pattern(each.expression)) for each in policy.patterns]
        self.is_empty = not self._dictionaries and not self._patterns

    def find(self, text: str, part: int = 0) -> Iterator[tuple[Finding, DataClass | None]]:
        """Each finding in `text`, and the class that its dictionary or pattern gives to the content that holds it."""
        if self._dictionaries:
            words = [(match.group().casefold(), match.start(), match.end()) for match in _WORD.finditer(text)]
            for dictionary, terms in self._dictionaries:
                yield from _found(dictionary, 1.0, DICTIONARY, terms.spans_in(words), part)
        for pattern, expression in self._patterns:
            yield from _found(pattern, pattern.score, PATTERN, _bounded(expression, text), part)


class _Terms:
    """The terms of one dictionary, by their words. At each word of a text, the longest term wins."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._terms = {words_of(term) for term in terms} - {()}
        lengths: dict[str, set[int]] = {}
        for words in self._terms:
            lengths.setdefault(words[0], set()).add(len(words))
        self._lengths: Mapping[str, list[int]] = {
            first: sorted(found, reverse=True) for first, found in lengths.items()
        }

    def spans_in(self, words: list[tuple[str, int, int]]) -> Iterator[tuple[int, int]]:
        at = 0
        while at < len(words):
            for length in self._lengths.get(words[at][0], ()):
                if tuple(word for word, _, _ in words[at : at + length]) in self._terms:
                    yield words[at][1], words[at + length - 1][2]
                    at += length
                    break
            else:
                at += 1


def _bounded(expression: Expression, text: str) -> Iterator[tuple[int, int]]:
    for number, (start, end) in enumerate(expression.spans_in(text)):
        if number == MATCHES_MAX:
            yield start, len(text)
            return
        if end > start:
            yield start, end


def _found(
    source: Dictionary | Pattern, score: float, recognizer: str, spans: Iterable[tuple[int, int]], part: int
) -> Iterator[tuple[Finding, DataClass | None]]:
    for start, end in spans:
        yield Finding(source.kind, start, end, score, recognizer, part), source.data_class
