"""Content words, lightly stemmed, for the lexical half of relevance."""

import re
from pathlib import Path

_WORD = re.compile(r"[^\W_]+(?:[.,'\u2019][^\W_]+)*")
_STOPWORDS = frozenset(Path(__file__).with_name("stopwords.txt").read_text(encoding="utf-8").split())
_SUFFIXES = (
    ("ational", "ate"), ("ization", "ize"), ("fulness", "ful"), ("ousness", "ous"), ("iveness", "ive"),
    ("ations", "ate"), ("ation", "ate"), ("ments", ""), ("ment", ""), ("ingly", ""), ("edly", ""),
    ("ings", ""), ("ing", ""), ("ies", "y"), ("ied", "y"), ("ions", ""), ("ion", ""), ("ers", ""), ("er", ""),
    ("ed", ""), ("ly", ""), ("es", ""), ("s", ""),
)  # fmt: skip
_STEM_MIN = 3


def content_words(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order, with repeats. Numbers stay as written."""
    words = (match.group().casefold().replace("\u2019", "'") for match in _WORD.finditer(text))
    return [stem(word) for word in words if word not in _STOPWORDS and (len(word) > 1 or word.isdigit())]


def stem(word: str) -> str:
    """A short stem of an English word: one suffix off, after Porter (1980), with a final e and doubled letter dropped.

    It only has to give the forms of one word the same stem; it need not be a word.
    """
    if not word.isalpha():
        return word.removesuffix("'s")
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _STEM_MIN and not word.endswith("ss"):
            word = word[: -len(suffix)] + instead
            break
    if len(word) > _STEM_MIN and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > _STEM_MIN else word
