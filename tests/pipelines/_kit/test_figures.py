"""Figures in one spelling, whatever a claim and its source make of them."""

import pytest

from pipelines._kit.figures import missing_figures


@pytest.mark.parametrize(
    ("claim", "source", "missing"),
    [
        ("within 14 days", "within fourteen days", []),
        ("within fourteen days", "within 14 days", []),
        ("within 30 days", "within fourteen days", ["30"]),
        ("1000 EUR and 3 EUR", "1,000.00 EUR and 3.00 EUR", []),
        ("84,20 EUR", "84.20 EUR", []),
        ("from 09:00", "from 9:00", []),
        ("on 2026-05-01", "on 1 May 2026", []),
        ("on 2026-06-01", "on 1 May 2026", ["06"]),
        ("forty-eight or ninety two", "48", ["92"]),
        ("12, 12 and 7", "12.50", ["12", "7"]),
        ("no figure at all", "", []),
    ],
)
def test_what_a_source_does_not_hold_is_named_once(claim: str, source: str, missing: list[str]) -> None:
    assert missing_figures(claim, [source]) == missing
