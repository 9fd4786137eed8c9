"""Whether the words of recent inputs are those of a reference: maximum mean discrepancy, by permutation.

Source: A. Gretton, K. M. Borgwardt, M. J. Rasch, B. Schölkopf and A. Smola, "A kernel two-sample test", J. Mach. Learn.
Res. 13 (2012). The kernel is the product of two histograms of square roots (`core.quality.reading.words_of`), so that
the discrepancy is the distance between the mean histograms. Under the hypothesis that nothing changed, jobs can change
places: the distance is compared with that of random divisions of the same jobs. No embedding model is asked: what two
texts say in different words of the same kind is not seen.

Needs numpy, which the dispatcher has and the API does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFERENCE_JOBS = 500
WINDOW_JOBS = 250
# A test after so many new jobs: ten tests within 500 jobs.
EVERY_JOBS = 50
_TRIED_AT_ONCE = 20
# What rounding makes of inputs that are all the same.
_ROUNDING = 1e-6
# Larger than all of these: a chance of 1 in 200 a test, so at most 5 % within 500 calm jobs.
PERMUTATIONS = 199


@dataclass(frozen=True, slots=True)
class Drift:
    """What a test found: the squared distance, the largest one by chance, and the places of the unlikeliest inputs.

    Chance is tried until it comes further apart, so that `by_chance` is the largest only of a drift.
    """

    distance: float
    by_chance: float
    unlikeliest: Sequence[int]

    @property
    def is_drift(self) -> bool:
        """Whether no random division of the jobs is as far apart."""
        return self.distance > self.by_chance + _ROUNDING


def compare(reference: Sequence[bytes], window: Sequence[bytes], *, seed: int, cases: int = 10) -> Drift:
    """Compare histograms of `words_of`; `unlikeliest` are places in `window`, the most unlike the reference first.

    Jobs are divided at random from `seed`, so that the same data give the same answer.
    """
    stored = np.frombuffer(b"".join((*reference, *window)), np.uint8)
    jobs = stored.reshape(len(reference) + len(window), -1).astype(np.float32) / np.float32(255)
    rng = np.random.default_rng(seed)
    expected = jobs.sum(axis=0) / np.float32(len(reference))

    def apart(divisions: "NDArray[np.float32]") -> "NDArray[np.float32]":
        # With the sum s of a window and t of all: s / w - (t - s) / r.
        sums = divisions @ jobs
        found: NDArray[np.float32] = sums * np.float32(1 / len(window) + 1 / len(reference)) - expected
        return found

    given = np.zeros((1, len(jobs)), np.float32)
    given[0, len(reference) :] = 1
    direction = apart(given)[0]
    distance, by_chance, left = float(direction @ direction), 0.0, PERMUTATIONS
    # What is no drift is beaten by one of the first divisions, and the rest need not be tried.
    while left and by_chance <= distance:
        divisions = np.zeros((min(left, _TRIED_AT_ONCE), len(jobs)), np.float32)
        for row in divisions:
            row[rng.permutation(len(jobs))[: len(window)]] = 1
        found = apart(divisions)
        by_chance = max(by_chance, float(np.einsum("ij,ij->i", found, found).max()))
        left -= len(divisions)
    places = np.argsort(-(jobs[len(reference) :] @ direction), kind="stable")[:cases]
    return Drift(distance, by_chance, [int(place) for place in places])
