"""Whether the text of a PDF's font is legible: a subset font without a table of its characters gives random letters.

Illegible text is left out and named, because a wrong letter would be found, quoted and believed.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

_ILLEGIBLE_SHARE = 0.5
_WRONG_GUESSES = 0.05
_MIXED_SHARE = 0.25
_MIN_PAIRS = 8
_MIN_WORDS = 30
_NO_VOWEL_SHARE = 0.5
_BULLETS = frozenset("\uf0b7\uf0a7\uf0a8\uf0d8\uf0fc\uf076\uf06e\uf06c\uf0e0\uf0a1")
_UNREADABLE_CATEGORIES = frozenset({"Cn", "Co", "Cs", "Cc"})
_WORD = re.compile(r"[^\W\d_]{2,}")
_LATIN_WORD = re.compile(r"(?<![^\W\d_])[a-z]{3,}(?![^\W\d_])")
_VOWEL = re.compile(r"[aeiouy]")
# Scripts that occur in one word: Japanese is written in three, and marks and letters of a width belong to any.
_MIXING = frozenset(
    {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "KATAKANA-HIRAGANA", "HALFWIDTH", "FULLWIDTH",
     "COMBINING", "MODIFIER", "FEMININE", "MASCULINE", "MICRO", "GREEK", "MATHEMATICAL", "ARABIC-INDIC", "KANGXI",
     "BOPOMOFO", "SUPERSCRIPT", "SUBSCRIPT", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER", "KELVIN", "ANGSTROM", "OHM"}
)  # fmt: skip


def illegible_fonts(pieces: Iterable[tuple[int, str, int, int]]) -> set[int]:
    """The fonts that cannot be read.

    Takes (font, text, glyphs of no known character, glyphs whose character is a guess) for each run of a page.
    """
    texts: dict[int, list[str]] = {}
    doubts: dict[int, tuple[int, int]] = {}
    for font, text, errors, guesses in pieces:
        texts.setdefault(font, []).append(text)
        unknown, guessed = doubts.get(font, (0, 0))
        doubts[font] = unknown + errors, guessed + guesses
    return {font for font, parts in texts.items() if _is_illegible(" ".join(parts), *doubts[font])}


def _is_illegible(text: str, unknown: int, guessed: int) -> bool:
    glyphs = sum(not character.isspace() for character in text)
    if not glyphs:
        return False
    if not text.isascii():
        unknown += sum(_is_unreadable(character) for character in text)
    # Guesses are right or wrong together: where some glyphs are no letters, the others are wrong as well.
    if unknown > guessed * _WRONG_GUESSES:
        unknown += guessed
    return unknown > glyphs * _ILLEGIBLE_SHARE or _has_no_vowels(text) or _mixes_scripts(text)


@lru_cache(maxsize=4096)
def _is_unreadable(character: str) -> bool:
    return (
        unicodedata.category(character) in _UNREADABLE_CATEGORIES
        and not character.isspace()
        and character not in _BULLETS
    )


def _mixes_scripts(text: str) -> bool:
    if text.isascii():
        return False
    pairs = mixed = 0
    for word in _WORD.findall(text):
        scripts = [_script(letter) for letter in word]
        for one, other in pairwise(scripts):
            pairs += 1
            mixed += one != other and one not in _MIXING and other not in _MIXING
    return pairs >= _MIN_PAIRS and mixed > pairs * _MIXED_SHARE


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "CJK").partition(" ")[0]


def _has_no_vowels(text: str) -> bool:
    words = _LATIN_WORD.findall(text)
    without = sum(_VOWEL.search(word) is None for word in words)
    return len(words) >= _MIN_WORDS and without > len(words) * _NO_VOWEL_SHARE
