r"""Finds whether a quote occurs in a text, word for word.

White space is compared as one space and typographic marks as their plain forms, because models write ``'`` for
``\u2019`` and break lines elsewhere. Letters, digits, case and punctuation must agree. The result is a span of the text
itself, so the quote shown is always the document's own wording.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

# One character for one, so that spans stay valid.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\u0060", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    }
)
_SURROUNDING = "\"' \t\r\n"
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\S+")
_INSIDE_BEFORE = re.compile(r"(?:\w|\d[.,])$")
_INSIDE_AFTER = re.compile(r"\w|[.,]\d")
# One word occurs in almost any text and proves nothing.
_WORDS_LEAST = 2


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]``."""

    start: int
    end: int


def find_quote(text: str, quote: str) -> Span | None:
    """Where `quote` first occurs in `text` as whole words; None when it does not, or is a single word.

    Quotation marks and white space around `quote` are ignored.
    """
    wanted = quote.translate(_PLAIN).strip(_SURROUNDING)
    if len(_WORD.findall(wanted)) < _WORDS_LEAST:
        return None
    words = list(_PIECE.finditer(text.translate(_PLAIN)))
    line = " ".join(word.group() for word in words)
    start = _find_whole(line, " ".join(wanted.split()))
    if start is None:
        return None
    starts = list(accumulate((len(word.group()) + 1 for word in words), initial=0))

    def place(at: int) -> int:
        """The offset in the text of the character at `at` of the line."""
        number = bisect_right(starts, at) - 1
        return words[number].start() + at - starts[number]

    return Span(place(start), place(start + len(" ".join(wanted.split())) - 1) + 1)


def _find_whole(line: str, wanted: str) -> int | None:
    """Where `wanted` first occurs. Half a word is another word, and half a number another number: 12 is not in 12.50.

    Searched as a string, since a regular expression takes the product of both lengths for words that repeat.
    """
    start = line.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        opens = not wanted[0].isalnum() or _INSIDE_BEFORE.search(line[max(0, start - 2) : start]) is None
        closes = not wanted[-1].isalnum() or _INSIDE_AFTER.match(line, end) is None
        if opens and closes:
            return start
        start = line.find(wanted, start + 1)
    return None
