"""What the guard decides, without a database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from core.registry.experiments.canary import Action, Clock, Finding, Status, decide, judge, level_of
from core.registry.experiments.definition import Canary, Experiment, Guardrail, Metric, RampStep, State
from core.registry.experiments.outcomes import MEANS, Outcomes, Tally
from core.registry.experiments.statistics.means import Interval
from core.registry.experiments.statistics.moments import Moments
from tests.factories.experiments import experiment

EARLY, LATE = Clock(60, 60), Clock(7200, 7200)


def canary(*metrics: tuple[Metric, float], ramp: tuple[RampStep, ...] = (), **given: object) -> Experiment:
    guardrails = tuple(Guardrail(metric, bound) for metric, bound in metrics)
    return experiment(guardrails=guardrails, ramp=ramp, canary=Canary(**given))  # type: ignore[arg-type]


def outcomes(tested: Experiment, **values: tuple[Sequence[float], Sequence[float]]) -> Outcomes:
    tallies = []
    for position, arm in enumerate(tested.arms):
        moments = {name: Moments.of(values[name][position]) if name in values else Moments() for name in MEANS}
        count = max(each.units for each in moments.values())
        tallies.append(Tally(arm.id, 1, count, count, 0, 0, moments))
    return Outcomes(tallies, {1: tested.weights()})


def judged(tested: Experiment, **values: tuple[Sequence[float], Sequence[float]]) -> list[Finding]:
    nothing = Interval(0.0, float("-inf"), float("inf"), 0.0, 0)
    return judge(tested, outcomes(tested, **values), {arm.id: nothing for arm in tested.arms})


def units(tested: Experiment, each: int = 500) -> Mapping[UUID, int]:
    return {arm.id: each for arm in tested.arms}


def rates(good: int, bad: int) -> list[float]:
    return [1.0] * good + [0.0] * bad


@pytest.mark.parametrize(
    ("treatment", "control", "status"),
    [
        (rates(70, 30), rates(99, 1), Status.BREACHED),
        (rates(990, 10), rates(990, 10), Status.KEPT),
        (rates(95, 5), rates(99, 1), Status.OPEN),
        (rates(5, 5), rates(990, 10), Status.OPEN),
    ],
)
def test_the_error_rate_may_be_so_much_higher(treatment: list[float], control: list[float], status: Status) -> None:
    (finding,) = judged(canary((Metric.ERROR_RATE, 0.05)), success=(treatment, control))
    assert finding.status is status
    assert finding.control == pytest.approx(1 - sum(control) / len(control))


@pytest.mark.parametrize(
    ("metric", "outcome", "treatment", "status"),
    [
        (Metric.COST, "cost", 1.0, Status.KEPT),
        (Metric.COST, "cost", 1.4, Status.BREACHED),
        (Metric.COST, "cost", 1.25, Status.OPEN),
        (Metric.LATENCY_MEAN, "latency", 2.0, Status.BREACHED),
        (Metric.LATENCY_MEAN, "latency", 0.5, Status.KEPT),
    ],
)
def test_cost_and_latency_are_compared_as_ratios(
    metric: Metric, outcome: str, treatment: float, status: Status
) -> None:
    spread = [0.9, 1.1] * 400
    (finding,) = judged(canary((metric, 1.25)), **{outcome: ([treatment * each for each in spread], spread)})
    assert finding.status is status


@pytest.mark.parametrize(("lower", "status"), [(0.0, Status.KEPT), (0.3, Status.BREACHED), (0.05, Status.OPEN)])
def test_quality_may_be_so_much_lower(lower: float, status: Status) -> None:
    scores = [0.7, 0.9] * 300
    (finding,) = judged(canary((Metric.QUALITY, 0.05)), quality=([each - lower for each in scores], scores))
    assert finding.status is status


@pytest.mark.parametrize(
    ("treatment", "status"),
    [((2.0, 2.4), Status.BREACHED), ((0.9, 1.1), Status.KEPT), ((1.0, 2.0), Status.OPEN)],
)
def test_the_percentile_is_compared_by_its_bounds(treatment: tuple[float, float], status: Status) -> None:
    tested = canary((Metric.LATENCY_P95, 1.5))
    bounds = {
        tested.treatments[0].id: Interval(sum(treatment) / 2, *treatment, 0.0, 500),
        tested.control.id: Interval(1.0, 0.9, 1.2, 0.0, 500),
    }
    (finding,) = judge(tested, outcomes(tested), bounds)
    assert finding.status is status


def findings(tested: Experiment, *statuses: Status) -> list[Finding]:
    arm = tested.treatments[0]
    return [Finding(arm, rail, status, 0.3, 0.01) for rail, status in zip(tested.guardrails, statuses, strict=True)]


BOTH = ((Metric.ERROR_RATE, 0.05), (Metric.COST, 1.25))


def test_one_breach_rolls_back_whatever_else_is_kept() -> None:
    tested = canary(*BOTH)
    decision = decide(tested, findings(tested, Status.BREACHED, Status.KEPT), EARLY, units(tested), 1.0)
    assert decision.action is Action.ROLL_BACK
    assert decision.reason == "error_rate of 'new' is 0.3 against 0.01 of the control; allowed: 0.05 from it"


def test_a_plain_experiment_is_rolled_back_too_but_never_promoted() -> None:
    tested = replace(canary(*BOTH), canary=None)
    assert decide(tested, findings(tested, Status.BREACHED, Status.OPEN), EARLY, units(tested), 1.0).action is (
        Action.ROLL_BACK
    )
    assert decide(tested, findings(tested, Status.KEPT, Status.KEPT), LATE, units(tested), 1.0).action is Action.WAIT


def test_all_kept_promotes_and_one_open_waits() -> None:
    tested = canary(*BOTH)
    kept = decide(tested, findings(tested, Status.KEPT, Status.KEPT), EARLY, units(tested), 1.0)
    assert (kept.action, kept.arm) == (Action.PROMOTE, tested.treatments[0])
    waits = decide(tested, findings(tested, Status.KEPT, Status.OPEN), EARLY, units(tested), 1.0)
    assert waits.action is Action.WAIT


def test_a_mismatch_pauses_even_what_looks_good() -> None:
    tested = canary(*BOTH)
    decision = decide(tested, findings(tested, Status.KEPT, Status.KEPT), EARLY, units(tested), 1e-9)
    assert (decision.action, "sample ratio mismatch" in decision.reason) == (Action.PAUSE, True)


@pytest.mark.parametrize(
    ("undecided", "action"),
    [
        (State.ROLLED_BACK, Action.ROLL_BACK),
        (State.PAUSED, Action.PAUSE),
        (State.PROMOTED, Action.PROMOTE),
    ],
)
def test_a_window_ends_as_was_agreed(undecided: State, action: Action) -> None:
    tested = canary(*BOTH, undecided=undecided)
    unclear = findings(tested, Status.OPEN, Status.KEPT)
    decision = decide(tested, unclear, LATE, units(tested), 1.0)
    assert (decision.action, "error_rate" in decision.reason) == (action, True)
    assert decide(tested, unclear, EARLY, units(tested, 5_000), 1.0).action is action
    assert decide(tested, unclear, EARLY, units(tested), 1.0).action is Action.WAIT


def test_a_ramp_goes_on_once_its_step_was_held_by_time_and_by_units() -> None:
    steps = (RampStep(0.1, 300, 100), RampStep(0.5, 300), RampStep(1.0))
    tested = replace(canary(*BOTH, ramp=steps), share=0.1)
    kept = findings(tested, Status.KEPT, Status.KEPT)

    def following(clock: Clock, each: int, share: float = 0.1) -> tuple[Action, float | None]:
        decision = decide(replace(tested, share=share), kept, clock, units(tested, each), 1.0)
        return decision.action, decision.share

    assert following(Clock(600, 299), 100) == (Action.WAIT, None)
    assert following(Clock(600, 300), 99) == (Action.WAIT, None)
    assert following(Clock(600, 300), 100) == (Action.RAMP, 0.5)
    # A share that somebody set by hand belongs to the step below it.
    assert following(Clock(600, 300), 100, 0.3) == (Action.RAMP, 0.5)
    assert following(Clock(600, 300), 100, 0.5) == (Action.RAMP, 1.0)
    assert following(Clock(600, 10), 100, 1.0) == (Action.PROMOTE, None)


def test_guardrails_share_the_level() -> None:
    assert level_of(canary(*BOTH)) == pytest.approx(0.025)
    assert level_of(experiment({"a": 0.2, "b": 0.2, "old": 0.6})) == pytest.approx(0.025)
