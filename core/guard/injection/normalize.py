"""Undoes the disguises of a text: one plain form, and further readings of content encoded in it.

All of this takes time proportional to the text. Decoded content is bounded in number, depth and size.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from core.guard.injection.lexicon import ENGLISH, LONGEST_WORD, SEGMENTS

MAX_VIEWS = 10
MAX_DEPTH = 3
MAX_DECODED_CHARS = 20_000
MIN_DECODED_CHARS = 8
MAX_BYTE = 255
# How much of a text is examined to decide whether it is in another order or alphabet.
_SAMPLE_CHARS = 4_000

_INVISIBLE = dict.fromkeys(
    (
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x180E, 0x3164, 0xFEFF),
    )
)
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
_NO_TAGS = dict.fromkeys(range(0xE0000, 0xE0080))
_ALIKE: dict[int, int | str] = {
    # Cyrillic, Greek, Armenian, small capitals and upside-down letters that stand for Latin ones.
    **str.maketrans(
        "абвгдеёзийклмнорстухцчьыѕіїјґһӏԁԛԝАВЕЅІЈКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "a6brdee3nnknmhopctyxu4bbsiijrhldqwABESIJKMHOPCTYXABEZHIKMNOPTYX",
    ),
    **str.maketrans("αβγεηικλνορστυχωіցոսօհѵ", "abyenikavopotuxwignuohv"),
    **str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡı", "abcdefghijklmnoprstuvwyzagi"),
    **str.maketrans("ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ", "acefghijkmrtvwy"),
    **{0x1F1E6 + place: chr(ord("a") + place) for place in range(26)},
    **{start + place: chr(ord("a") + place) for start in (0x1F130, 0x1F150, 0x1F170) for place in range(26)},
}
_LEET = str.maketrans("013456789@$!|€+", "oieasgtbgasiiet")
_LEET_WORD = re.compile(r"[a-z0-9@$!|€+]+", re.IGNORECASE)
_LEET_PART = re.compile(r"[a-z][0134578@$!|€]{1,4}[a-z]|[0134@$!|€+][a-z]{2}", re.IGNORECASE)
_SPACED = (
    re.compile(r"\b[a-z](?: [a-z0-9@$]){4,}\b", re.IGNORECASE),
    re.compile(r"\b[a-z](?:[-_*~][a-z0-9@$]){2,}\b", re.IGNORECASE),
    re.compile(r"\b[a-z](?:\.[a-z0-9@$]){2,}\b", re.IGNORECASE),
    re.compile(r"\b[a-z](?:[|/\\,][a-z0-9@$]){2,}\b", re.IGNORECASE),
)
_BASE64 = re.compile(r"[a-z0-9+/_-]{16,}={0,2}", re.IGNORECASE)
_HEX = re.compile(r"(?:(?:\\x|0x)?[0-9a-f]{2}[ :,]?){8,}", re.IGNORECASE)
_BINARY = re.compile(r"(?:[01]{8}[ ,]?){5,}")
_DECIMAL = re.compile(r"(?:[0-9]{2,3}[ ,]{1,2}){7,}[0-9]{2,3}")
_ESCAPE = re.compile(r"(?:\\u[0-9a-f]{4}){3,}", re.IGNORECASE)
_WORD = re.compile(r"[a-z']+")
_HEX_DIGITS = frozenset("0123456789abcdef")


def plain(text: str) -> str:
    """The text in compatibility form, without invisible characters, with look-alikes replaced by Latin letters.

    Look-alikes stay where most letters are not Latin: that is another language.
    """
    shown = unicodedata.normalize("NFKC", text.translate(_INVISIBLE).translate(_NO_TAGS))
    if shown.isascii():
        return shown
    latin = shown.translate(_ALIKE)
    before, after = _ascii_letters(shown), _ascii_letters(latin)
    return latin if 2 * before >= after else shown


def fold(text: str) -> str:
    """Lower case, without accents; every run of white space is one space."""
    if not text.isascii():
        text = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return " ".join(text.casefold().split())


def views(text: str) -> list[str]:
    """The plain text and its other readings, at most `MAX_VIEWS`, without repeats."""
    # Expressions do not accept halves of surrogate pairs.
    text = text.encode(errors="replace").decode()
    found = [plain(text)]
    hidden = "".join(_TAGS[ord(each)] for each in text if ord(each) in _TAGS)
    level = [*found, *([hidden] if len(hidden) >= MIN_DECODED_CHARS else [])]
    found = list(level)
    budget = max(MAX_DECODED_CHARS, 2 * len(text))
    for _ in range(MAX_DEPTH):
        following = []
        for each in level:
            for reading in _readings(each):
                if len(found) >= MAX_VIEWS or len(reading) > budget:
                    return found
                if reading not in found:
                    budget -= len(reading)
                    found.append(reading)
                    following.append(reading)
        level = following
    return found


def _readings(text: str) -> Iterator[str]:
    if "&" in text and (unescaped := html.unescape(text)) != text:
        yield unescaped
    if text.count("%") > 2 and (unquoted := unquote(text, errors="ignore")) != text:  # noqa: PLR2004 - a few are prices
        yield unquoted
    for encoded, decode in _DECODERS:
        decoded = [value for part in encoded.findall(text)[:MAX_VIEWS] if (value := decode(part)) is not None]
        if decoded:
            yield " ".join(decoded)[:MAX_DECODED_CHARS]
    yield from _rearranged(text)
    joined = text
    for spaced in _SPACED:
        joined = spaced.sub(lambda run: _join_letters(run.group()), joined)
    if joined != text:
        yield joined
    if any(_plain_of(word).lower() in SEGMENTS for word in _LEET_WORD.findall(text) if _LEET_PART.search(word)):
        yield _LEET_WORD.sub(lambda word: _plain_of(word.group()), text)


def _rearranged(text: str) -> Iterator[str]:
    """The text in another alphabet or reversed, when that makes more of it English."""
    sample = text[:_SAMPLE_CHARS].lower()
    known = _english(sample)
    rotated = codecs.encode(sample, "rot13")
    if _english(rotated) > known:
        yield codecs.encode(text, "rot13")
    if _english(sample[::-1]) > known:
        yield text[::-1]


def _english(text: str) -> int:
    return sum(len(word) for word in _WORD.findall(text) if word in ENGLISH)


def _plain_of(word: str) -> str:
    return word.translate(_LEET) if _LEET_PART.search(word) else word


def _join_letters(spaced: str) -> str:
    """The letters of a run, split into words of attacks where the letters spell some."""
    letters = "".join(each for each in spaced if each.isalnum() or each in "@$").lower()
    return " " + " ".join(_segments(letters.translate(_LEET))) + " "


def _segments(letters: str) -> list[str]:
    """The longest known word first; letters between known words stay together."""
    words, rest, at = [], "", 0
    while at < len(letters):
        for end in range(min(len(letters), at + LONGEST_WORD), at, -1):
            if letters[at:end] in SEGMENTS:
                words += [rest, letters[at:end]] if rest else [letters[at:end]]
                rest, at = "", end
                break
        else:
            rest += letters[at]
            at += 1
    return [*words, rest] if rest else words


def _as_text(raw: bytes) -> str | None:
    """The bytes as text, unless a person would not write it."""
    try:
        text = raw[:MAX_DECODED_CHARS].decode()
    except UnicodeDecodeError:
        return None
    readable = sum(each.isalpha() or each.isspace() for each in text)
    return text if len(text) >= MIN_DECODED_CHARS and readable >= 0.75 * len(text) else None


def _base64(part: str) -> str | None:
    stripped = part.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _as_text(base64.b64decode(stripped + "=" * (-len(stripped) % 4)))
    except binascii.Error:
        return None


def _hex(part: str) -> str | None:
    digits = [each for each in part.lower().replace("\\x", "").replace("0x", "") if each in _HEX_DIGITS]
    return _as_text(bytes.fromhex("".join(digits[: len(digits) // 2 * 2])))


def _binary(part: str) -> str | None:
    bits = "".join(each for each in part if each in "01")
    return _as_text(bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8)))


def _decimal(part: str) -> str | None:
    codes = [int(each) for each in part.replace(",", " ").split()]
    return _as_text(bytes(codes)) if max(codes) <= MAX_BYTE else None


def _escaped(part: str) -> str | None:
    return _as_text("".join(chr(int(each, 16)) for each in part.split("\\u")[1:]).encode(errors="ignore"))


def _ascii_letters(text: str) -> int:
    return sum(each.isascii() and each.isalpha() for each in text)


_DECODERS: tuple[tuple[re.Pattern[str], Callable[[str], str | None]], ...] = (
    (_BASE64, _base64),
    (_HEX, _hex),
    (_BINARY, _binary),
    (_DECIMAL, _decimal),
    (_ESCAPE, _escaped),
)
