"""Measures of a ranking against graded judgments, and the confidence interval of their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from random import Random
from statistics import fmean

RESAMPLES = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over queries with the ends of its confidence interval."""

    value: float
    low: float
    high: float


def ndcg(grades: Mapping[str, int], ranking: Sequence[str], depth: int) -> float:
    """Normalized discounted cumulative gain of the first `depth` documents, between 0 and 1.

    `grades` are the judged documents' relevance; an unjudged document counts as 0. The gain is the grade itself and the
    discount ``log2(rank + 1)``, as in trec_eval and BEIR (Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of
    IR Techniques", TOIS 2002). 0 when nothing is relevant.
    """
    gained = _discounted([max(0, grades.get(document, 0)) for document in ranking[:depth]])
    ideal = _discounted(sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:depth])
    return gained / ideal if ideal > 0 else 0.0


def recall(grades: Mapping[str, int], ranking: Sequence[str], depth: int) -> float:
    """The share of the relevant documents (grade above 0) that are among the first `depth`; 0 when none is relevant."""
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:depth])) / len(relevant) if relevant else 0.0


def bootstrap_mean(values: Sequence[float], *, seed: int = 0) -> Mean:
    """The mean of `values` with its 95 % percentile interval over resampled queries (Efron 1979).

    Reproducible for one `seed`. Raises ValueError for no values.
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    draw = Random(seed)  # noqa: S311 - resampling, not secrecy
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return Mean(fmean(values), means[tail], means[-tail - 1])


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))
