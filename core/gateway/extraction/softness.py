"""Coverage of a question by words of similar meaning where the same words are missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction.terms import Worth
from core.gateway.models import Embedder

_MAX_WORDS = 128
_MIN_LETTERS = 3
_AMONG = 8


@dataclass(frozen=True, slots=True)
class SoftCover:
    """Coverage in which a missing term counts by its similarity to the closest word that is present.

    `share`: as `Worth.share`. `worst`: the largest part that is still missing. `focus`: how dissimilar the thing asked
    for is to everything present.
    """

    share: float
    worst: float
    focus: float


def soft_covers(
    worth: Worth, held_by: Sequence[frozenset[str]], closeness: NDArray[np.float32], embedder: Embedder
) -> list[SoftCover]:
    """The soft coverage of each candidate, given its terms. Only the terms of the closest candidates are compared."""
    nearest = np.argsort(-closeness)[:_AMONG].tolist()
    asked = {term for n in nearest for term in worth.missing(held_by[n]) if term.isalpha()}
    held = list(dict.fromkeys(t for n in nearest for t in sorted(held_by[n]) if t.isalpha() and len(t) >= _MIN_LETTERS))
    held = held[:_MAX_WORDS]
    wanted = sorted(asked)
    likeness = (
        embedder.embed(wanted) @ embedder.embed(held).T if wanted and held else np.zeros((len(wanted), len(held)))
    )
    place = {term: column for column, term in enumerate(held)}
    row_of = {term: row for row, term in enumerate(wanted)}
    found = []
    for around in held_by:
        columns = [place[term] for term in around if term in place]
        share, worst, focus = worth.share(around), 0.0, 0.0
        for term in worth.missing(around):
            best = float(likeness[row_of[term], columns].max()) if term in row_of and columns else 0.0
            best = max(0.0, best)
            share += worth.of(term) * best
            worst = max(worst, worth.rarity(term) * (1 - best))
            if term == worth.focus:
                focus = 1 - best
        found.append(SoftCover(share, worst, focus))
    return found
