"""Whether units were assigned according to the weights (sample ratio mismatch), at any number of looks.

Source: M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022: the Bayes factor of
a Dirichlet mixture around the promised weights against these weights is a martingale that starts at 1, exactly, for
every number of units. Why it matters: A. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled
experiments", KDD 2019. An experiment with a mismatch lost units of one arm on the way, and no result of it can be
trusted.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ALPHA = 0.01
# How closely the mixture lies around the weights: deviations of a few hundredths are found soonest.
_CONCENTRATION = 400.0


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units per arm that were assigned under the same weights. Weights add up to 1; both are keyed by arm."""

    weights: Mapping[str, float]
    units: Mapping[str, int]


def p_value(allocations: Iterable[Allocation]) -> float:
    """An always-valid p-value of the hypothesis that every allocation kept to its weights.

    Their Bayes factors multiply: each starts at 1 when the previous one has ended. An arm without weight that got a
    unit is certainly a mismatch.
    """
    evidence = 0.0
    for allocation in allocations:
        for arm, units in allocation.units.items():
            if units and allocation.weights.get(arm, 0.0) <= 0:
                return 0.0
        evidence += _log_bayes_factor(allocation)
    return min(1.0, math.exp(-evidence)) if evidence > 0 else 1.0


def _log_bayes_factor(allocation: Allocation) -> float:
    shares = {arm: weight for arm, weight in allocation.weights.items() if weight > 0}
    total = sum(allocation.units.get(arm, 0) for arm in shares)
    found = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + total)
    for arm, share in shares.items():
        units = allocation.units.get(arm, 0)
        prior = _CONCENTRATION * share
        found += math.lgamma(prior + units) - math.lgamma(prior) - units * math.log(share)
    return found
