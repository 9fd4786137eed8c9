"""The rules of Veldhaven's system, for all callers: states, amounts and time windows. Pure functions over rows."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]

# Statuses of a parcel that has not been sorted yet: its order can be canceled and its address freely changed.
NOT_SORTED = frozenset({"LBL", "COL"})
_ADDRESS_FIXED = frozenset({"OFD", "RTS", "DLV", "LST"})
_ADDRESS_CHANGES_MAX = 2
GOODWILL_MAX = Decimal("15.00")
GOODWILL_GRANTS_MAX = 3
GOODWILL_DAYS = 90
# Days in which a refund may be made, and the day of the order or of its shipment from which they count.
_WINDOWS: dict[str, tuple[int, str]] = {
    "express_late": (14, "first_attempt_on"),
    "standard_late": (30, "first_attempt_on"),
    "unused_label": (30, "placed_on"),
    "charged_twice": (365, "placed_on"),
    "option_not_performed": (30, "delivered_on"),
    "goodwill": (90, "placed_on"),
    "lost": (365, "placed_on"),
}
# How refunds are paid: account credit for these, the payment method for the others.
_CREDITED = frozenset({"standard_late", "goodwill"})


class Refused(Exception):
    """The system refuses. `code` is stable; the message is for people and holds nothing personal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def require_refundable(order: Row, shipment: Row, *, reason: str, amount: Decimal, today: date) -> None:
    """Raise `Refused` unless `amount` may be refunded on the order for `reason` today."""
    if reason not in _WINDOWS:
        raise Refused("reason_unknown", f"{reason[:40]} is no reason for a refund")
    if amount <= 0 or amount != amount.quantize(Decimal("0.01")):
        raise Refused("amount_invalid", "a refund is a positive amount of whole cents")
    left = order["paid"] - order["refunded"]
    if amount > left:
        raise Refused("refund_exceeds_paid", f"at most {left} EUR of this order can be refunded")
    days, counted_from = _WINDOWS[reason]
    begin = order[counted_from] if counted_from in order else shipment[counted_from]
    if begin is None:
        raise Refused("order_state", f"nothing has happened to this order that would be refunded as {reason}")
    if today > begin + timedelta(days=days):
        raise Refused("window_closed", f"{reason} can be refunded until {begin + timedelta(days=days)}")
    _require_reason_holds(order, shipment, reason, amount)


def _require_reason_holds(order: Row, shipment: Row, reason: str, amount: Decimal) -> None:
    late = shipment["first_attempt_on"] is not None and shipment["first_attempt_on"] > shipment["promised_on"]
    once = order["base_price"] + order["fuel_surcharge"] + order["options_price"]
    holds = {
        "express_late": late and order["service"] != "standard",
        "standard_late": late and order["service"] == "standard",
        "lost": order["state"] == "lost",
        "unused_label": order["state"] == "cancelled",
        "charged_twice": order["times_charged"] > 1 and amount <= once,
        "option_not_performed": order["options_price"] > 0 and amount <= order["options_price"],
        "goodwill": amount <= GOODWILL_MAX,
    }
    if not holds[reason]:
        raise Refused("reason_does_not_hold", f"the order's own records do not support a refund as {reason}")


def method_of(reason: str) -> str:
    """``credit`` for a refund to the account, ``payment`` for one to the original payment method."""
    return "credit" if reason in _CREDITED else "payment"


def require_cancellable(order: Row, shipment: Row) -> None:
    """Raise `Refused` unless the order's label is unused."""
    if order["state"] != "booked" or shipment["status"] != "LBL":
        raise Refused("order_state", f"an order that is {order['state']} can no longer be cancelled")


def require_movable(shipment: Row, *, country: str) -> None:
    """Raise `Refused` unless the parcel's address can still be changed, to this country."""
    if shipment["status"] in _ADDRESS_FIXED:
        raise Refused("order_state", f"the address of a parcel in status {shipment['status']} cannot be changed")
    if shipment["address_changes"] >= _ADDRESS_CHANGES_MAX:
        raise Refused("too_many_changes", "the address of a parcel is changed at most twice")
    if shipment["status"] not in NOT_SORTED and country != shipment["country"]:
        raise Refused("other_country", "a sorted parcel cannot be sent to another country")
