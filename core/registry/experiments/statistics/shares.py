"""A share of successes among independent jobs: evidence against a value, exact for every number of jobs and looks.

Mixing the likelihood ratio of a probability p against the hypothesis q over a distribution of p gives, if q is true, a
martingale that starts at 1; it ever reaches 1/alpha with probability alpha at most (J. Ville; H. Robbins, 1970; S. R.
Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann.
Stat. 49, 2021, the beta-binomial mixture). The values at which it has not are the confidence sequence.

Half of the mixture lies closely around q, for small differences after many jobs, and half is spread over [0, 1]
(Jeffreys' prior), for large ones after few.
"""

import math
from functools import lru_cache

from core.registry.experiments.statistics.boundary import mixture_at_horizon

_HALVINGS = 50


def log_evidence(successes: int, count: int, share: float, concentration: float) -> float:
    """The logarithm of the martingale against `share`, which lies between 0 and 1.

    `concentration` is that of the close half, Beta(k q, k (1 - q)).
    """
    close = _log_mixed(successes, count, concentration * share, concentration * (1 - share))
    spread = _log_mixed(successes, count, 0.5, 0.5)
    larger, smaller = max(close, spread), min(close, spread)
    mixed = larger + math.log1p(math.exp(smaller - larger)) - math.log(2)
    return mixed - successes * math.log(share) - (count - successes) * math.log1p(-share)


def concentration_for(horizon: float, alpha: float) -> float:
    """The mixture's k: as spread out as the normal one that is narrowest at `horizon` (`boundary`)."""
    return max(1.0, horizon / mixture_at_horizon(alpha))


@lru_cache(maxsize=4096)
def share_bounds(successes: int, count: int, *, horizon: float, alpha: float) -> tuple[float, float]:
    """The ends of the confidence sequence of the share; `horizon` is the count at which it is to be narrowest."""
    if not count:
        return 0.0, 1.0
    concentration, threshold = concentration_for(horizon, alpha), math.log(1 / alpha)
    found = min(max(successes / count, 0.5 / count), 1 - 0.5 / count)

    def edge(outermost: float) -> float:
        inside, outside = found, outermost
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if log_evidence(successes, count, middle, concentration) < threshold:
                inside = middle
            else:
                outside = middle
        return outside

    return edge(0.0) if successes else 0.0, edge(1.0) if successes < count else 1.0


def _log_mixed(successes: int, count: int, first: float, second: float) -> float:
    return _log_beta(first + successes, second + count - successes) - _log_beta(first, second)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
