import math
from statistics import NormalDist

import pytest

from core.registry.experiments.statistics.boundary import critical_value, mixture_at_horizon, p_value
from core.registry.experiments.statistics.means import UNITS_MIN, contrast, mean_interval
from core.registry.experiments.statistics.mismatch import Allocation
from core.registry.experiments.statistics.mismatch import p_value as mismatch_p_value
from core.registry.experiments.statistics.moments import Moments, residual_variance
from core.registry.experiments.statistics.planning import plan
from core.registry.experiments.statistics.quantiles import rank_bounds, rank_of
from core.registry.experiments.statistics.shares import concentration_for, log_evidence, share_bounds


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.2])
def test_the_boundary_is_narrowest_at_its_horizon(alpha: float) -> None:
    here = critical_value(4000, 4000, alpha) / math.sqrt(4000)
    assert here == pytest.approx(math.sqrt((1 + mixture_at_horizon(alpha)) / 4000))

    def radius_at_4000(horizon: float) -> float:
        return critical_value(4000, horizon, alpha)

    assert radius_at_4000(4000) <= min(radius_at_4000(3900), radius_at_4000(4100))
    assert critical_value(4000, 4000, alpha) > NormalDist().inv_cdf(1 - alpha / 2)
    assert critical_value(0, 4000, alpha) == math.inf


@pytest.mark.parametrize("units", [60, 400, 4000, 90_000])
def test_the_p_value_is_the_intervals_dual(units: int) -> None:
    edge = critical_value(units, 4000, 0.05)
    assert p_value(edge, units, 4000, 0.05) == pytest.approx(0.05)
    assert p_value(edge * 1.01, units, 4000, 0.05) < 0.05 < p_value(edge * 0.99, units, 4000, 0.05)
    assert p_value(0.0, units, 4000, 0.05) == 1.0


def test_the_plan_pays_for_peeking() -> None:
    made = plan(0.2, 0.05)
    # (1.96 + 0.84)² (0.2 · 0.8 + 0.25 · 0.75) · 2 / 0.05², by hand.
    assert made.fixed_units == 2182
    assert (made.units_control, made.units_treatment) == (2090, 2090)
    assert plan(0.2, 0.05, treatments=3).horizon > made.horizon
    skewed = plan(0.2, 0.05, treatment_share=0.1)
    assert skewed.horizon > made.horizon
    assert skewed.units_treatment == pytest.approx(skewed.horizon * 0.1, abs=1)
    # Above the range, the lift is one downward.
    assert plan(0.98, 0.05).horizon == plan(0.02, 0.05).horizon


@pytest.mark.parametrize("given", [(0.0, 0.05), (0.2, 0.0), (0.5, 0.5), (1.0, 0.1)])
def test_an_impossible_plan_is_refused(given: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        plan(*given)


def test_moments_of_single_jobs_are_the_ordinary_ones() -> None:
    moments = Moments.of([1.0, 2.0, 3.0, 6.0])
    assert moments.mean == 3.0
    assert residual_variance([moments], is_share=False) == pytest.approx(14 / 3)


def test_a_user_with_a_hundred_equal_jobs_is_one_observation() -> None:
    # Two users, a hundred jobs each: one always succeeds, one never.
    moments = Moments(2, 200, 100.0, 10_000.0, 10_000.0, 20_000.0)
    assert moments.mean == 0.5
    assert 2 * residual_variance([moments], is_share=True) / 200**2 == pytest.approx(0.25)


def test_no_failure_yet_is_no_certainty() -> None:
    perfect = {1: Moments.of([1.0] * 100)}
    interval = mean_interval(perfect, horizon=2000, alpha=0.05, is_share=True)
    assert (interval.estimate, interval.high) == (1.0, 1.0)
    assert 0.9 < interval.low < 0.95


@pytest.mark.parametrize("successes", [0, 1, 40, 200, 999, 1000])
def test_the_bounds_of_a_share_are_where_the_evidence_reaches_its_threshold(successes: int) -> None:
    low, high = share_bounds(successes, 1000, horizon=2000, alpha=0.05)
    assert low <= successes / 1000 <= high
    concentration = concentration_for(2000, 0.05)
    for edge in {low, high} - {0.0, 1.0}:
        assert log_evidence(successes, 1000, edge, concentration) == pytest.approx(math.log(20), rel=1e-3)
    assert share_bounds(0, 0, horizon=2000, alpha=0.05) == (0.0, 1.0)


def test_nothing_is_concluded_from_a_few_units() -> None:
    few, many = {1: Moments.of([1.0] * (UNITS_MIN - 1))}, {1: Moments.of([0.0] * 500)}
    made = contrast(few, many, horizon=2000, alpha=0.05, is_share=True)
    assert (made.is_settled, made.is_positive, made.p_value) == (False, False, 1.0)
    assert mean_interval(few, horizon=2000, alpha=0.05).high == math.inf
    assert contrast({}, many, horizon=2000, alpha=0.05).p_value == 1.0


def test_a_ratio_is_bounded_by_a_factor() -> None:
    slow, fast = {1: Moments.of([1.4, 1.6] * 100)}, {1: Moments.of([0.9, 1.1] * 100)}
    assert contrast(slow, fast, horizon=400, alpha=0.05, factor=1.25).is_positive
    assert contrast(slow, fast, horizon=400, alpha=0.05, factor=2.0).is_negative


def test_equal_constants_are_no_difference_and_unequal_ones_are() -> None:
    same, other = {1: Moments.of([2.0] * 100)}, {1: Moments.of([3.0] * 100)}
    assert contrast(same, same, horizon=400, alpha=0.05).p_value == 1.0
    assert contrast(other, same, horizon=400, alpha=0.05).p_value == 0.0


def test_ranks_close_in_on_the_quantile() -> None:
    assert rank_bounds(20, 0.95, horizon=2000, alpha=0.05)[1] is None
    wide, narrow = (rank_bounds(count, 0.95, horizon=2000, alpha=0.05) for count in (1000, 100_000))
    for count, (low, high) in ((1000, wide), (100_000, narrow)):
        assert low is not None
        assert high is not None
        assert low < rank_of(count, 0.95) < high
    assert (narrow[1] or 0) / 100_000 - (narrow[0] or 0) / 100_000 < 0.01
    assert rank_bounds(0, 0.95, horizon=2000, alpha=0.05) == (None, None)


def test_an_arm_without_weight_that_got_a_unit_is_a_mismatch() -> None:
    assert mismatch_p_value([Allocation({"new": 0.0, "old": 1.0}, {"new": 1, "old": 10})]) == 0.0
    assert mismatch_p_value([Allocation({"new": 0.0, "old": 1.0}, {"old": 10})]) == 1.0
    assert mismatch_p_value([]) == 1.0


def test_the_evidence_of_allocations_multiplies() -> None:
    one = Allocation({"new": 0.5, "old": 0.5}, {"new": 620, "old": 500})
    alone = mismatch_p_value([one])
    assert mismatch_p_value([one, one]) == pytest.approx(alone**2)
