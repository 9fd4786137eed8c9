"""Forecasts of budgets: calm spending is foretold, unsteady spending widens the interval, and nothing is invented."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.forecasts.burn import hours_of, project
from core.kit.ids import new_id
from core.ledger.records import Budget

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def budget(limit: str, spent: str = "0", period: str = "month") -> Budget:
    organization = new_id()
    return Budget(
        new_id(),
        organization,
        "b",
        "organization",
        organization,
        period,  # type: ignore[arg-type]
        Decimal(limit),
        hard=True,
        on_exhaustion="fail",
        thresholds=(),
        created_at=NOW,
        archived_at=None,
        period_start=None,
        spent_usd=Decimal(spent),
    )


def test_steady_spending_reaches_its_limit_when_arithmetic_says_so() -> None:
    made = project(budget("300", "100"), [1.0] * 240, NOW)
    assert made.burn_usd_per_day == Decimal("24.000000000")
    assert made.exhausted_at == (NOW + timedelta(hours=200),) * 3
    assert made.probability == 1.0
    assert made.projected_usd is not None
    # From half past ten on the 20th to the end of the month are 253.5 hours, of which the last begins within it.
    assert made.projected_usd.p50 == Decimal(100 + 254)


def test_what_will_not_be_reached_is_not() -> None:
    made = project(budget("1000", "100"), [1.0] * 240, NOW)
    assert made.exhausted_at == (None, None, None)
    assert made.probability == 0.0


def test_a_day_of_history_is_the_least() -> None:
    made = project(budget("10"), [1.0] * 23, NOW)
    assert made.projected_usd is None
    assert made.exhausted_at is None
    assert project(budget("10"), [], NOW).burn_usd_per_day == 0


def test_what_is_spent_already_is_exhausted_now() -> None:
    assert project(budget("10", "10"), [0.5] * 48, NOW).exhausted_at == (NOW, NOW, NOW)


def test_hours_before_the_first_spending_are_no_history() -> None:
    since = NOW.replace(minute=0) - timedelta(hours=100)
    assert hours_of({NOW.replace(minute=0) - timedelta(hours=3): 2.0, NOW.replace(minute=0): 9.0}, since, NOW) == [
        2.0,
        0.0,
        0.0,
    ]


def test_four_in_five_futures_lie_within_the_interval() -> None:
    """Offices that spend by day and not by night, with days of any size: what follows is mostly as foretold."""
    source = random.Random(11)

    def days(count: int) -> list[float]:
        hours: list[float] = []
        for _ in range(count):
            size = source.lognormvariate(0, 0.6)
            hours.extend(size * source.lognormvariate(0, 0.5) if 8 <= hour < 18 else 0.0 for hour in range(24))
        return hours

    within = 0
    rounds = 60
    now = datetime(2026, 11, 20, tzinfo=UTC)
    for _ in range(rounds):
        past, future = days(28), days(11)
        made = project(budget("100000"), past, now)
        assert made.projected_usd is not None
        within += float(made.projected_usd.p10) <= sum(future[:264]) <= float(made.projected_usd.p90)
    # 80 % are meant; 28 days of past make the interval of 11 days somewhat too narrow.
    assert 0.6 <= within / rounds <= 0.95
