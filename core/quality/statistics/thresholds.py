"""The evidence at which a change is an alert: calibrated, so that one calm signal alarms in about 0.45 % of 500 jobs.

A job has about ten watched signals, so that a calm version alarms in fewer than 5 % of its first 500 jobs. The tables
are printed by ``python -m tests.evals.quality.calibration``: what the largest `cusum` statistic of 500 calm jobs
exceeds so rarely, with a baseline that was estimated from so many jobs as the row says; ``python -m
tests.evals.quality`` simulates what they promise. That an estimated baseline needs a higher threshold: W. A. Jensen,
L. A. Jones-Farmer, C. W. Champ and W. H. Woodall, "Effects of parameter estimation on control chart properties", J.
Qual. Technol. 38 (2006). Watched for longer, a calm signal raises about one alarm in 100,000 jobs.
"""

from bisect import bisect_right
from itertools import pairwise

BASELINE_MIN = 300
# A longer baseline is cut off: jobs from long before say little about now.
BASELINE_MAX = 8000
JOBS = (300, 500, 1000, 2000, 4000, 8000)
# Above 0.95 the threshold stays: where the baseline came out too good by chance, false alarms are likeliest.
SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
_OF_RATES = (
    (6.8, 5.3, 5.3, 6.0, 7.0, 9.4, 11.4, 11.4),
    (6.1, 4.8, 4.6, 4.9, 6.0, 7.4, 8.7, 8.7),
    (5.6, 4.1, 4.0, 4.3, 5.0, 5.9, 7.2, 7.2),
    (5.1, 3.8, 3.7, 4.0, 4.4, 5.3, 6.3, 6.3),
    (5.1, 3.8, 3.5, 3.8, 4.3, 5.0, 5.8, 5.8),
    (5.1, 3.7, 3.4, 3.8, 4.2, 4.9, 5.8, 5.8),
)
_OF_MEANS = (13.7, 11.2, 9.5, 8.5, 8.5, 8.3)


def of_rate(good: float, baseline_jobs: float) -> float:
    """For a rate or score. `good`: the baseline's share in the direction that an alert is not about."""
    row = _OF_RATES[_row(baseline_jobs)]
    if good <= SHARES[0]:
        return row[0]
    for (low, high), (at_low, at_high) in zip(pairwise(SHARES), pairwise(row), strict=True):
        if good <= high:
            return at_low + (at_high - at_low) * (good - low) / (high - low)
    return row[-1]


def of_mean(baseline_jobs: float) -> float:
    """For an unbounded mean, in one of two directions."""
    return _OF_MEANS[_row(baseline_jobs)]


def _row(baseline_jobs: float) -> int:
    if baseline_jobs < BASELINE_MIN:
        raise ValueError(f"a baseline has at least {BASELINE_MIN} jobs")
    return bisect_right(JOBS, baseline_jobs) - 1
