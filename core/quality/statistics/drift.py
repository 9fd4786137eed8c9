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

import numpy as np

REFERENCE_JOBS = 500
WINDOW_JOBS = 250
# A test after so many new jobs: ten tests within 500 jobs.
EVERY_JOBS = 50
# What rounding makes of inputs that are all the same.
_ROUNDING = 1e-6
# Larger than all of these: a chance of 1 in 200 a test, so at most 5 % within 500 calm jobs.
PERMUTATIONS = 199


@dataclass(frozen=True, slots=True)
class Drift:
    """What a test found: the squared distance, the largest one by chance, and the places of the unlikeliest inputs."""

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
    divisions = np.zeros((1 + PERMUTATIONS, len(jobs)), np.float32)
    divisions[0, len(reference) :] = 1
    for row in divisions[1:]:
        row[rng.choice(len(jobs), len(window), replace=False)] = 1
    # For a division with the windows' sum s of all jobs' sum t: s / w - (t - s) / r.
    whole = jobs.sum(axis=0)
    sums = divisions @ jobs
    apart = sums * (1 / len(window) + 1 / len(reference)) - whole / len(reference)
    distances = np.einsum("ij,ij->i", apart, apart)
    unlike = jobs[len(reference) :] @ apart[0]
    places = np.argsort(-unlike, kind="stable")[:cases]
    return Drift(float(distances[0]), float(distances[1:].max()), [int(place) for place in places])
