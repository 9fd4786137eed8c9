"""The confidence of a value: how often values that were found like it are right, as measured.

Two things may be wrong: the place (its evidence is a strength between 0 and 1) and the reading of its letters. The
curves were fitted to photographed receipts and degraded copies of them; `tests/evals/multimodal/receipts.py` measures
how well they fit others.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pipelines.multimodal.filling.kinds import AMOUNTS, Kind

# Below this a value is more often wrong than right, or nearly so: it becomes null.
SURE_ENOUGH = 0.4

Curve = tuple[tuple[float, float], ...]
_PLACES: Mapping[Kind, Curve] = {
    **dict.fromkeys(AMOUNTS, ((0.0, 0.0), (0.3, 0.3), (0.45, 0.8), (0.8, 0.96), (1.0, 0.99))),
    Kind.DATE: ((0.0, 0.0), (0.3, 0.2), (0.5, 0.85), (0.8, 0.97), (1.0, 0.99)),
    Kind.SELLER: ((0.0, 0.0), (0.2, 0.2), (0.4, 0.7), (0.8, 0.96), (1.0, 0.98)),
    Kind.ADDRESS: ((0.0, 0.0), (0.3, 0.4), (0.5, 0.75), (1.0, 0.96)),
    Kind.CURRENCY: ((0.0, 0.0), (0.5, 0.6), (1.0, 0.98)),
}
# A figure is short, and mostly right even where the reader is unsure; of a long text every letter has to be right.
_FIGURE: Curve = ((0.0, 0.2), (0.6, 0.85), (0.9, 0.97), (1.0, 1.0))
_TEXT: Curve = ((0.0, 0.1), (0.85, 0.35), (0.95, 0.6), (0.98, 0.8), (0.99, 0.93), (1.0, 1.0))
_TEXTS = frozenset({Kind.SELLER, Kind.ADDRESS})


def confidence_of(kind: Kind, strength: float, lines: Sequence[Mapping[str, Any]]) -> float:
    """The share of right values among those of this `kind` and `strength`, read from `lines`."""
    read = min((float(line["confidence"]) for line in lines), default=0.0)
    place = _at(_PLACES[kind], max(0.0, min(1.0, strength)))
    return round(place * _at(_TEXT if kind in _TEXTS else _FIGURE, read), 3)


def _at(curve: Curve, place: float) -> float:
    for (left, low), (right, high) in pairwise(curve):
        if place <= right:
            return low + (high - low) * (place - left) / (right - left)
    return curve[-1][1]
