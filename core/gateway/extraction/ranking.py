"""Which sentences and rows answer the question, and how likely the best of them does.

A linear ranker orders the candidates. A logistic verifier compares the best with its runner-up and gives the
probability that the quotes shown answer the question: the best, and a second sentence that scores almost as well. Both
weigh the interpretable features of `evidence`; ``weights.json`` documents their origin. Four things rule a candidate
out whatever its probability: another kind of answer than was asked for, a name or number of the question that is
missing there and in the headings, a term that only states from when time is counted, and a statement about the
counterpart: "north" for "south".
"""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction.evidence import FEATURES, Unit, gather
from core.gateway.extraction.sentences import Sentence
from core.gateway.models import Embedder, Passage

_WEIGHTS = json.loads(Path(__file__).with_name("weights.json").read_text(encoding="utf-8"))
_RANKER = np.array([_WEIGHTS["ranker"][name] for name in FEATURES], dtype=np.float64)
BESIDE = ("score", "margin", "share", "share_of_two")
_VERIFIER = np.array([_WEIGHTS["verifier"][name] for name in (*FEATURES, *BESIDE)], dtype=np.float64)
# The weights used instead where the best candidate is a row.
_OF_ROWS = np.array([_WEIGHTS["verifier_of_rows"][name] for name in (*FEATURES, *BESIDE)], dtype=np.float64)
_INTERCEPT: float = _WEIGHTS["intercept"]
_FORBIDDEN = [
    FEATURES.index(name) for name in ("kind_misfits", "names_unsaid", "numbers_unsaid", "counted_from", "contradicts")
]
_IS_ROW, _COVER = FEATURES.index("is_row"), FEATURES.index("cover")
_CLOSENESS, _COVER_PASSAGE = FEATURES.index("closeness"), FEATURES.index("cover_passage")
_COVERED_SHARE = 0.3
_MAX_ROWS = 4
# A second sentence is shown when the ranking can hardly separate it from the first (a score is a log-odds). One of the
# same passage usually belongs to the first.
_BESIDE_WITHIN, _BESIDE_OF_PASSAGE_WITHIN = 0.5, 1.5
# The margin of a single candidate.
_NO_OTHER = 5.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates with their scores (log-odds against each other): first those that may be asserted, each best first.

    `best` is the first with the rows of its table that answer as well; `sentences` are all of each passage;
    `probability` is how likely the best answers; `relatedness` (0 to 1.3) is that of the passages to the question.
    """

    units: tuple[Unit, ...]
    scores: tuple[float, ...]
    allowed: tuple[bool, ...]
    best: tuple[Unit, ...]
    sentences: tuple[tuple[Sentence, ...], ...]
    probability: float
    relatedness: float


def rank_sentences(question: str, passages: Sequence[Passage], embedder: Embedder) -> Ranking:
    """Rank the sentences and rows of `passages`, which are in order of relevance."""
    evidence = gather(question, passages, embedder)
    if not evidence.units:
        return Ranking((), (), (), (), evidence.sentences, 0.0, 0.0)
    features = evidence.features.astype(np.float64)
    scores = features @ _RANKER
    allowed = allowed_by_rules(features)
    order = np.lexsort((-scores, ~allowed)).tolist()
    alike = _rows_alike(order[0], evidence.units, features[:, _COVER], allowed)
    return Ranking(
        units=tuple(evidence.units[n] for n in order),
        scores=tuple(float(scores[n]) for n in order),
        allowed=tuple(bool(allowed[n]) for n in order),
        best=tuple(sorted((evidence.units[n] for n in alike), key=lambda unit: unit.index)),
        sentences=evidence.sentences,
        probability=_probability(features[order[0]], beside_others(scores, alike, allowed))
        if allowed[order[0]]
        else 0.0,
        relatedness=float(features[:, _CLOSENESS].max() + _COVERED_SHARE * features[:, _COVER_PASSAGE].max()),
    )


def _rows_alike(
    first: int, units: Sequence[Unit], covers: NDArray[np.float64], allowed: NDArray[np.bool_]
) -> frozenset[int]:
    """The first candidate and, if it is a row, the rows of its table that cover as much of the question."""
    best = units[first]
    if best.row is None:
        return frozenset((first,))
    alike = frozenset(
        n
        for n, unit in enumerate(units)
        if unit.row is not None
        and allowed[n]
        and (unit.passage, unit.row.keys, unit.columns) == (best.passage, best.row.keys, best.columns)
        and covers[n] >= covers[first] - 1e-6
    )
    return alike if first in alike and len(alike) <= _MAX_ROWS else frozenset((first,))


def allowed_by_rules(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which candidates may be asserted: those that no rule excludes."""
    forbidden: NDArray[np.bool_] = np.any(features[:, _FORBIDDEN] > 0, axis=1)
    return ~forbidden


def beside_others(
    scores: NDArray[np.float64], alike: Collection[int], allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Compare the best allowed candidate with the allowed ones that are not `alike`.

    Returns its score, its margin, and the shares of the likelihood that the best one and the best two have.
    """
    others = [n for n in range(len(scores)) if allowed[n] and n not in alike]
    ordered = np.concatenate([[scores[allowed].max()], np.sort(scores[others])[::-1]])
    margin = float(ordered[0] - ordered[1]) if len(ordered) > 1 else _NO_OTHER
    shares = np.exp(ordered - ordered.max())
    shares /= shares.sum()
    return np.array([ordered[0], margin, shares[0], shares[:2].sum()])


def is_shown_beside(gap: float, *, is_same_passage: bool) -> bool:
    """Whether the second sentence is shown with the first, whose score is higher by `gap`."""
    return gap <= (_BESIDE_OF_PASSAGE_WITHIN if is_same_passage else _BESIDE_WITHIN)


def _probability(best: NDArray[np.float64], beside: NDArray[np.float64]) -> float:
    seen = np.concatenate([best, beside])
    odds = float(seen @ _VERIFIER + best[_IS_ROW] * (seen @ _OF_ROWS)) + _INTERCEPT
    return 1 / (1 + math.exp(-max(-40.0, min(40.0, odds))))
