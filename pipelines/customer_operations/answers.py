"""What the operations of a company's system answer, as `docs/howto/attach-your-business-system.md` promises."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from pipelines._kit.tools.answers import AnswerReaders
from pipelines.customer_operations.policies.facts import Order

# Systems number their records, or name them.
_Id = Annotated[StrictStr, Field(min_length=1, max_length=200)] | StrictInt


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Customer(_Answer):
    customer_id: _Id
    name: StrictStr | None = None


class _Orders(_Answer):
    orders: list[dict[str, Any]] = []


class _Parcel(_Answer):
    tracking: _Id | None = None
    status: StrictStr
    promised_on: StrictStr | None = None
    last_scan_town: StrictStr | None = None


class _Refund(_Answer):
    refund_id: _Id
    method: StrictStr | None = None


class _Changed(_Answer):
    order_id: _Id


class _Ticket(_Answer):
    ticket_id: _Id


def _read_orders(told: Mapping[str, Any]) -> None:
    for order in _Orders.model_validate(told).orders:
        Order.read(order)


READERS: AnswerReaders = {
    "find_customer": _Customer.model_validate,
    "list_orders": _read_orders,
    "get_order": Order.read,
    "track_parcel": _Parcel.model_validate,
    "issue_refund": _Refund.model_validate,
    "cancel_order": _Changed.model_validate,
    "change_address": _Changed.model_validate,
    "open_ticket": _Ticket.model_validate,
}
