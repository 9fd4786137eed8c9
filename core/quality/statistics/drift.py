"""Whether the words of recent inputs have the distribution of a reference: maximum mean discrepancy, by permutation.

Source: A. Gretton, K. M. Borgwardt, M. J. Rasch, B. Schölkopf and A. Smola, "A kernel two-sample test", J. Mach. Learn.
Res. 13 (2012). The kernel is the product of two histograms of square roots (`core.quality.reading.words_of`), so that
the discrepancy is the distance between the mean histograms. Under the hypothesis that nothing changed, jobs are
exchangeable: the distance is compared with that of random divisions of the same jobs. No embedding model is used, so
a change of meaning with the same words is not detected.

Plain Python, because the dispatcher's image holds no numpy. Histograms are sparse, and a division costs about half a
millisecond.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

REFERENCE_JOBS = 500
WINDOW_JOBS = 250
# The number of new jobs between tests: ten tests within 500 jobs.
EVERY_JOBS = 50
# Larger than all of these: a chance of 1 in 200 per test, so at most 5 % within 500 calm jobs.
PERMUTATIONS = 199
_SCALE = 255
# The nonzero part of a histogram: its buckets and their values.
_Sparse = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Drift:
    """The result of a test: the squared distance, the largest one by chance, and the indexes of the unlikeliest inputs.

    Divisions are tried until one is as far apart, so `by_chance` is the largest only for a drift.
    """

    distance: float
    by_chance: float
    unlikeliest: Sequence[int]

    @property
    def is_drift(self) -> bool:
        """Whether no random division of the jobs is as far apart."""
        return self.distance > self.by_chance


def compare(reference: Sequence[bytes], window: Sequence[bytes], *, seed: int, cases: int = 10) -> Drift:
    """Compare histograms of `words_of`; `unlikeliest` are indexes in `window`, the most unlike the reference first.

    Jobs are divided at random from `seed`, so that the same data give the same result.
    """
    buckets = len(window[0])
    jobs = [_sparse(each) for each in (*reference, *window)]
    whole = _sum(jobs, buckets)
    in_window, in_reference = len(window), len(reference)

    def apart(chosen: Iterable[_Sparse]) -> list[int]:
        # With the sum s of a window and t of all: s / w - (t - s) / r, times w r, which keeps it exact.
        return [
            part * (in_window + in_reference) - all_of_it * in_window
            for part, all_of_it in zip(_sum(chosen, buckets), whole, strict=True)
        ]

    direction = apart(jobs[in_reference:])
    distance, by_chance = _square(direction), -1
    rng = random.Random(seed)  # noqa: S311 - not a secret
    for _ in range(PERMUTATIONS):
        by_chance = max(by_chance, _square(apart(rng.sample(jobs, in_window))))
        if by_chance >= distance:
            break
    unlike = [sum(value * direction[bucket] for bucket, value in job) for job in jobs[in_reference:]]
    places = sorted(range(in_window), key=lambda place: -unlike[place])[:cases]
    unit = (_SCALE * in_window * in_reference) ** 2
    return Drift(distance / unit, by_chance / unit, places)


def _sparse(histogram: bytes) -> _Sparse:
    return [(bucket, value) for bucket, value in enumerate(histogram) if value]


def _sum(jobs: Iterable[_Sparse], buckets: int) -> list[int]:
    sums = [0] * buckets
    for job in jobs:
        for bucket, value in job:
            sums[bucket] += value
    return sums


def _square(vector: Iterable[int]) -> int:
    return sum(each * each for each in vector)
