"""What a decision is made of: the order as the company's system tells it, and what the customer asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its shipment, typed. `made` are its refunds: (reason, amount, day), the voided ones left out."""

    id: str
    service: str
    state: str
    status: str
    tracking: str
    paid: Decimal
    refunded: Decimal
    prices: Mapping[str, Decimal]
    times_charged: int
    placed_on: date
    promised_on: date
    first_attempt_on: date | None
    delivered_on: date | None
    last_scan_on: date | None
    last_scan_town: str
    declared_value: Decimal
    address_changes: int
    today: date
    made: tuple[tuple[str, Decimal, date], ...]

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Order":
        """The order in a tool's answer. Raises KeyError, TypeError, ValueError or ArithmeticError."""
        names = ("base_price", "fuel_surcharge", "options_price")
        return cls(
            id=str(told["order_id"]),
            service=str(told["service"]),
            state=str(told["state"]),
            status=str(told["status"]),
            tracking=str(told["tracking"]),
            paid=_money(told["paid"]),
            refunded=_money(told["refunded"]),
            prices={name: _money(told[name]) for name in names},
            times_charged=int(told["times_charged"]),
            placed_on=date.fromisoformat(told["placed_on"]),
            promised_on=date.fromisoformat(told["promised_on"]),
            first_attempt_on=_day(told["first_attempt_on"]),
            delivered_on=_day(told["delivered_on"]),
            last_scan_on=_day(told["last_scan_on"]),
            last_scan_town=str(told["last_scan_town"]),
            declared_value=_money(told["declared_value"]),
            address_changes=int(told["address_changes"]),
            today=date.fromisoformat(told["today"]),
            made=tuple(
                (refund["reason"], _money(refund["amount"]), date.fromisoformat(refund["made_on"]))
                for refund in told.get("refunds", ())
                if refund["state"] != "voided"
            ),
        )

    @property
    def is_canceled(self) -> bool:
        """Whether it was canceled, in either spelling."""
        return self.state in {"cancelled", "canceled"}

    @property
    def working_days_late(self) -> int:
        """Working days from the promised day to the first attempt; 0 when it was in time or is still to come."""
        return working_days(self.promised_on, self.first_attempt_on) if self.first_attempt_on else 0

    @property
    def working_days_silent(self) -> int:
        """Working days since the last scan."""
        return working_days(self.last_scan_on, self.today) if self.last_scan_on else 0


def _money(told: Any) -> Decimal:
    amount = Decimal(told)
    if not amount.is_finite():
        raise ValueError("is not a finite amount")
    return amount


def working_days(begin: date, end: date) -> int:
    """Days from Monday to Friday after `begin`, up to and with `end`."""
    days = (begin + timedelta(days=number) for number in range(1, (end - begin).days + 1))
    return sum(1 for day in days if day.weekday() < _SATURDAY)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
