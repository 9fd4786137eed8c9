"""The facts of a decision: the order from the company's system, and the customer's request."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pipelines.customer_operations.operations import OrderAnswer

_SATURDAY = 5
_NOTHING = Decimal(0)
_PARTS = ("base_price", "fuel_surcharge", "options_price")
_MAY_BE_NULL = frozenset({"first_attempt_on", "delivered_on", "last_scan_on"})


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its shipment, typed. `made` are its refunds: (reason, amount, day), without the voided ones.

    `unknown` are the names of the facts that the system left out. They hold an empty value here, which no rule may
    depend on.
    """

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
    unknown: frozenset[str] = frozenset()
    reference: str = ""

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "Order":
        """The order in a tool's answer. Raises pydantic's ValidationError, which names all fields that do not fit."""
        read = OrderAnswer.model_validate(answer)
        # For a day that may lie ahead, null means that there is none; for all else, that it is not known.
        known = {name for name in read.model_fields_set if name in _MAY_BE_NULL or getattr(read, name) is not None}
        made = tuple(
            (refund.reason, refund.amount, refund.made_on) for refund in read.refunds or () if refund.state != "voided"
        )
        prices = {name: getattr(read, name) for name in _PARTS}
        if read.price is not None and not known & set(_PARTS):
            prices["base_price"] = read.price
            known |= set(_PARTS)
        attempted = read.first_attempt_on if "first_attempt_on" in known else read.delivered_on
        known |= {"first_attempt_on"} if "delivered_on" in known else set()
        known |= {"refunded"} if read.refunds is not None else set()
        return cls(
            id=read.order_id,
            service=read.service or "",
            state=read.state or "",
            status=read.status,
            tracking=read.tracking or "",
            paid=read.paid or _NOTHING,
            refunded=sum((amount for _, amount, _ in made), _NOTHING) if read.refunded is None else read.refunded,
            prices={name: price or _NOTHING for name, price in prices.items()},
            times_charged=read.times_charged or 1,
            placed_on=read.placed_on or read.today,
            promised_on=read.promised_on or read.today,
            first_attempt_on=attempted,
            delivered_on=read.delivered_on,
            last_scan_on=read.last_scan_on,
            last_scan_town=read.last_scan_town or "",
            declared_value=read.declared_value or _NOTHING,
            address_changes=read.address_changes or 0,
            today=read.today,
            made=made,
            reference=read.reference or read.order_id,
            unknown=frozenset(OrderAnswer.model_fields) - known - {"today", "price"},
        )

    @property
    def is_canceled(self) -> bool:
        """Whether it was canceled, in either spelling."""
        return self.state in {"cancelled", "canceled"}

    @property
    def working_days_late(self) -> int:
        """Working days from the promised day to the first attempt; 0 when it was in time or has not happened yet."""
        return working_days(self.promised_on, self.first_attempt_on) if self.first_attempt_on else 0

    @property
    def working_days_silent(self) -> int:
        """Working days since the last scan."""
        return working_days(self.last_scan_on, self.today) if self.last_scan_on else 0


def working_days(begin: date, end: date) -> int:
    """Days from Monday to Friday after `begin`, up to and including `end`."""
    days = (begin + timedelta(days=number) for number in range(1, (end - begin).days + 1))
    return sum(1 for day in days if day.weekday() < _SATURDAY)
