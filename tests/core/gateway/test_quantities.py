import math

import pytest

from core.gateway.extraction.quantities import Range, quantities, ranges


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EUR 1,180.50 for two parcels", [(1180.5, "eur"), (2.0, "")]),
        ("ten hours, or 3 working days", [(10.0, "hour"), (3.0, "day")]),
        ("one of them, with zero tolerance", []),
    ],
)
def test_numbers_are_read_with_what_they_count(text: str, expected: list[tuple[float, str]]) -> None:
    assert [(each.value, each.unit) for each in quantities(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EUR 16 for an absence of 8 to 14 hours", Range(8, 14, "hour", closed=True)),
        ("A course above EUR 3,000", Range(3000, math.inf, "eur")),
        ("the whole amount in the first 12 months", Range(0, 12, "month")),
        ("half of it in the second 12 months", Range(12, 24, "month")),
        ("within two working days", Range(0, 2, "day")),
    ],
)
def test_ranges_are_read_in_the_ways_that_texts_give_them(text: str, expected: Range) -> None:
    assert expected in ranges(text)


def test_what_is_asked_for_lies_in_a_range_of_its_own_unit_only() -> None:
    (hours,) = quantities("ten hours")
    (days,) = quantities("10 days")
    absence = Range(8, 14, "hour", closed=True)
    assert absence.holds(hours)
    assert not absence.holds(days)
