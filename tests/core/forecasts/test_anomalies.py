"""Spikes of spending: found when planted, explained by what they went to, and not seen in what is merely busy."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from core.forecasts.anomalies import Part, Spending, find
from core.kit.ids import new_id
from core.ledger.reports.records import Window

PROJECT, KEY = new_id(), new_id()
SEARCH = Part(PROJECT, "knowledge.search", "openai", "gpt-4o-mini")
REPORT = Part(PROJECT, "research.report", "openai", "gpt-4o")
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
LAST = Window(BEGIN + timedelta(days=14), BEGIN + timedelta(days=15))


def busy(seed: int, key: UUID = KEY, days: int = 15) -> list[Spending]:
    """An office's hours: none by night, quiet and loud ones by day."""
    source = random.Random(seed)
    return [
        Spending(BEGIN + timedelta(days=day, hours=hour), key, SEARCH, Decimal(f"{source.lognormvariate(0, 0.5):.6f}"))
        for day in range(days)
        for hour in range(8, 18)
    ]


def test_a_planted_spike_is_found_and_explained() -> None:
    at = LAST.begins + timedelta(hours=15)
    [found] = find([*busy(1), Spending(at, KEY, REPORT, Decimal(40))], LAST)
    assert (found.at, found.key_id) == (at, KEY)
    assert found.score is not None
    assert found.score > 20
    assert found.causes[0].part == REPORT
    assert found.causes[0].expected_usd == 0


def test_busy_hours_are_no_anomalies() -> None:
    assert sum(len(find(busy(seed), LAST)) for seed in range(100)) <= 2, "of a thousand calm hours"


def test_a_new_key_is_compared_with_the_others() -> None:
    new = new_id()
    loud = Spending(LAST.begins, new, SEARCH, Decimal(50))
    [found] = find([*busy(2), loud], LAST)
    assert (found.key_id, found.score) == (new, None)
    assert find([*busy(2), Spending(LAST.begins, new, SEARCH, Decimal("0.5"))], LAST) == []
    assert find([loud], LAST) == [], "nothing to compare it with"


def test_cents_are_not_worth_a_look() -> None:
    small = [Spending(each.at, KEY, SEARCH, each.amount_usd / 1000) for each in busy(3)]
    assert find([*small, Spending(LAST.begins, KEY, SEARCH, Decimal("0.09"))], LAST) == []
