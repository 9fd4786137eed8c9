"""Thousands of experiments at once: sums at every look, and the same formulas as the product's over whole arrays.

`test_simulations` compares these formulas with the product's, so that what is measured here is what is shipped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.registry.experiments.statistics.boundary import critical_value
from core.registry.experiments.statistics.means import UNITS_MIN
from core.registry.experiments.statistics.moments import Moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """One arm of many runs, at every look: arrays of (runs, looks), with the members of `Moments`."""

    units: Array
    count: Array
    total: Array
    total_squares: Array
    cross: Array
    count_squares: Array

    @property
    def mean(self) -> Array:
        return self.total / np.maximum(self.count, 1)

    def error_squares(self, *, is_share: bool) -> Array:
        """The squared standard error of the mean."""
        mean = self.mean
        scatter = np.maximum(self.total_squares - 2 * mean * self.cross + mean**2 * self.count_squares, 0)
        variance = scatter / np.maximum(self.units - 1, 1)
        if is_share:
            share = (self.total + 2) / (self.count + 4)
            variance = np.maximum(variance, share * (1 - share) * self.count / np.maximum(self.units, 1))
        found: Array = self.units * variance / np.maximum(self.count, 1) ** 2
        return found

    def at(self, run: int, look: int) -> Moments:
        """What the product would be given in that run at that look."""
        names = ("total", "total_squares", "cross", "count_squares")
        rest = [float(getattr(self, name)[run, look]) for name in names]
        return Moments(int(self.units[run, look]), int(self.count[run, look]), *rest)


def of_jobs(count: Array, total: Array, total_squares: Array) -> Sums:
    """Sums where every unit is one job."""
    return Sums(count, count, total, total_squares, total, count)


def success_paths(
    chance: np.random.Generator,
    control: float,
    treatment: float,
    *,
    runs: int,
    looks: int,
    step: int = 50,
    share: float = 0.5,
) -> tuple[Sums, Sums]:
    """Treatment and control of experiments on a success rate, looked at after every `step` jobs of both together."""
    taken = chance.binomial(step, share, (runs, looks))
    in_treatment = chance.binomial(taken, treatment).cumsum(1).astype(float)
    in_control = chance.binomial(step - taken, control).cumsum(1).astype(float)
    jobs = taken.cumsum(1).astype(float)
    rest = np.arange(1, looks + 1) * step - jobs
    return of_jobs(jobs, in_treatment, in_treatment), of_jobs(rest, in_control, in_control)


def value_paths(chance: np.random.Generator, draw: str, shape: float, *, runs: int, looks: int, step: int) -> Sums:
    """One arm of a positive quantity of mean 1, looked at after every `step` jobs."""
    if draw == "lognormal":
        values = chance.lognormal(-shape * shape / 2, shape, (runs, looks, step))
    else:
        values = chance.pareto(shape, (runs, looks, step)) * (shape - 1)
    count = np.broadcast_to(np.arange(1, looks + 1) * float(step), (runs, looks))
    return of_jobs(count, values.sum(2).cumsum(1), (values**2).sum(2).cumsum(1))


def critical_values(units: Array, horizon: float, alpha: float) -> Array:
    """The product's boundary for each number of units."""
    numbers, places = np.unique(units, return_inverse=True)
    return np.array([critical_value(number, horizon, alpha) for number in numbers])[places].reshape(units.shape)


def rejections(
    treatment: Sums, control: Sums, *, horizon: float, alpha: float, is_share: bool = True
) -> NDArray[np.bool_]:
    """At every look of every run, whether the arms are told apart."""
    error = np.sqrt(treatment.error_squares(is_share=is_share) + control.error_squares(is_share=is_share))
    radius = critical_values(treatment.units + control.units, horizon, alpha) * error
    enough = np.minimum(treatment.units, control.units) >= UNITS_MIN
    return (np.abs(treatment.mean - control.mean) > radius) & enough


def misses(arm: Sums, truth: float, *, horizon: float, alpha: float, is_share: bool = False) -> NDArray[np.bool_]:
    """At every look of every run, whether the arm's interval leaves out the truth."""
    radius = critical_values(arm.units, horizon, alpha) * np.sqrt(arm.error_squares(is_share=is_share))
    return (np.abs(arm.mean - truth) > radius) & (arm.units >= UNITS_MIN)


def share_of(runs: NDArray[np.bool_]) -> tuple[float, float]:
    """The share of runs in which it was ever so, and the standard error of that share."""
    share = float(runs.any(axis=1).mean())
    return share, (share * (1 - share) / len(runs)) ** 0.5
