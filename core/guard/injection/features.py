"""The model's features: hashed words, characters, classes of words and forms, each group scaled to length 1.

Hashing follows Weinberger et al. 2009, arXiv:0902.2206, without signs, as the weights are learned for the buckets.
All of it is arithmetic on arrays: the time is proportional to the text.
"""

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.guard.injection.lexicon import CLASS_OF
from core.guard.injection.rules import FORMS, forms_in

BITS = 19
BUCKETS = 1 << BITS
# Forms and shape have their own indexes after the buckets.
SHAPES = 7
WIDTH = BUCKETS + len(FORMS) + SHAPES
WINDOW_WORDS = 120
STEP_WORDS = 60
MAX_WORD_CHARS = 40
_NEAR = 7
_CHARACTERS = (3, 4)
# The weight of a group relative to words.
_WORDS, _SKIPS, _CHARS, _CLASSES, _FORMS, _SHAPE = 1.0, 0.5, 0.8, 1.0, 0.6, 0.5
_TOKEN = re.compile("[a-z0-9_'\x80-\U0010ffff]+|[^\\sa-z0-9_'\x80-\U0010ffff]+")
_MARK, _QUOTE, _BRACKET = re.compile(r"[^\w ]|_"), re.compile("[\"'`“”]"), re.compile(r"[\[\]{}<>|\\]")
_PRIME = np.uint32(0x01000193)
_FINAL = np.uint32(0x85EBCA6B)


@dataclass(frozen=True, slots=True)
class Row:
    """The features of one window: distinct indexes below `WIDTH`, and their values."""

    places: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def forms(self) -> list[int]:
        """The indexes in `FORMS` of the forms that the window has."""
        named = self.places[self.places >= BUCKETS] - BUCKETS
        return [int(place) for place in named if place < len(FORMS)]


def windows(folded: str) -> list[str]:
    """A folded text in overlapping parts of `WINDOW_WORDS` words; no part of it is left out."""
    words = [
        word[start : start + MAX_WORD_CHARS]
        for word in folded.split(" ")
        for start in range(0, len(word), MAX_WORD_CHARS)
    ]
    last = max(len(words) - WINDOW_WORDS, 0)
    starts = [*range(0, last, STEP_WORDS), last]
    return [" ".join(words[start : start + WINDOW_WORDS]) for start in starts]


def row_of(folded: str) -> Row:
    """The features of a folded text of about a window's length."""
    tokens = _TOKEN.findall(folded)
    hashed = np.array([_hash(token) for token in tokens], dtype=np.uint32)
    classes = np.array([_class(token) for token in tokens], dtype=np.uint32)
    groups = [
        (_WORDS, np.concatenate([_salted(hashed, 1), *(_runs(hashed, length) for length in (2, 3))])),
        (_SKIPS, np.concatenate([_pairs(hashed, distance, 11 + distance) for distance in (2, 3)])),
        (_CHARS, _characters(folded)),
        (_CLASSES, _near_classes(classes, hashed)),
    ]
    places: list[NDArray[np.int32]] = []
    values: list[NDArray[np.float32]] = []
    for weight, found in groups:
        distinct = np.unique(found & np.uint32(BUCKETS - 1)).astype(np.int32)
        places.append(distinct)
        values.append(np.full(len(distinct), weight / max(len(distinct), 1) ** 0.5, np.float32))
    forms = np.array(forms_in(folded), np.int32)
    places += [BUCKETS + forms, BUCKETS + len(FORMS) + np.arange(SHAPES, dtype=np.int32)]
    values += [np.full(len(forms), _FORMS, np.float32), _SHAPE * _shape(folded, tokens, classes)]
    return _merged(np.concatenate(places), np.concatenate(values))


def _merged(places: NDArray[np.int32], values: NDArray[np.float32]) -> Row:
    distinct, inverse = np.unique(places, return_inverse=True)
    return Row(distinct, np.bincount(inverse, values, len(distinct)).astype(np.float32))


@lru_cache(maxsize=20_000)
def _hash(token: str) -> int:
    return zlib.crc32(token.encode(errors="replace"))


@lru_cache(maxsize=20_000)
def _class(token: str) -> int:
    name = CLASS_OF.get(token) or CLASS_OF.get(token.strip("'"))
    return 0 if name is None else _hash(f"class {name}")


def _salted(hashed: NDArray[np.uint32], salt: int) -> NDArray[np.uint32]:
    mixed = (hashed ^ np.uint32(salt * 0x9E3779B1 & 0xFFFFFFFF)) * _FINAL
    return mixed ^ (mixed >> np.uint32(15))


def _runs(hashed: NDArray[np.uint32], length: int) -> NDArray[np.uint32]:
    """Every run of `length` neighbors as one hash."""
    count = len(hashed) - length + 1
    if count <= 0:
        return np.zeros(0, np.uint32)
    mixed = np.full(count, length, np.uint32)
    for place in range(length):
        mixed = (mixed * _PRIME) ^ hashed[place : place + count]
        mixed ^= mixed >> np.uint32(13)
    return _salted(mixed, length)


def _pairs(hashed: NDArray[np.uint32], distance: int, salt: int) -> NDArray[np.uint32]:
    if len(hashed) <= distance:
        return np.zeros(0, np.uint32)
    return _salted((hashed[:-distance] * _PRIME) ^ hashed[distance:], salt)


def _near_classes(classes: NDArray[np.uint32], hashed: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Classes, ordered pairs of classes that are near each other, and each class with its neighboring word."""
    known = classes[classes != 0]
    found = [_salted(np.unique(known), 31), _runs(known, 3) ^ np.uint32(0x5BD1E995)]
    for distance in range(1, _NEAR):
        if len(classes) > distance:
            both = (classes[:-distance] != 0) & (classes[distance:] != 0)
            found.append(_salted((classes[:-distance][both] * _PRIME) ^ classes[distance:][both], 37))
    mixed = np.where(classes != 0, classes, hashed)
    some = (classes[:-1] != 0) | (classes[1:] != 0)
    found.append(_pairs(mixed, 1, 41)[some] if len(mixed) > 1 else found[0])
    either = (classes[:-2] != 0) | (classes[1:-1] != 0) | (classes[2:] != 0)
    found.append((_runs(mixed, 3) ^ np.uint32(0x1B873593))[either] if len(mixed) > 2 else found[0])  # noqa: PLR2004
    return np.concatenate(found)


def _characters(folded: str) -> NDArray[np.uint32]:
    codes = np.frombuffer(f" {folded} ".encode("utf-32-le", errors="replace"), dtype=np.uint32)
    return np.concatenate([_runs(codes, length) ^ np.uint32(0x27D4EB2F) for length in _CHARACTERS])


def _shape(folded: str, tokens: list[str], classes: NDArray[np.uint32]) -> NDArray[np.float32]:
    length, count = max(len(folded), 1), max(len(tokens), 1)
    marks, quotes, brackets = (len(each.findall(folded)) / length for each in (_MARK, _QUOTE, _BRACKET))
    counts = [float((classes == _hash(f"class {name}")).sum()) for name in ("you", "order", "show", "secret")]
    return np.array(
        [min(4 * marks, 1), min(10 * quotes, 1), min(8 * brackets, 1)] + [min(8 * each / count, 1) for each in counts],
        np.float32,
    )
