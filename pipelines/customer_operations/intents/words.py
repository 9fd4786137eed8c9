"""Words and pieces of words of short messages, as weighted vectors of fixed width.

Words, pairs of neighboring words and character 3- to 5-grams within words (which survive typing errors) are hashed with
a sign into one space (Weinberger et al. 2009, arXiv:0902.2206), weighted by how rare they are among the examples and
scaled to length 1. No vocabulary is kept.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WIDTH = 4096
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_CHARACTERS = (3, 4, 5)


class WordVectors:
    """The vectors, with the rarity of the pieces in `examples`."""

    def __init__(self, examples: Sequence[str]) -> None:
        counted = _counts(examples)
        occurs = (counted != 0).sum(axis=0)
        self._rarity = (np.log((1 + len(examples)) / (1 + occurs)) + 1).astype(np.float32)
        self.examples = self._scaled(counted)

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors of shape (texts, `WIDTH`); a text without a word is all zeros."""
        return self._scaled(_counts(texts))

    def _scaled(self, counted: NDArray[np.float32]) -> NDArray[np.float32]:
        counted *= self._rarity
        lengths = np.linalg.norm(counted, axis=1, keepdims=True)
        counted /= np.where(lengths == 0, np.float32(1), lengths)
        return counted


def _counts(texts: Sequence[str]) -> NDArray[np.float32]:
    """Signed, damped counts of the hashed pieces of each text."""
    counted = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for row, text in enumerate(texts):
        hashes = np.array([zlib.crc32(piece.encode()) for piece in _pieces(text)], dtype=np.int64)
        if not hashes.size:
            continue
        distinct, times = np.unique(hashes, return_counts=True)
        signs = np.where(distinct >> 31 & 1, 1.0, -1.0)
        np.add.at(counted[row], distinct % WIDTH, (signs * (1 + np.log(times))).astype(np.float32))
    return counted


def _pieces(text: str) -> Iterator[str]:
    words = _WORD.findall(text.lower())
    for word in words:
        yield f"w {word}"
        edged = f" {word} "
        for length in _CHARACTERS:
            for start in range(len(edged) - length + 1):
                yield f"c {edged[start : start + length]}"
    for first, second in pairwise(words):
        yield f"p {first} {second}"
