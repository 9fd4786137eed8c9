"""Measures how many of a reference's words a reading holds, and how many it invents."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.knowledge.documents.document import LeftOut

# In the scripts without spaces, and in Thai, a character is a word.
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_HYPHENATED = re.compile(r"([^\W\d_])[-\u00ad]\n\s*([^\W\d_])")
# Markdown syntax besides the words of its document.
_COMMENT = re.compile(r"<!--[^<>]*-->")
_TARGET = re.compile(r"\]\([^()\s]*\)")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
# The output of pdfminer.six and pdfplumber, which is built on it, for a glyph whose character they do not know.
_NO_CHARACTER = re.compile(r"\(cid:\d+\)")
_NUMBER = re.compile(r"\d+")
_ESCAPE = re.compile(r"\\([^\w\s])")

Words = Counter[str]


@dataclass(frozen=True, slots=True)
class Score:
    """How a reading compares with a reference, each counted as a bag of words."""

    found: int
    reference: int
    own: int

    @property
    def found_share(self) -> float:
        """The part of the reference's words that was read; 1 for a reference without words."""
        return self.found / self.reference if self.reference else 1.0

    @property
    def invented_share(self) -> float:
        """The part of the words read that the reference does not have."""
        return 1 - self.found / self.own if self.own else 0.0


def words_in(text: str) -> Words:
    """The words of a text, in lower case and one Unicode form; a word divided at a line's end is one."""
    known = _NO_CHARACTER.sub(" ", unicodedata.normalize("NFKC", text).replace("\r\n", "\n"))
    joined = _HYPHENATED.sub(r"\1\2", known)
    return Counter(_WORD.findall(_UNSPACED.sub(r" \g<0> ", joined.casefold())))


def words_of_markdown(text: str) -> Words:
    """The words that a reader of the rendered Markdown sees: no comments, targets of links, TeX commands."""
    shown = _TARGET.sub("]", html.unescape(_COMMENT.sub(" ", text)))
    return words_in(_ESCAPE.sub(r"\1", _COMMAND.sub(" ", shown)))


def words_named(left_out: Iterable[LeftOut]) -> Words:
    """The words of heads and page numbers that a reader names instead of reading them again on each page."""
    words = Words()
    for each in left_out:
        if each.what == "running_head":
            words.update({word: amount * each.count for word, amount in words_in(each.text).items()})
        elif each.what == "page_number":
            for page in each.pages:
                words.update(words_in(_NUMBER.sub(str(page), each.text, count=1)))
    return words


def agreed(readings: Iterable[Words]) -> Words:
    """The words that more than half of the readings hold, each as often as they agree on."""
    known = list(readings)
    needed = len(known) // 2 + 1
    words = {word for reading in known for word in reading}
    counts = {word: sorted((reading[word] for reading in known), reverse=True)[needed - 1] for word in words}
    return Counter({word: count for word, count in counts.items() if count})


def score(reading: Words, reference: Words) -> Score:
    """Compare a reading with a reference."""
    return Score((reading & reference).total(), reference.total(), reading.total())
