"""Means of arms and their differences, with intervals that stay valid under continuous peeking.

The intervals are asymptotic confidence sequences (`boundary`): they hold for every distribution with a finite variance
once there are enough units for the sums to be nearly normal, so nothing is concluded below `UNITS_MIN` units an arm.
They are an approximation, not a bound: the heavier the tail, the more units it takes. `docs/adr` has measurements.
The share of successes among independent jobs is exact instead (`shares`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.registry.experiments.statistics.boundary import critical_value, p_value
from core.registry.experiments.statistics.moments import Moments, residual_variance
from core.registry.experiments.statistics.shares import share_bounds

UNITS_MIN = 50
Cohorts = Mapping[int, Moments]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the ends of its confidence sequence; an end that is not known yet is infinite."""

    estimate: float
    low: float
    high: float
    standard_error: float
    units: int


@dataclass(frozen=True, slots=True)
class Contrast:
    """An interval of treatment - `factor` · control, and the always-valid p-value of the hypothesis that it is 0."""

    interval: Interval
    p_value: float
    is_settled: bool

    @property
    def is_positive(self) -> bool:
        """Whether it is significantly above 0 at the level."""
        return self.is_settled and self.interval.low > 0

    @property
    def is_negative(self) -> bool:
        """Whether it is significantly below 0 at the level."""
        return self.is_settled and self.interval.high < 0


def mean_interval(cohorts: Cohorts, *, horizon: float, alpha: float, is_share: bool = False) -> Interval:
    """The mean of one arm over all its cohorts. `horizon`: units at which the sequence is to be narrowest.

    `is_share`: observations are 0 or 1.
    """
    parts = list(cohorts.values())
    units, count = sum(each.units for each in parts), sum(each.count for each in parts)
    mean = sum(each.total for each in parts) / count if count else 0.0
    if units < UNITS_MIN:
        return Interval(mean, -math.inf, math.inf, math.inf, units)
    error = math.sqrt(units * residual_variance([_pooled(parts)], is_share=is_share)) / count
    if is_share and units == count:
        successes = round(sum(each.total for each in parts))
        low, high = share_bounds(successes, count, horizon=horizon, alpha=alpha)
        return Interval(mean, low, high, error, units)
    return _around(mean, error, units, horizon, alpha)


def contrast(
    treatment: Cohorts,
    control: Cohorts,
    *,
    horizon: float,
    alpha: float,
    factor: float = 1.0,
    is_share: bool = False,
) -> Contrast:
    """The mean of `treatment` minus `factor` times that of `control`, compared within cohorts.

    Cohorts that were assigned under other weights also came at another time; pooled, a trend over time would look like
    a difference between arms (Simpson's paradox; R. Kohavi, D. Tang and Y. Xu, "Trustworthy Online Controlled
    Experiments", 2020, chapter 3). So each cohort gives its own difference, weighted as Cochran, Mantel and
    Haenszel do, with T C / (T + C) for T and C units in its arms. `horizon` counts the units of both arms.

    A factor makes a bound on a ratio of means a bound on a difference: T <= 1.25 C is T - 1.25 C <= 0.
    """
    shared = {
        number: control[number]
        for number in treatment
        if number in control and treatment[number].count * control[number].count
    }
    units = sum(treatment[number].units + control[number].units for number in shared)
    smaller = min(sum(treatment[number].units for number in shared), sum(control[number].units for number in shared))
    weights = {
        number: treatment[number].units * control[number].units / (treatment[number].units + control[number].units)
        for number in shared
    }
    whole = sum(weights.values())
    if not whole:
        return Contrast(Interval(0.0, -math.inf, math.inf, math.inf, units), 1.0, is_settled=False)
    estimate = sum(weight * (treatment[n].mean - factor * control[n].mean) for n, weight in weights.items()) / whole
    if smaller < UNITS_MIN:
        return Contrast(Interval(estimate, -math.inf, math.inf, math.inf, units), 1.0, is_settled=False)
    of_treatment = residual_variance([treatment[number] for number in shared], is_share=is_share)
    of_control = residual_variance([control[number] for number in shared], is_share=is_share)
    variance = sum(
        weight**2
        * (
            treatment[n].units * of_treatment / treatment[n].count ** 2
            + factor**2 * control[n].units * of_control / control[n].count ** 2
        )
        for n, weight in weights.items()
    )
    error = math.sqrt(variance) / whole
    interval = _around(estimate, error, units, horizon, alpha)
    z = estimate / error if error else math.copysign(math.inf, estimate) if estimate else 0.0
    return Contrast(interval, p_value(z, units, horizon, alpha), is_settled=True)


def _around(estimate: float, error: float, units: int, horizon: float, alpha: float) -> Interval:
    radius = critical_value(units, horizon, alpha) * error
    return Interval(estimate, estimate - radius, estimate + radius, error, units)


def _pooled(parts: Sequence[Moments]) -> Moments:
    return Moments(
        sum(each.units for each in parts),
        sum(each.count for each in parts),
        sum(each.total for each in parts),
        sum(each.total_squares for each in parts),
        sum(each.cross for each in parts),
        sum(each.count_squares for each in parts),
    )
