"""Where the sentences of a text start and end, as exact character spans.

Rules, not a model: a period ends a sentence unless it belongs to an abbreviation, an initial, a number or an
enumeration. List items and table rows are sentences of their own, and so are headings on their own line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What a sentence is in its text."""

    PROSE = "prose"
    ITEM = "item"
    ROW = "row"
    HEADING = "heading"


@dataclass(frozen=True, slots=True)
class Sentence:
    """``text[start:end]``, without surrounding white space."""

    start: int
    end: int
    kind: Kind


# Those with a plus end a sentence when a capital follows; the others never do.
_MARKED = Path(__file__).with_name("abbreviations.txt").read_text(encoding="utf-8").split()
_ABBREVIATIONS = frozenset(word.rstrip("+") for word in _MARKED)
_MAY_END = frozenset(word.rstrip("+") for word in _MARKED if word.endswith("+"))
_STOP = re.compile(r"(?<![.!?…])[.!?…]+[\"'\u201d\u2019\u00bb)\]]*(?=\s|$)")
_ITEM = re.compile(r"\s*(?:[-*\u2022\u2023\u25e6\u00b7\u2013\u2014]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)])\s+\S")
_NUMBERED = re.compile(r"\s*\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)]$")
_ROW = re.compile(r"\s\|\s|\t|^\s*\|")
_WORD_BEFORE = re.compile(r"(?<![\w.])[\w.]+$")
_BLANKS = re.compile(r"\s*")
# The evidence for a sentence's end is this close to its stop; scanning all of the rest would cost its length.
_NEAR_CHARACTERS = 80
_OPENERS = "\"'\u201c\u2018\u00ab(["
# A line this much shorter than its neighbors was ended by the writer, not by the margin.
_RAGGED = 0.6
_HEADING_MAX_CHARACTERS = 90


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of `text` in order. They do not overlap; only white space is between them."""
    found: list[Sentence] = []
    for start, end, kind in _blocks(text):
        if kind is Kind.ROW:
            found.append(_trimmed(text, start, end, kind))
        else:
            found.extend(_split_block(text, start, end, kind))
    return [sentence for sentence in found if sentence.end > sentence.start]


def _blocks(text: str) -> Iterator[tuple[int, int, Kind]]:
    """Runs of lines that belong together: a paragraph, an item with its continuation lines, one row, one heading."""
    lines = list(_lines(text))
    width = max((end - start for start, end in lines), default=0)
    begin: int | None = None
    kind = Kind.PROSE
    for index, (start, end) in enumerate(lines):
        line = text[start:end]
        if not line.strip():
            if begin is not None:
                yield begin, start, kind
            begin = None
            continue
        here = Kind.ROW if _ROW.search(line) else Kind.ITEM if _ITEM.match(line) else Kind.PROSE
        if begin is not None and (
            here is not Kind.PROSE or kind is Kind.ROW or _ends(text, lines[index - 1], width, line)
        ):
            yield begin, start, kind
            begin = None
        if begin is None:
            begin, kind = start, here
    if begin is not None:
        yield begin, len(text), kind


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end + 1
        yield start, end
        start = end


def _ends(text: str, previous: tuple[int, int], width: int, line: str) -> bool:
    """Whether the writer ended the `previous` line, rather than the margin."""
    before = text[slice(*previous)].rstrip()
    first = line.lstrip()[:1]
    if before.endswith((",", "-", "\u2013")) or not (first.isupper() or first.isdigit() or first in _OPENERS):
        return False
    return len(before) < width * _RAGGED or before.endswith((".", "!", "?", ":"))


def _split_block(text: str, start: int, end: int, kind: Kind) -> Iterator[Sentence]:
    begin = start
    for stop in _STOP.finditer(text, start, end):
        if _is_boundary(text, begin, stop, end):
            yield _trimmed(text, begin, stop.end(), kind)
            begin = stop.end()
    rest = _trimmed(text, begin, end, kind)
    if rest.end > rest.start:
        body = text[rest.start : rest.end]
        whole = begin == start and kind is Kind.PROSE
        title = whole and len(body) <= _HEADING_MAX_CHARACTERS and "\n" not in body and body[-1] not in ".!?…:;,"
        yield Sentence(rest.start, rest.end, Kind.HEADING) if title else rest


def _is_boundary(text: str, begin: int, stop: re.Match[str], end: int) -> bool:
    begins = _end_of_blanks(text, stop.end(), end)
    if begins == end:
        return True
    following = text[begins : min(end, begins + _NEAR_CHARACTERS)]
    opens = following.lstrip(_OPENERS)[:1]
    if stop.group().startswith("."):
        before = text[max(begin, stop.start() - _NEAR_CHARACTERS) : stop.start()]
        if _NUMBERED.match(f"{before}."):
            return False
        word = _WORD_BEFORE.search(before)
        token = word.group().lower() if word else ""
        if token in _ABBREVIATIONS and not (token in _MAY_END and opens.isupper()):
            return False
        if word and len(token) == 1 and token.isalpha() and word.group().isupper():
            return False
    return opens.isupper() or opens.isdigit() or following[0] in _OPENERS or _ITEM.match(following) is not None


def _end_of_blanks(text: str, start: int, end: int) -> int:
    found = _BLANKS.match(text, start, end)
    return found.end() if found else start


def _trimmed(text: str, start: int, end: int, kind: Kind) -> Sentence:
    body = text[start:end]
    return Sentence(start + len(body) - len(body.lstrip()), start + len(body.rstrip()), kind)
