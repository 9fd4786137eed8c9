"""The two linear models over the features: which candidate comes first, and how likely the first one answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction.evidence import FEATURES
from core.gateway.extraction.ranking import allowed_by_rules, beside_others, is_shown_beside

_IS_ROW = FEATURES.index("is_row")
_RANK = FEATURES.index("closeness_rank")
_CLOSENESS, _OF_PASSAGE = FEATURES.index("closeness"), FEATURES.index("closeness_passage")
_RANKER_DECAY, _VERIFIER_DECAY = 3.0, 3.3
# What rows add to the weights of all moves less freely.
_ROWS_SCALE = 0.7
_STEPS, _RATE = 400, 0.05
_FOLDS = 5
# A question counts half when what answers it was taken out, as it then stands there a second time.
_WITHHELD_WEIGHT = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """The candidates of a question: their features, which of them answer, the passage of each; `source` is a text."""

    source: str
    question: str
    features: Floats
    answers: NDArray[np.bool_]
    passages: NDArray[np.int64]

    def without_answers(self) -> "Example | None":
        """The same question where nothing answers any more; None when nothing is left."""
        kept = ~self.answers
        if not kept.any() or kept.all():
            return None
        features, passages = self.features[kept].copy(), self.passages[kept]
        order = np.argsort(-features[:, _CLOSENESS])
        places = np.empty(len(order))
        places[order] = np.arange(len(order))
        features[:, _RANK] = 1 / (1 + places)
        for passage in np.unique(passages):
            here = passages == passage
            features[here, _OF_PASSAGE] = max(0.0, features[here, _CLOSENESS].max())
        return replace(self, features=features, answers=self.answers[kept], passages=passages)


@dataclass(frozen=True, slots=True)
class Scale:
    """What makes features comparable."""

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, rows: Floats) -> "Scale":
        """That of the given rows."""
        return cls(rows.mean(axis=0), rows.std(axis=0) + 1e-6)

    def __call__(self, rows: Floats) -> Floats:
        """The rows in multiples of the deviation."""
        return (rows - self.mean) / self.deviation


def fit_ranker(examples: Sequence[Example]) -> Floats:
    """One weight for each feature: the answers of a question are made more likely than its other candidates."""
    answered = [example for example in examples if example.answers.any()]
    scale = Scale.of(np.concatenate([example.features for example in examples]))
    rows = np.concatenate([scale(example.features) for example in answered])
    right = np.concatenate([example.answers for example in answered])
    lengths = [len(example.answers) for example in answered]
    begins = np.cumsum([0, *lengths[:-1]])
    of = np.repeat(np.arange(len(answered)), lengths)

    def gradient(weights: Floats) -> Floats:
        scores = rows @ weights
        scores -= np.maximum.reduceat(scores, begins)[of]
        shares = np.exp(scores)
        shares /= np.add.reduceat(shares, begins)[of]
        among = np.where(right, shares, 0) + 1e-12 * right
        among /= np.add.reduceat(among, begins)[of]
        return rows.T @ (shares - among) + _RANKER_DECAY * weights

    return _descend(gradient, rows.shape[1], len(answered)) / scale.deviation


def fit_verifier(rows: Floats, right: NDArray[np.bool_], counts: Floats) -> tuple[Floats, Floats, float]:
    """Weights, what they add for rows of tables, and intercept of a logistic regression.

    `counts` says how much each of `rows` counts.
    """
    scale, size = Scale.of(rows), rows.shape[1]
    scaled = scale(rows)
    of_rows = _ROWS_SCALE * scaled * rows[:, [_IS_ROW]]
    seen = np.concatenate([scaled, of_rows, np.ones((len(rows), 1))], axis=1)
    decay = np.array([_VERIFIER_DECAY] * 2 * size + [1e-6])
    weights = np.zeros(seen.shape[1])
    for _ in range(30):  # Newton's method
        likely = 1 / (1 + np.exp(-seen @ weights))
        gradient = seen.T @ (counts * (likely - right)) + decay * weights
        curvature = (seen * (counts * likely * (1 - likely))[:, None]).T @ seen + np.diag(decay)
        weights -= np.linalg.solve(curvature, gradient)
    found, added = weights[:size] / scale.deviation, _ROWS_SCALE * weights[size:-1] / scale.deviation
    intercept = float(weights[-1] - found @ scale.mean)
    # A row has no intercept of its own: what it would be is a weight of being one.
    found[_IS_ROW] -= added @ scale.mean
    return found, added, intercept


def best_beside_others(examples: Sequence[Example], ranker: Floats) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """What the verifier sees of each example, whether what would be shown answers, and how much that counts."""
    rows, right, counts = [], [], []
    for example in examples:
        left = example.without_answers()
        for each, count in ((example, 1.0), *(((left, _WITHHELD_WEIGHT),) if left else ())):
            scores, allowed = each.features @ ranker, allowed_by_rules(each.features)
            if not allowed.any():
                continue
            first, *shown = _shown(each, np.where(allowed, scores, -np.inf))
            rows.append(np.concatenate([each.features[first], beside_others(scores, {first}, allowed)]))
            right.append(bool(each.answers[[first, *shown]].any()))
            counts.append(count)
    return np.array(rows), np.array(right), np.array(counts)


def _shown(example: Example, scores: Floats) -> list[int]:
    """The first candidate, and the second where it is shown with it."""
    first, *others = np.argsort(-scores, kind="stable").tolist()
    sentences = [n for n in others[:1] if not example.features[[first, n], _IS_ROW].any()]
    passages = example.passages
    return [first] + [
        n
        for n in sentences
        if is_shown_beside(scores[first] - scores[n], is_same_passage=bool(passages[n] == passages[first]))
    ]


def out_of_fold(examples: Sequence[Example]) -> tuple[Floats, NDArray[np.bool_], Floats, NDArray[np.int64]]:
    """As `best_beside_others`, each text by a ranker that was fitted on others; and the fold of each."""
    sources = sorted({example.source for example in examples})
    fold = {source: number % _FOLDS for number, source in enumerate(sources)}
    parts, folds = [], []
    for number in range(_FOLDS):
        ranker = fit_ranker([example for example in examples if fold[example.source] != number])
        parts.append(best_beside_others([each for each in examples if fold[each.source] == number], ranker))
        folds.append(np.full(len(parts[-1][1]), number))
    rows, right, counts = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(right), np.concatenate(counts), np.concatenate(folds)


def _descend(gradient: Callable[[Floats], Floats], size: int, count: int) -> Floats:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) over all at once."""
    weights, first, second = np.zeros(size), np.zeros(size), np.zeros(size)
    for step in range(1, _STEPS + 1):
        slope = gradient(weights) / count
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        weights -= _RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights
