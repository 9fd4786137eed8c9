"""At which evidence a change is an alert: calibrated, so that one calm signal alarms in 0.5 % of 500 jobs.

A job has about ten watched signals, so that one calm version alarms in at most 5 % of its first 500 jobs. The numbers
are the 99.5 % quantiles of the largest `cusum` statistic in 500 calm jobs, with the baseline estimated from so many
jobs as the row says (12,000 series each); those of means are the 99.75 % quantiles, for two directions, and the larger
one of normal and of heavy-tailed values (Student's t with 5 degrees of freedom). ``python -m tests.evals.quality``
simulates anew what they promise. That an estimated baseline needs a higher threshold: W. A. Jensen, L. A. Jones-Farmer,
C. W. Champ and W. H. Woodall, "Effects of parameter estimation on control chart properties", J. Qual. Technol. 38
(2006).
"""

from bisect import bisect_right
from itertools import pairwise

BASELINE_MIN = 300
# A baseline of more jobs than this is cut off: what came long before says little about now.
BASELINE_MAX = 2000
_JOBS = (300, 500, 1000, 2000)
# Above 0.95 the threshold stays: where the baseline came out too good by chance, false alarms are likeliest.
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
_OF_RATES = (
    (9.6, 7.8, 7.7, 8.7, 9.4, 11.6, 11.6, 11.6),
    (8.3, 6.8, 6.5, 7.0, 7.9, 9.4, 9.5, 9.5),
    (7.6, 5.9, 5.6, 6.1, 6.7, 7.6, 8.2, 8.2),
    (7.2, 5.6, 5.4, 5.6, 6.0, 6.6, 7.4, 7.4),
)
_OF_MEANS = (13.0, 10.5, 9.5, 8.7)


def of_rate(good: float, baseline_jobs: float) -> float:
    """For a rate or score. `good`: the baseline's share in the direction that an alert is not about."""
    row = _OF_RATES[_row(baseline_jobs)]
    if good <= _SHARES[0]:
        return row[0]
    for (low, high), (at_low, at_high) in zip(pairwise(_SHARES), pairwise(row), strict=True):
        if good <= high:
            return at_low + (at_high - at_low) * (good - low) / (high - low)
    return row[-1]


def of_mean(baseline_jobs: float) -> float:
    """For a mean without bounds, in one of two directions."""
    return _OF_MEANS[_row(baseline_jobs)]


def _row(baseline_jobs: float) -> int:
    if baseline_jobs < BASELINE_MIN:
        raise ValueError(f"a baseline has at least {BASELINE_MIN} jobs")
    return bisect_right(_JOBS, baseline_jobs) - 1
