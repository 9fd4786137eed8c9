"""Sums over an arm's units, from which means and their standard errors follow.

The unit is what was assigned. When it is an end user, the jobs of one user resemble each other, and an analysis that
takes them as independent finds differences that are not there. So each unit u counts once, with the number n of its
observations and their sum y; the arm's mean is the ratio R = sum(y) / sum(n), and its variance follows from the
residuals y - R n of the units (W. G. Cochran, "Sampling Techniques", 3rd ed., 1977, section 6.3; the delta method of
A. Deng, U. Knoblich and J. Lu, KDD 2018). With one job per unit this is the ordinary variance of a mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_ADDED = 2


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the units of an arm in one cohort: those assigned under the same weights.

    With n observations of a unit that add up to y: `count` = sum n, `total` = sum y, `total_squares` = sum y²,
    `cross` = sum n y, `count_squares` = sum n².
    """

    units: int = 0
    count: int = 0
    total: float = 0.0
    total_squares: float = 0.0
    cross: float = 0.0
    count_squares: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> "Moments":
        """The moments of units with one observation each."""
        total = float(sum(values))
        return cls(len(values), len(values), total, float(sum(v * v for v in values)), total, len(values))

    @property
    def mean(self) -> float:
        """The mean of an observation; 0 without any."""
        return self.total / self.count if self.count else 0.0

    @property
    def scatter(self) -> float:
        """The sum of the squared residuals y - R n."""
        mean = self.mean
        return max(0.0, self.total_squares - 2 * mean * self.cross + mean * mean * self.count_squares)


def residual_variance(cohorts: Sequence[Moments], *, is_share: bool) -> float:
    """The variance of a unit's residual, pooled over an arm's cohorts, each around its own mean.

    `is_share`: observations are 0 or 1. When all are the same, so far, the sample variance is 0 and would promise
    certainty; then the variance of independent observations with two more of each kind is the floor (A. Agresti and
    B. Coull, Am. Stat. 52, 1998).
    """
    freedom = sum(max(cohort.units - 1, 0) for cohort in cohorts)
    variance = sum(cohort.scatter for cohort in cohorts) / freedom if freedom else 0.0
    if not is_share:
        return variance
    units, count = sum(cohort.units for cohort in cohorts), sum(cohort.count for cohort in cohorts)
    if not units:
        return variance
    share = (sum(cohort.total for cohort in cohorts) + _ADDED) / (count + 2 * _ADDED)
    return max(variance, share * (1 - share) * count / units)
