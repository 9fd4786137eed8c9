"""The boundary that a running estimate crosses with probability `alpha` at most, however often it is looked at.

Source: H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41 (1970), the
normal mixture; in the form for estimated variances I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences", Ann. Stat. 52 (2024), theorem 2.2. Its dual is
the mixture SPRT of R. Johari, P. Koomen, L. Pekelis and D. Walsh, "Always valid inference", Oper. Res. 70 (2022).

Let S(N) be a sum of N observations that behaves like a Brownian motion with variance s² each. For every d,
exp(d S - d² s² N / 2) is a martingale that starts at 1; mixing it over d ~ Normal(0, rho² / s²) gives

    M(N) = (1 + rho² N)^(-1/2) exp(rho² N z² / (2 (1 + rho² N))),   z = S / (s sqrt N),

again a martingale that starts at 1. By Ville's inequality it ever reaches 1/alpha with probability alpha at most.
Solved for z with x = rho² N, this is `critical_value`; solved for alpha, `p_value`.
"""

import math
from functools import lru_cache


@lru_cache(maxsize=256)
def mixture_at_horizon(alpha: float) -> float:
    """The product rho² N that makes the boundary narrowest at N = horizon.

    At a fixed N the squared boundary (1 + 1/x) (2 ln(1/alpha) + ln(1 + x)) has its minimum where
    x = 2 ln(1/alpha) + ln(1 + x), and is 1 + x there. The iteration contracts: its derivative is 1 / (1 + x).
    """
    _check(alpha)
    narrowest = 2 * math.log(1 / alpha)
    for _ in range(60):
        narrowest = 2 * math.log(1 / alpha) + math.log1p(narrowest)
    return narrowest


def critical_value(units: float, horizon: float, alpha: float) -> float:
    """How many standard errors the estimate may lie from the truth when `units` are in, at any number of looks.

    It takes the place of the 1.96 of a test that looks once. `horizon` is the number of units at which it is to be
    narrowest, and must be chosen before there are data: about 3.03 there for alpha = 0.05. Infinite without units.
    """
    if units <= 0:
        return math.inf
    mixed = mixture_at_horizon(alpha) * units / horizon
    return math.sqrt((1 + 1 / mixed) * (2 * math.log(1 / alpha) + math.log1p(mixed)))


def p_value(z: float, units: float, horizon: float, alpha: float) -> float:
    """An always-valid p-value of an estimate `z` standard errors from the hypothesis: 1 / M(N), at most 1.

    It is at or below `alpha` exactly when the confidence sequence at `alpha`, which also fixes rho, leaves the
    hypothesis out. Under the hypothesis it ever falls to a value v with probability v at most.
    """
    if units <= 0:
        return 1.0
    mixed = mixture_at_horizon(alpha) * units / horizon
    if math.isinf(z):
        return 0.0
    return min(1.0, math.exp(0.5 * math.log1p(mixed) - 0.5 * z * z * mixed / (1 + mixed)))


def _check(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError("alpha lies between 0 and 1")
