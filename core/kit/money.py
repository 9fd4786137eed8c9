"""Money is `Decimal` US dollars, ``NUMERIC(18, 9)`` in Postgres and a string in JSON. Never a float."""

from decimal import ROUND_HALF_EVEN, Decimal

QUANTUM = Decimal("0.000000001")
ZERO = Decimal(0).quantize(QUANTUM)


def to_money(amount: Decimal | int | str) -> Decimal:
    """`amount` in US dollars, rounded half-even to nine places: the only rounding in the code base."""
    return Decimal(amount).quantize(QUANTUM, rounding=ROUND_HALF_EVEN)


def format_cost(amount: Decimal, *, priced: bool) -> str | None:
    """A cost as JSON: None when it is zero and not fully priced. Unknown is never zero."""
    return format_money(amount) if priced or amount else None


def cost_words(amount: Decimal, *, priced: bool) -> str:
    """A cost for people: ``1.50``, ``1.50 + not priced`` where a part has no price, ``not priced``."""
    known = format_cost(amount, priced=priced)
    if known is None:
        return "not priced"
    return known if priced else f"{known} + not priced"


def format_money(amount: Decimal) -> str:
    """The JSON form: plain digits, no exponent, no trailing zeros beyond the second place (``0.00``, ``1.0025``)."""
    text = f"{to_money(amount):f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"
