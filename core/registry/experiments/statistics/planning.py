"""How many units an experiment needs, under the sequential test that will judge it.

A test that looks once finds a difference d with probability `power` when d is z(1 - alpha/2) + z(power) standard errors
(J. L. Fleiss, "Statistical Methods for Rates and Proportions", chapter 4). The sequential boundary is wider: at the
horizon it is sqrt(1 + x) standard errors with x of `boundary.mixture_at_horizon`, 3.03 instead of 1.96 for alpha 0.05.
Putting it into the same formula bounds the power from below, since a path that crosses earlier counts as well; most
experiments with a difference that large end well before the horizon.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from core.registry.experiments.statistics.boundary import mixture_at_horizon

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Plan:
    """The assumptions made before there were data. `baseline` is the expected success rate of the control.

    `minimum_lift` is the absolute difference that is to be found with probability `power`, in either direction.
    `units_control` and `units_treatment` are the horizon: units of the control and of each treatment.
    `fixed_units` is what a test that looks once would need of both together.
    """

    baseline: float
    minimum_lift: float
    alpha: float
    power: float
    treatments: int
    units_control: int
    units_treatment: int
    fixed_units: int

    @property
    def alpha_each(self) -> float:
        """The level of one treatment's comparison: they share `alpha` (Bonferroni)."""
        return self.alpha / self.treatments

    @property
    def horizon(self) -> int:
        """Units of a comparison's two arms together at which its boundary is narrowest."""
        return self.units_control + self.units_treatment


def plan(
    baseline: float,
    minimum_lift: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    treatments: int = 1,
    treatment_share: float = 0.5,
) -> Plan:
    """The units that a comparison needs. `treatment_share`: a treatment's weight among its own and the control's.

    A lift that would leave the range from 0 to 1 is taken downward. Raises ValueError for impossible arguments.
    """
    if not 0 < baseline < 1 or not 0 < minimum_lift < 1:
        raise ValueError("baseline and minimum_lift lie between 0 and 1")
    if not 0 < alpha < 1 or not 0 < power < 1 or not 0 < treatment_share < 1 or treatments < 1:
        raise ValueError("alpha, power and the treatment's share lie between 0 and 1; there is a treatment")
    lifted = baseline + minimum_lift if baseline + minimum_lift < 1 else baseline - minimum_lift
    if not 0 < lifted < 1:
        raise ValueError("a rate with this lift would not lie between 0 and 1")
    spread = baseline * (1 - baseline) / (1 - treatment_share) + lifted * (1 - lifted) / treatment_share
    each = alpha / treatments

    def units(boundary: float) -> float:
        return (boundary + _NORMAL.inv_cdf(power)) ** 2 * spread / minimum_lift**2

    sequential = units(math.sqrt(1 + mixture_at_horizon(each)))
    return Plan(
        baseline,
        minimum_lift,
        alpha,
        power,
        treatments,
        math.ceil(sequential * (1 - treatment_share)),
        math.ceil(sequential * treatment_share),
        math.ceil(units(_NORMAL.inv_cdf(1 - each / 2))),
    )
