"""Intervals of rates and means of signals.

Rates: the score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
J. Am. Stat. Assoc. 22 (1927). Where jobs count several cases each (k of n quotes), cases of one job resemble each
other: the number of cases is divided by the design effect (L. Kish, "Survey Sampling", 1965), the ratio of the variance
over jobs (`moments`) to that of independent cases.

Means: confidence sequences (`core.registry.experiments.statistics`), which hold however often they are looked at.
A Wilson interval does not: it is for display, and no alert follows from it.
"""

import math

from core.quality.signals import Kind
from core.registry.experiments.statistics.means import Interval, mean_interval
from core.registry.experiments.statistics.moments import Moments, residual_variance

ALPHA = 0.05
# The number of jobs at which a mean's interval is narrowest: about what a version processes before a conclusion.
HORIZON_JOBS = 500
_Z = 1.959963984540054


def wilson(successes: float, count: float, z: float = _Z) -> tuple[float, float]:
    """The ends of the interval of a rate with `successes` of `count` independent cases; both may be fractions."""
    if count <= 0:
        return 0.0, 1.0
    share = min(1.0, max(0.0, successes / count))
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low = 0.0 if share == 0 else max(0.0, middle - reach)
    high = 1.0 if share == 1 else min(1.0, middle + reach)
    return low, high


def design_effect(moments: Moments) -> float:
    """The ratio of the rate's variance to that of independent cases; at least 1."""
    if moments.units < 2 or moments.count == moments.units or not 0 < moments.mean < 1:  # noqa: PLR2004 - no variance of one
        return 1.0
    over_jobs = moments.units * residual_variance([moments], is_share=False) / moments.count**2
    return max(1.0, over_jobs / (moments.mean * (1 - moments.mean) / moments.count))


def interval_of(kind: Kind, moments: Moments) -> Interval:
    """The rate or mean of a signal over the jobs in `moments`, with its 95 % interval; an unknown end is infinite."""
    if kind is Kind.RATE:
        effect = design_effect(moments)
        low, high = wilson(moments.total / effect, moments.count / effect)
        share = moments.mean
        error = math.sqrt(share * (1 - share) * effect / moments.count) if moments.count else math.inf
        return Interval(share, low, high, error, moments.units)
    found = mean_interval({0: moments}, horizon=HORIZON_JOBS, alpha=ALPHA)
    if kind is Kind.SCORE:
        return Interval(found.estimate, max(0.0, found.low), min(1.0, found.high), found.standard_error, found.units)
    return found
