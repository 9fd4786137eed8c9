"""Finds the old encoding of a text: every reading is judged by how much it looks like text of a language."""

import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise

from charset_normalizer import from_bytes

from pipelines.knowledge.documents.alphabets import (
    ARABIC_COMMON,
    CYRILLIC_COMMON,
    GREEK_COMMON,
    HEBREW_COMMON,
    LANGUAGES,
    SIGNS,
    SIMPLIFIED,
    THAI_COMMON,
    TRADITIONAL,
)

_PROBE_BYTES = 32768
_ENOUGH = 0.8
_WIDE_ENOUGH = 0.95
_CLEARLY = 0.03
_SHORTEST = 3
_MANY_CAPITALS = 0.5
_MOSTLY = 0.75
_TWO_BYTES = 2
# charset-normalizer is consulted when no reading of ours fits. It is right only about longer texts.
_LONG_BYTES = 200
_MAX_CHAOS = 0.02
_MIN_COHERENCE = 0.5
_WORD = re.compile(r"[^\W\d_]+")
_INSIDE = re.compile(r"[^\W\d_][§£¥°²³¶†‡©®™¿¡«»„‹›ªº\xad][^\W\d_]")
_BESIDE = re.compile(r"[^\W\d_][±¼½¾¬¦¤¢¨¸´×÷¶¿¡]|[±¼½¾¬¦¤¢¨¸´×÷][^\W\d_]")
# Final letters inside a word, and points with no letter below them.
_FINAL_INSIDE = re.compile("[םןץףך][א-ת]|(?<![א-ת\u0591-\u05c7])[\u05b0-\u05c7]")
_WESTERN = frozenset("".join(letters for letters, _ in LANGUAGES["western"]))


def guess(data: bytes) -> str | None:
    """The codec of text that is neither UTF-8 nor declared; None when no reading is clearly the best."""
    probe = data[:_PROBE_BYTES]
    scores = sorted(
        ((score, -rank, name) for rank, (name, judge) in enumerate(_JUDGES) if (score := _judged(probe, name, judge))),
        reverse=True,
    )
    if scores and scores[0][0] >= _ENOUGH:
        rivals = [name for score, _, name in scores[1:] if score > scores[0][0] - _CLEARLY]
        best = scores[0][2]
        # Readings that agree on the text, or of which the first is the usual one, are no rivals.
        if all(_same(probe, best, name) or _FAMILY[best] == _FAMILY[name] for name in rivals):
            return best
    match = from_bytes(probe).best() if len(data) >= _LONG_BYTES else None
    if match is None or match.chaos > _MAX_CHAOS or match.coherence < _MIN_COHERENCE:
        return None
    return str(match.encoding)


def guess_wide(data: bytes) -> str | None:
    """UTF-16 without a mark and without any ASCII in it: text of East Asia; None when it is not."""
    probe = data[:_PROBE_BYTES]
    judges = (_chinese(SIMPLIFIED), _chinese(TRADITIONAL), _japanese, _korean)
    scores = [(_judged(probe, name, judge), name) for name in ("utf-16-le", "utf-16-be") for judge in judges]
    score, name = max(scores)
    return name if score >= _WIDE_ENOUGH else None


def _judged(probe: bytes, name: str, judge: Callable[[str], float]) -> float:
    # A character of several bytes may be cut at the end of the probe.
    for end in range(len(probe), max(len(probe) - 4, 0), -1):
        try:
            text = probe[:end].decode(name)
        except UnicodeDecodeError:
            continue
        foreign = [character for character in text if character > "\x7f" and character not in SIGNS]
        if any(unicodedata.category(character) in {"Cc", "Co", "Cn"} for character in foreign):
            return 0.0
        return judge(text)
    return 0.0


def _same(probe: bytes, one: str, other: str) -> bool:
    return probe.decode(one, errors="replace") == probe.decode(other, errors="replace")


def _latin(group: str) -> Callable[[str], float]:
    def judge(text: str) -> float:
        words = _WORD.findall(text)
        special = [character for character in text if character > "\x7f" and character not in SIGNS]
        if any(not character.isalpha() for character in special) or _sign_inside_word(text):
            return 0.0
        # Old encodings of other scripts, misread, have words of nothing but accents.
        if not words or any(_is_odd(word) for word in words):
            return 0.0
        lowered = [character.lower() for character in special]
        known = {word.lower() for word in words}
        best = 0.0
        for letters, common in LANGUAGES[group]:
            covered = sum(letter in letters for letter in lowered) / len(lowered) if lowered else 1.0
            spoken = len(known & set(common.split())) / min(len(known), 12)
            best = max(best, (0.8 if covered >= 1 else 0.8 * covered**2) + 0.2 * min(1.0, 2 * spoken))
        if group == "western" and all(letter in _WESTERN for letter in lowered):
            # A name or a loan word: letters of two languages of one encoding.
            best = max(best, _ENOUGH)
        return best

    return judge


def _sign_inside_word(text: str) -> bool:
    return _INSIDE.search(text) is not None or _BESIDE.search(text) is not None


def _is_odd(word: str) -> bool:
    special = [character for character in word if character > "\x7f"]
    if not special:
        return False
    # "eT" is no word, "ET" and "Et" are.
    mixed = any(one.islower() and other.isupper() for one, other in pairwise(word))
    return mixed or (len(special) >= _SHORTEST and len(special) > _MOSTLY * len(word))


def _alphabetic(common: frozenset[str], script: str) -> Callable[[str], float]:
    def judge(text: str) -> float:
        letters = [character for character in text if character > "\x7f" and character not in SIGNS]
        if not letters:
            return 0.0
        own = [character for character in letters if unicodedata.name(character, "").startswith(script)]
        words = [word for word in _WORD.findall(text) if any(character > "\x7f" for character in word)]
        mixed = sum(
            any(one.islower() and other.isupper() for one, other in pairwise(word))
            or (any(character < "\x80" for character in word))
            for word in words
        )
        frequent = sum(letter.lower() in common for letter in own) / len(letters)
        upper = sum(letter.isupper() for letter in letters) / len(letters)
        shouting = 0.1 if upper > _MANY_CAPITALS else 0.0
        if all(len(word) < _SHORTEST for word in words):
            return 0.0
        misplaced = len(_FINAL_INSIDE.findall(text)) / len(letters)
        return (
            0.5 * len(own) / len(letters)
            + 0.5 * min(1.0, frequent / 0.85)
            - mixed / max(len(words), 1)
            - shouting
            - misplaced
        )

    return judge


def _thai(text: str) -> float:
    letters = [character for character in text if character > "\x7f" and character not in SIGNS]
    own = [character for character in letters if "\u0e01" <= character <= "\u0e5b"]
    runs = re.findall(r"[\u0e01-\u0e5b]{4,}", text)
    # A mark stands above a consonant, never at the start or above another vowel sign.
    wrong = len(
        re.findall(r"(?<![\u0e01-\u0e2e\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]", text)
    )
    if not own or not runs:
        return 0.0
    frequent = sum(letter in THAI_COMMON for letter in own) / len(letters)
    return 0.5 * len(own) / len(letters) + 0.5 * min(1.0, frequent / 0.85) - wrong / len(own)


def _chinese(common: frozenset[str]) -> Callable[[str], float]:
    def judge(text: str) -> float:
        characters = [character for character in text if character > "\x7f" and character not in SIGNS]
        if not characters:
            return 0.0
        ideographs = [character for character in characters if "\u4e00" <= character <= "\u9fff"]
        frequent = sum(character in common for character in ideographs) / len(characters)
        return 0.5 * len(ideographs) / len(characters) + 0.5 * min(1.0, frequent / 0.45) - _glued(text)

    return judge


def _japanese(text: str) -> float:
    characters = [character for character in text if character > "\x7f" and character not in SIGNS]
    if not characters:
        return 0.0
    kana = sum("\u3041" <= character <= "\u30fa" for character in characters)
    half_width = sum("\uff61" <= character <= "\uff9f" for character in characters)
    ideographs = sum("\u4e00" <= character <= "\u9fff" for character in characters)
    fitting = (kana + ideographs) / len(characters)
    return 0.5 * fitting + 0.5 * min(1.0, kana / len(characters) / 0.25) - half_width / len(characters) - _glued(text)


def _korean(text: str) -> float:
    characters = [character for character in text if character > "\x7f" and character not in SIGNS]
    if not characters:
        return 0.0
    hangul = [character for character in characters if "\uac00" <= character <= "\ud7a3"]
    # The 2,350 syllables of the standard are a fifth of Unicode's; the others that EUC-KR holds are rare.
    common = sum(_is_standard(character) for character in hangul)
    return 0.5 * len(hangul) / len(characters) + 0.5 * common / len(characters) - _glued(text)


def _is_standard(character: str) -> bool:
    try:
        return len(character.encode("euc_kr")) == _TWO_BYTES
    except UnicodeEncodeError:
        return False


def _glued(text: str) -> float:
    """How often a single ideograph occurs within a Latin word: the mark of accents read as half of a character."""
    inside = len(re.findall(r"[a-z][\u3041-\ud7a3\uff61-\uff9f]|[\u3041-\ud7a3\uff61-\uff9f][a-z]", text))
    wide = sum(character > "\u3000" for character in text)
    return min(1.0, inside / wide) if wide else 1.0


_FAMILIES = (
    ("latin", (("cp1252", _latin("western")), ("cp1250", _latin("central")), ("iso8859-2", _latin("central")))),
    ("turkish", (("cp1254", _latin("turkish")),)),
    ("baltic", (("cp1257", _latin("baltic")),)),
    (
        "cyrillic",
        tuple((name, _alphabetic(CYRILLIC_COMMON, "CYRILLIC")) for name in ("cp1251", "koi8-r", "cp866", "iso8859-5")),
    ),
    ("greek", (("cp1253", _alphabetic(GREEK_COMMON, "GREEK")), ("iso8859-7", _alphabetic(GREEK_COMMON, "GREEK")))),
    ("hebrew", (("cp1255", _alphabetic(HEBREW_COMMON, "HEBREW")),)),
    ("arabic", (("cp1256", _alphabetic(ARABIC_COMMON, "ARABIC")),)),
    ("thai", (("cp874", _thai),)),
    ("japanese", (("cp932", _japanese), ("euc_jp", _japanese), ("iso2022_jp", _japanese))),
    ("korean", (("cp949", _korean),)),
    ("chinese", (("gb18030", _chinese(SIMPLIFIED)), ("big5hkscs", _chinese(TRADITIONAL)))),
)
_JUDGES = tuple(pair for _, pairs in _FAMILIES for pair in pairs)
_FAMILY = {name: family if family == "latin" else name for family, pairs in _FAMILIES for name, _ in pairs}
