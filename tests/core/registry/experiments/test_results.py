import math
import random
from decimal import Decimal

import pytest

from core.kit.settings import Settings
from core.registry.experiments import results
from core.registry.experiments.definition import Experiment, Unit
from core.registry.experiments.results import Results
from core.registry.experiments.service import ExperimentService
from tests.core.registry.experiments.conftest import Make
from tests.factories.experiment_outcomes import Outcome, write_outcomes
from tests.factories.jobs import Tenant, new_tenant


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


def read(tenant: Tenant, experiment: Experiment) -> Results:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return ExperimentService().results(session, tenant.principal, experiment.id)


def test_an_experiment_without_jobs_shows_nothing_and_promises_nothing(tenant: Tenant, make: Make) -> None:
    found = read(tenant, make(started=False))
    assert (found.units, found.is_mismatched) == (0, False)
    assert found.comparisons[0].verdict == "undecided"
    assert found.arms[0].means["cost"].high == math.inf


def test_every_outcome_is_counted_as_it_happened(tenant: Tenant, make: Make, url: str) -> None:
    experiment = make()
    new, old = experiment.arms
    ends = [
        *[Outcome(latency_seconds=2.0, cost_usd=Decimal("0.25"), score=0.5)] * 60,
        *[Outcome("failed", latency_seconds=90.0, cost_usd=Decimal("0.05"))] * 20,
        *[Outcome("expired", latency_seconds=90.0)] * 20,
        *[Outcome("cancelled", latency_seconds=90.0, cost_usd=Decimal(9), score=0.0)] * 5,
        *[Outcome("queued")] * 3,
    ]
    write_outcomes(url, experiment, new, ends)
    write_outcomes(url, experiment, old, [Outcome()] * 100)
    found = read(tenant, experiment)
    arm, control = found.arms
    assert (arm.units, arm.jobs, arm.open, arm.left_out) == (108, 108, 3, 5)
    assert arm.means["success"].estimate == pytest.approx(0.6)
    assert arm.means["success"].low < 0.6 < arm.means["success"].high
    # Of everything that ended; of what succeeded; of what was rated.
    assert arm.means["cost"].units == 100
    assert arm.means["cost"].estimate == pytest.approx((60 * 0.25 + 20 * 0.05) / 100)
    assert arm.means["latency"].units == 60
    assert arm.means["latency"].estimate == pytest.approx(2.0)
    assert arm.means["quality"].units == 60
    assert arm.means["quality"].estimate == pytest.approx(0.5)
    assert control.means["success"].high == 1.0
    assert found.comparisons[0].verdict == "worse"
    assert found.comparisons[0].contrasts["success"].p_value < 1e-3
    assert found.comparisons[0].contrasts["cost"].is_positive
    # Nobody rated the control.
    assert not found.comparisons[0].contrasts["quality"].is_settled
    assert not found.is_mismatched


def test_row_15_what_has_no_price_is_not_cheap(tenant: Tenant, make: Make, url: str) -> None:
    experiment = make()
    new, old = experiment.arms
    write_outcomes(url, experiment, new, [Outcome(is_priced=False)] * 60 + [Outcome(cost_usd=Decimal("0.20"))] * 40)
    write_outcomes(url, experiment, old, [Outcome(cost_usd=Decimal("0.20"))] * 100)
    arm, control = read(tenant, experiment).arms
    assert (arm.means["cost"].units, arm.means["success"].units) == (40, 100)
    assert arm.means["cost"].estimate == pytest.approx(0.2)
    assert control.means["cost"].units == 100


def test_row_15_a_version_without_a_price_is_no_cheaper_one(tenant: Tenant, make: Make, url: str) -> None:
    unknown = make()
    write_outcomes(url, unknown, unknown.arms[0], [Outcome(is_priced=False)] * 100)
    write_outcomes(url, unknown, unknown.arms[1], [Outcome(cost_usd=Decimal("0.20"))] * 100)
    found = read(tenant, unknown)
    # A cost guardrail must not take it for proof that the version costs less.
    assert (found.arms[0].means["cost"].units, found.comparisons[0].contrasts["cost"].is_settled) == (0, False)


def test_the_percentile_is_bounded_by_order_statistics(tenant: Tenant, make: Make, url: str) -> None:
    experiment = make()
    chance = random.Random(3)
    latencies = sorted(chance.lognormvariate(0, 1) for _ in range(2_000))
    write_outcomes(url, experiment, experiment.arms[0], [Outcome(latency_seconds=each) for each in latencies])
    p95 = read(tenant, experiment).arms[0].latency_p95
    assert p95.estimate == pytest.approx(latencies[1899], abs=1e-5)
    # exp(1.645) is the distribution's own.
    assert p95.low < 5.18 < p95.high
    assert p95.high < 7
    assert read(tenant, experiment).arms[1].latency_p95.units == 0


def test_users_are_counted_once_and_their_percentile_has_no_bounds(tenant: Tenant, make: Make, url: str) -> None:
    experiment = make(unit=Unit.END_USER)
    ends = [Outcome("succeeded" if user % 2 else "failed", unit=str(user)) for user in range(100) for _ in range(20)]
    write_outcomes(url, experiment, experiment.arms[0], ends)
    arm = read(tenant, experiment).arms[0]
    assert (arm.units, arm.jobs) == (100, 2000)
    success = arm.means["success"]
    assert (success.units, success.estimate) == (100, 0.5)
    # A hundred tosses of a coin, not two thousand.
    assert success.standard_error == pytest.approx(0.05, rel=0.02)
    assert (arm.latency_p95.low, arm.latency_p95.high) == (-math.inf, math.inf)


def test_lost_units_are_noticed(tenant: Tenant, make: Make, url: str) -> None:
    experiment = make()
    write_outcomes(url, experiment, experiment.arms[0], [Outcome()] * 700)
    write_outcomes(url, experiment, experiment.arms[1], [Outcome()] * 500)
    assert read(tenant, experiment).is_mismatched


def test_results_look_within_allocations(tenant: Tenant, make: Make, url: str) -> None:
    experiment = make()
    service = ExperimentService()
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        experiment = service.set_weights(session, tenant.principal, experiment.id, weights={"new": 0.1, "old": 0.9})
    new, old = experiment.arms
    # As good as the other in either allocation, and much worse when they are pooled.
    for number, (of_new, of_old, failures) in enumerate(((500, 500, 0.8), (100, 900, 0.1)), start=1):
        for arm, count in ((new, of_new), (old, of_old)):
            failed = round(count * failures)
            ends = [Outcome("failed")] * failed + [Outcome()] * (count - failed)
            write_outcomes(url, experiment, arm, ends, allocation=number)
    found = read(tenant, experiment)
    shown = [arm.means["success"].estimate for arm in found.arms]
    assert shown == pytest.approx([190 / 600, 910 / 1400])
    assert found.comparisons[0].contrasts["success"].interval.estimate == pytest.approx(0.0)
    assert not found.is_mismatched
    assert found.arms[0].latency_p95.units == 90


def test_only_the_own_organisation_is_read(tenant: Tenant, make: Make, url: str, settings: Settings) -> None:
    experiment = make()
    write_outcomes(url, experiment, experiment.arms[0], [Outcome()] * 60)
    stranger = new_tenant(settings)
    with stranger.database.tenant(stranger.principal.organization_id) as session:
        assert results.of(session, experiment).units == 0
    stranger.close()
