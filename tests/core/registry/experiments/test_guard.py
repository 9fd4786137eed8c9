from collections.abc import Sequence

import psycopg
from sqlalchemy import text
from structlog.testing import capture_logs

from core.kit.settings import Settings
from core.registry.experiments import repository
from core.registry.experiments.canary import Action
from core.registry.experiments.definition import Canary, Experiment, Guardrail, Metric, RampStep, State
from core.registry.experiments.guard import Acted, guard_once
from tests.core.registry.experiments.conftest import Make
from tests.factories.experiment_outcomes import Outcome, write_outcomes
from tests.factories.jobs import Tenant
from tests.factories.tenancy import audit_trail

ERRORS = (Guardrail(Metric.ERROR_RATE, 0.05),)
FAILED = Outcome("failed")


def guard(tenant: Tenant) -> list[Acted]:
    """Evaluate everything, due or not, and forget other tests' experiments."""
    with tenant.database.system() as session:
        session.execute(text("UPDATE experiments SET evaluate_after = now()"))
        done = guard_once(session)
    return [each for each in done if each.experiment.organization_id == tenant.principal.organization_id]


def now(tenant: Tenant, experiment: Experiment) -> Experiment:
    found = repository.get(
        tenant.database.single_tenant(experiment.organization_id), experiment.organization_id, experiment.id
    )
    assert found is not None
    return found


def mixed(good: int, bad: int) -> Sequence[Outcome]:
    return [Outcome()] * good + [FAILED] * bad


def test_a_bad_version_is_rolled_back_and_the_trail_says_why(
    tenant: Tenant, make: Make, database_url: str, settings: Settings
) -> None:
    experiment = make(guardrails=ERRORS, canary=Canary())
    assert guard(tenant) == []
    write_outcomes(database_url, experiment, experiment.arms[0], mixed(70, 30))
    write_outcomes(database_url, experiment, experiment.arms[1], mixed(99, 1))
    (acted,) = guard(tenant)
    assert acted.decision.action is Action.ROLL_BACK
    after = now(tenant, experiment)
    assert after.state is State.ROLLED_BACK
    assert "error_rate of 'new' is 0.3 against 0.01" in (after.reason or "")
    last = audit_trail(settings, experiment.organization_id)[-1]
    assert (last["action"], last["actor_kind"]) == ("dispatcher:experiment:rollback", "dispatcher")
    assert "error_rate" in last["detail"]["reason"]
    assert guard(tenant) == []


def test_a_good_version_is_promoted(tenant: Tenant, make: Make, database_url: str) -> None:
    experiment = make(guardrails=ERRORS, canary=Canary())
    for arm in experiment.arms:
        write_outcomes(database_url, experiment, arm, mixed(990, 10))
    (acted,) = guard(tenant)
    assert acted.decision.action is Action.PROMOTE
    assert now(tenant, experiment).promoted_arm_id == experiment.arms[0].id


def test_a_slow_version_is_rolled_back_by_its_percentile(tenant: Tenant, make: Make, database_url: str) -> None:
    experiment = make(guardrails=(Guardrail(Metric.LATENCY_P95, 1.5),), canary=Canary())
    for arm, factor in zip(experiment.arms, (3.0, 1.0), strict=True):
        ends = [Outcome(latency_seconds=factor * (1 + number / 400)) for number in range(400)]
        write_outcomes(database_url, experiment, arm, ends)
    (acted,) = guard(tenant)
    assert (acted.decision.action, "latency_p95" in acted.decision.reason) == (Action.ROLL_BACK, True)


def test_a_window_that_has_ended_rolls_back_what_is_not_known_to_be_good(
    tenant: Tenant, make: Make, database_url: str
) -> None:
    experiment = make(guardrails=ERRORS, canary=Canary(window_seconds=60))
    assert guard(tenant) == []
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE experiments SET started_at = now() - interval '61 s' WHERE id = %s", [experiment.id])
    (acted,) = guard(tenant)
    assert acted.decision.action is Action.ROLL_BACK
    assert "window ended" in acted.decision.reason


def test_the_ramp_goes_up_by_itself(tenant: Tenant, make: Make, settings: Settings) -> None:
    experiment = make(ramp=(RampStep(0.1), RampStep(0.5), RampStep(1.0)))
    assert [guard(tenant)[0].decision.share for _ in range(2)] == [0.5, 1.0]
    assert guard(tenant) == []
    after = now(tenant, experiment)
    assert (after.share, after.allocation) == (1.0, 3)
    assert audit_trail(settings, experiment.organization_id)[-1]["detail"]["weights"] == {"new": "0.5", "old": "0.5"}


def test_lost_units_pause_an_experiment(tenant: Tenant, make: Make, database_url: str) -> None:
    experiment = make()
    write_outcomes(database_url, experiment, experiment.arms[0], [Outcome()] * 400)
    write_outcomes(database_url, experiment, experiment.arms[1], [Outcome()] * 700)
    (acted,) = guard(tenant)
    assert acted.decision.action is Action.PAUSE
    assert now(tenant, experiment).state is State.PAUSED


def test_one_that_cannot_be_evaluated_does_not_stand_in_the_way(tenant: Tenant, make: Make, database_url: str) -> None:
    broken = make(name="broken", capability="probe.broken")
    make(ramp=(RampStep(0.1), RampStep(1.0)))
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM experiment_allocations WHERE experiment_id = %s", [broken.id])
    with capture_logs() as lines:
        (acted,) = guard(tenant)
    assert acted.decision.action is Action.RAMP
    assert [line["experiment_id"] for line in lines if line["event"] == "experiment_not_judged"] == [broken.id]


def test_guards_leave_each_other_their_experiments(tenant: Tenant, make: Make) -> None:
    make(ramp=(RampStep(0.1), RampStep(1.0)))
    with tenant.database.system() as first:
        assert len(guard_once(first)) == 1
        with tenant.database.system() as second:
            assert guard_once(second) == []
    with tenant.database.system() as third:
        # Evaluated a moment ago.
        assert guard_once(third) == []
