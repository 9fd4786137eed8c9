"""The two linear models over the features: which candidate comes first, and how likely the first one answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction.evidence import FEATURES
from core.gateway.extraction.ranking import allowed_by_rules, beside_others

_RANK = FEATURES.index("closeness_rank")
_CLOSENESS, _OF_PASSAGE = FEATURES.index("closeness"), FEATURES.index("closeness_passage")
_RANKER_DECAY, _VERIFIER_DECAY = 3.0, 2.0
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


def fit_verifier(rows: Floats, right: NDArray[np.bool_], counts: Floats) -> tuple[Floats, float]:
    """Weights and intercept of a logistic regression; `counts` says how much each row counts."""
    scale = Scale.of(rows)
    scaled = np.concatenate([scale(rows), np.ones((len(rows), 1))], axis=1)
    decay = np.array([_VERIFIER_DECAY] * rows.shape[1] + [1e-6])
    weights = np.zeros(scaled.shape[1])
    for _ in range(30):  # Newton's method
        likely = 1 / (1 + np.exp(-scaled @ weights))
        gradient = scaled.T @ (counts * (likely - right)) + decay * weights
        curvature = (scaled * (counts * likely * (1 - likely))[:, None]).T @ scaled + np.diag(decay)
        weights -= np.linalg.solve(curvature, gradient)
    found = weights[:-1] / scale.deviation
    return found, float(weights[-1] - found @ scale.mean)


def best_beside_others(examples: Sequence[Example], ranker: Floats) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """What the verifier sees of each example, whether the first candidate answers, and how much that counts."""
    rows, right, counts = [], [], []
    for example in examples:
        left = example.without_answers()
        for each, count in ((example, 1.0), *(((left, _WITHHELD_WEIGHT),) if left else ())):
            scores, allowed = each.features @ ranker, allowed_by_rules(each.features)
            if not allowed.any():
                continue
            first = int(np.argmax(np.where(allowed, scores, -np.inf)))
            rows.append(np.concatenate([each.features[first], beside_others(scores, {first}, allowed)]))
            right.append(bool(each.answers[first]))
            counts.append(count)
    return np.array(rows), np.array(right), np.array(counts)


def out_of_fold(examples: Sequence[Example]) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """As `best_beside_others`, each text by a ranker that was fitted on others."""
    sources = sorted({example.source for example in examples})
    fold = {source: number % _FOLDS for number, source in enumerate(sources)}
    parts = []
    for number in range(_FOLDS):
        ranker = fit_ranker([example for example in examples if fold[example.source] != number])
        parts.append(best_beside_others([each for each in examples if fold[each.source] == number], ranker))
    rows, right, counts = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(right), np.concatenate(counts)


def _descend(gradient: Callable[[Floats], Floats], size: int, count: int) -> Floats:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) over all at once."""
    weights, first, second = np.zeros(size), np.zeros(size), np.zeros(size)
    for step in range(1, _STEPS + 1):
        slope = gradient(weights) / count
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        weights -= _RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights
