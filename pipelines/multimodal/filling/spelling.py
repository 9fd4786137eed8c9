"""Corrects common confusions of OCR, where the document or a fixed form shows the right spelling."""

import re
import unicodedata
from collections.abc import Collection

# Legal forms whose letters have look-alikes; anything else in a name may be meant as it is printed.
_FORMS = (
    (re.compile(r"\b[S5] ?D ?N(\.?) ?[BD8]H[DO]\b"), r"SDN\1 BHD"),
    (re.compile(r"(?<=[A-Z]{3})S ?/ ?B$"), " S/B"),
    (re.compile(r"\b[S5] ?/ ?[B8](?!\w)"), "S/B"),
    (re.compile(r"\bLT[DO]\b"), "LTD"),
    (re.compile(r"\bGm[bh]H\b"), "GmbH"),
)
# OCR drops spaces: after a postcode, and between *No* and its number.
_SPACELESS = re.compile(r"(?<=\b\d{5})(?=[A-Z]{2})|(?<=\bNO)(?=\d)|(?<=\bNo)(?=\d)")
# A capital I between letters is an l: no word but those of Mac and Mc has one.
_CAPITAL_I = re.compile(r"(?<=[A-Z])I(?=[a-z])|(?<=[b-z])(?<!Mc)I(?=[a-z])")
_WORD = re.compile(r"[^\W\d_]+")


def with_forms(name: str) -> str:
    """`name` with the correct spelling of its legal form."""
    for pattern, form in _FORMS:
        name = pattern.sub(form, name)
    return name


def with_small_l(text: str) -> str:
    """`text` with ``Blk`` where ``BIk`` was read."""
    return _CAPITAL_I.sub("l", text)


def with_spaces(address: str) -> str:
    """`address` with the spaces that it needs around its numbers."""
    return _SPACELESS.sub(" ", address)


def without_stray_accents(text: str, known: Collection[str]) -> str:
    """`text` where words with an accent become those of `known` (in lower case) that they are without it."""
    return _WORD.sub(lambda match: _plain(match[0]) if _plain(match[0]).lower() in known else match[0], text)


def _plain(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
