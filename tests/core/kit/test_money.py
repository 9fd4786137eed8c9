from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kit.money import QUANTUM, ZERO, format_money, to_money


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("1", "1.00"),
        ("1.5", "1.50"),
        ("1.0025", "1.0025"),
        ("0.000000001", "0.000000001"),
        ("0.0000000005", "0.00"),
        ("0.0000000015", "0.000000002"),
        ("-0.1", "-0.10"),
        ("123456789.123456789", "123456789.123456789"),
        ("1E+3", "1000.00"),
        ("1e-9", "0.000000001"),
    ],
)
def test_the_json_form(amount: str, text: str) -> None:
    assert format_money(Decimal(amount)) == text


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=9))
def test_nine_places_come_back_exactly(amount: Decimal) -> None:
    assert Decimal(format_money(amount)) == amount


@given(st.lists(st.decimals(min_value=0, max_value=1000, places=9), max_size=50))
def test_sums_do_not_drift(amounts: list[Decimal]) -> None:
    total = ZERO
    for amount in amounts:
        total = to_money(total + amount)
    assert total == sum(amounts, ZERO)
    assert total.as_tuple().exponent == QUANTUM.as_tuple().exponent
