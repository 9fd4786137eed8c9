"""The operations that a company's own system offers: their arguments and answers.

Few fields are required, and the JSON Schemas are published: ``waybill tools schemas``. A field that is left out is an
unknown fact: actions that depend on it are not taken, and a person takes over.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Effect = Literal["read", "write", "money"]


def _identifier(value: object) -> object:
    # Systems number their records, or name them.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Id = Annotated[str, BeforeValidator(_identifier, json_schema_input_type=str | int), Field(min_length=1, max_length=200)]
Money = Annotated[Decimal, Field(max_digits=18, decimal_places=9)]


_TODAY = "Today, where the company is; by default in UTC."


def _today() -> date:
    return datetime.now(UTC).date()


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)


class FindCustomer(_Arguments):
    """One of both."""

    email: str | None = None
    customer_id: str | None = None


class Customer(_Answer):
    """Who it is."""

    customer_id: Id
    name: str | None = None


class ListOrders(_Arguments):
    """The newest orders of a customer."""

    customer_id: str
    limit: int


class GetOrder(_Arguments):
    """An order by the number that the customer names."""

    customer_id: str
    reference: str


class RefundMade(_Answer):
    """A refund that was made on an order."""

    reason: str = ""
    amount: Money
    made_on: date
    state: str = "paid"


class OrderAnswer(_Answer):
    """An order. `status` says where the goods are, `state` where the order is."""

    order_id: Id = Field(description="What the operations that change the order are given.")
    reference: Id | None = Field(None, description="The number that customers know it by; `order_id` when left out.")
    status: str = Field(description="Where the goods are: a word of `[statuses]` in policy.toml.")
    state: str | None = Field(None, description="Where the order is, for example `booked`, `lost` or `cancelled`.")
    service: str | None = Field(None, description="What was bought: a word of `[services]` in policy.toml.")
    tracking: Id | None = None
    price: Money | None = Field(None, description="The whole price, where its parts are not told apart.")
    base_price: Money | None = None
    fuel_surcharge: Money | None = None
    options_price: Money | None = None
    paid: Money | None = Field(None, description="What was paid up to now. Without it nothing is refunded.")
    refunded: Money | None = Field(None, description="What was refunded; the sum of `refunds` when left out.")
    refunds: list[RefundMade] | None = Field(None, description="Without it nothing is refunded.")
    times_charged: int | None = None
    placed_on: date | None = None
    promised_on: date | None = None
    first_attempt_on: date | None = Field(None, description="`delivered_on` when left out.")
    delivered_on: date | None = None
    last_scan_on: date | None = None
    last_scan_town: str | None = None
    declared_value: Money | None = None
    address_changes: int | None = None
    today: date = Field(default_factory=_today, description=_TODAY)


class Orders(_Answer):
    """A list of orders."""

    orders: list[OrderAnswer]


class TrackParcel(_Arguments):
    """A tracking number, which anybody may ask about."""

    tracking: str


class Parcel(_Answer):
    """What the public tracking page shows."""

    status: str
    tracking: Id | None = None
    promised_on: date | None = None
    last_scan_town: str | None = None
    today: date = Field(default_factory=_today, description=_TODAY)


class IssueRefund(_Arguments):
    """Pay back."""

    order_id: str
    reason: str
    amount: str = Field(description="A decimal as text.")


class Refund(_Answer):
    """The refund."""

    refund_id: Id
    method: str | None = None


class CancelOrder(_Arguments):
    """Cancel."""

    order_id: str


class Changed(_Answer):
    """What was changed."""

    order_id: Id | None = None


class ChangeAddress(_Arguments):
    """Deliver elsewhere."""

    order_id: str
    street: str
    postcode: str
    city: str


class OpenTicket(_Arguments):
    """A case for a colleague."""

    customer_id: str
    order_id: str | None = None
    kind: str
    summary: str


class Ticket(_Answer):
    """The case."""

    ticket_id: Id


class SendMessage(_Arguments):
    """The reply to the customer."""

    customer_id: str
    body: str


class Anything(_Answer):
    """The answer is not read."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that a capability needs of a system; `without` says what a job does when it is not attached."""

    name: str
    effect: Effect
    arguments: type[BaseModel]
    answer: type[BaseModel]
    without: str


OPERATIONS = {
    each.name: each
    for each in (
        Operation("find_customer", "read", FindCustomer, Customer, "no customer is known, only tracking is shown"),
        Operation("list_orders", "read", ListOrders, Orders, "customers have to name their order"),
        Operation("get_order", "read", GetOrder, OrderAnswer, "nothing is said about orders, and nothing done"),
        Operation("track_parcel", "read", TrackParcel, Parcel, "those who are not known are told nothing"),
        Operation("issue_refund", "money", IssueRefund, Refund, "a person refunds"),
        Operation("cancel_order", "write", CancelOrder, Changed, "a person cancels"),
        Operation("change_address", "write", ChangeAddress, Changed, "a person changes addresses"),
        Operation("open_ticket", "write", OpenTicket, Ticket, "a person opens tickets"),
        Operation("send_message", "write", SendMessage, Anything, "replies are returned, and not sent"),
    )
}


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas (draft 2020-12) of every operation's arguments and answer."""
    return {
        each.name: {
            "effect": each.effect,
            "arguments": each.arguments.model_json_schema(),
            "answer": each.answer.model_json_schema(mode="validation"),
        }
        for each in OPERATIONS.values()
    }
