"""The thresholds of `core.quality.statistics.thresholds`: ``python -m tests.evals.quality.calibration`` prints them.

The largest statistic in 500 calm jobs, with a baseline that was estimated from so many jobs, is drawn many times; the
threshold is what it exceeds in 0.45 % of the series (of a mean, in each of two directions, in 0.225 %). With about ten
watched signals that is 4.5 % a version at most, which leaves room for the error of the simulation.
"""

import math
import sys
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from core.quality.statistics import cusum, thresholds

SERIES, JOBS, ALARMS = 20_000, 500, 0.0045
_Floats = NDArray[np.float32]


def largest_of_rate(rng: np.random.Generator, share: float, baseline_jobs: int) -> _Floats:
    """The largest statistic of each series of tosses that are calm at `share`."""
    found = (rng.binomial(baseline_jobs, share, SERIES) + 0.5) / (baseline_jobs + 1)
    good = np.clip(found, 0.02, 0.98)
    worse = np.maximum(good - cusum.SHIFT, good / 2)
    success = np.log(worse / good).astype(np.float32)
    failure = np.log((1 - worse) / (1 - good)).astype(np.float32)
    return _largest(np.where(rng.random(SERIES, dtype=np.float32) < share, success, failure) for _ in range(JOBS))


def largest_of_mean(rng: np.random.Generator, baseline_jobs: int, *, is_heavy: bool) -> _Floats:
    """The same of values that are normal, or Student's t with 5 degrees of freedom."""

    def draw(*size: int) -> _Floats:
        if is_heavy:
            return (rng.standard_t(5, size) / math.sqrt(5 / 3)).astype(np.float32)
        return rng.standard_normal(size, dtype=np.float32)

    means, deviations = np.empty(SERIES, np.float32), np.empty(SERIES, np.float32)
    for begin in range(0, SERIES, 500):
        baseline = draw(500, baseline_jobs)
        means[begin : begin + 500] = baseline.mean(axis=1)
        deviations[begin : begin + 500] = baseline.std(axis=1, ddof=1)
    shift = np.float32(cusum.SHIFT_DEVIATIONS)
    return _largest(
        shift * np.clip((draw(SERIES) - means) / deviations, -4, 4) - shift * shift / 2 for _ in range(JOBS)
    )


def _largest(steps: Iterable[_Floats]) -> _Floats:
    statistic, largest = np.zeros(SERIES, np.float32), np.zeros(SERIES, np.float32)
    for step in steps:
        statistic = np.maximum(0, statistic + step)
        np.maximum(largest, statistic, out=largest)
    return largest


def main() -> int:
    """Print the tables, rounded up."""
    rng = np.random.default_rng(7)
    for jobs in thresholds.JOBS:
        row = [np.quantile(largest_of_rate(rng, share, jobs), 1 - ALARMS) for share in thresholds.SHARES]
        sys.stdout.write(f"{jobs}: {', '.join(f'{math.ceil(each * 10) / 10:.1f}' for each in row)}\n")
        sys.stdout.flush()
    for jobs in thresholds.JOBS:
        both = [largest_of_mean(rng, jobs, is_heavy=is_heavy) for is_heavy in (False, True)]
        found = max(np.quantile(each, 1 - ALARMS / 2) for each in both)
        sys.stdout.write(f"mean, {jobs}: {math.ceil(float(found) * 10) / 10:.1f}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
