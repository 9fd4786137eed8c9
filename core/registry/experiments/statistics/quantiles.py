"""A quantile between order statistics, without any assumption about the distribution, at any number of looks.

Source: S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
identification", Bernoulli 28 (2022). The number of observations at or below the true quantile is a sum of coin tosses
with the known probability q. The ranks at which the evidence against q (`shares.log_evidence`, exact for every number
of observations) stays below 1/alpha bound the quantile.
"""

import math
from collections.abc import Callable
from functools import lru_cache

from core.registry.experiments.statistics.shares import concentration_for, log_evidence


@lru_cache(maxsize=4096)
def rank_bounds(count: int, quantile: float, *, horizon: float, alpha: float) -> tuple[int | None, int | None]:
    """Ranks, from 1 for the smallest, of the observations between which the quantile lies; None: no bound yet.

    `count` independent observations of a continuous quantity; `horizon` is the count at which the bounds are to be
    closest, chosen beforehand.
    """
    concentration, threshold = concentration_for(horizon, alpha), math.log(1 / alpha)

    def is_possible(below: int) -> bool:
        return log_evidence(below, count, quantile, concentration) < threshold

    # The evidence is convex in the number below, and possible around its expectation.
    middle = min(count, max(0, round(quantile * count)))
    fewest = _edge(middle, 0, is_possible)
    most = _edge(middle, count, is_possible)
    return fewest or None, most + 1 if most < count else None


def rank_of(count: int, quantile: float) -> int:
    """The rank of the sample's own quantile (the smallest observation with at least that share at or below it)."""
    return min(count, max(1, math.ceil(quantile * count)))


def _edge(inside: int, outermost: int, is_possible: Callable[[int], bool]) -> int:
    """The last possible number on the way from `inside`, which is possible, to `outermost`."""
    if is_possible(outermost):
        return outermost
    while abs(outermost - inside) > 1:
        middle = (inside + outermost) // 2
        if is_possible(middle):
            inside = middle
        else:
            outermost = middle
    return inside
