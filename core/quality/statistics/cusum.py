"""Finds the job from which on a signal is worse than its baseline: a cumulative sum of log-likelihood ratios.

Source: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954); for a proportion, job by job, M. R. Reynolds
and Z. G. Stoumbos, "A CUSUM chart for monitoring a proportion when inspecting continuously", J. Qual. Technol. 31
(1999). The statistic S becomes max(0, S + log(likelihood if worse / likelihood if as the baseline)) with each job; the
last time it was 0 estimates when the change began.

Rates and scores lie in [0, 1]. For x in between, the increment x log(p1/p0) + (1 - x) log((1-p1)/(1-p0)) is that of a
coin tossed x heads; since exp is convex, its exponential has an expectation of at most 1 as long as the mean is p0, so
that the threshold of coins also bounds their false alarms: of k of n quotes, of a rating.

Unbounded means are taken as logarithms and standardized; values more than four standard deviations out count as
four, so that one huge text raises no alert.
"""

import math
from dataclasses import dataclass

from core.quality.signals import Kind, Worse

# The change to detect. It is smaller than the 8 points that must be found within 500 jobs: over so few jobs a
# smaller design shift has more power (measured).
SHIFT = 0.03
SHIFT_DEVIATIONS = 0.25
_SHARE_MIN, _SHARE_MAX = 0.02, 0.98
_DEVIATIONS_MAX = 4.0


@dataclass(slots=True)
class Sums:
    """Number, sum and sum of squares of the observations."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Count one more."""
        self.count += 1
        self.total += value
        self.squares += value * value

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Their mean; 0 without any."""
        return self.total / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """Their standard deviation; 0 for fewer than two."""
        if self.count < 2:  # noqa: PLR2004 - one has no deviation
            return 0.0
        return math.sqrt(max(0.0, self.squares - self.total * self.mean) / (self.count - 1))


@dataclass(frozen=True, slots=True)
class Baseline:
    """A signal's earlier level: the number of `jobs`, with mean and standard deviation as `scaled`."""

    jobs: int
    mean: float
    deviation: float

    @classmethod
    def of(cls, sums: Sums) -> "Baseline":
        """The baseline of the sums."""
        return cls(sums.count, sums.mean, sums.deviation)


def scaled(kind: Kind, value: float) -> float:
    """`value` on the scale of the statistics: the logarithm of unbounded ones."""
    return math.log1p(max(0.0, value)) if kind is Kind.MEAN else value


def unscaled(kind: Kind, value: float) -> float:
    """The inverse of `scaled`; for a mean of logarithms, a kind of geometric mean."""
    return math.expm1(value) if kind is Kind.MEAN else value


def increment(kind: Kind, towards: Worse, baseline: Baseline, value: float) -> float:
    """The log-likelihood ratio of one job with the scaled `value`; `towards` is lower or higher."""
    if kind is Kind.MEAN:
        deviation = baseline.deviation or 1.0
        z = min(_DEVIATIONS_MAX, max(-_DEVIATIONS_MAX, (value - baseline.mean) / deviation))
        return SHIFT_DEVIATIONS * (z if towards is Worse.HIGHER else -z) - SHIFT_DEVIATIONS**2 / 2
    good = good_share(towards, baseline)
    worse = max(good - SHIFT, good / 2)
    x = value if towards is Worse.LOWER else 1 - value
    return x * math.log(worse / good) + (1 - x) * math.log((1 - worse) / (1 - good))


def good_share(towards: Worse, baseline: Baseline) -> float:
    """The baseline's share in the opposite direction, kept off 0 and 1, where every single job would decide."""
    share = (baseline.mean * baseline.jobs + 0.5) / (baseline.jobs + 1)
    return min(_SHARE_MAX, max(_SHARE_MIN, share if towards is Worse.LOWER else 1 - share))
