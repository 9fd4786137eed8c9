"""The tables of ``policy.toml`` and ``replies.toml``, read and checked once."""

import hashlib
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from core.kit.expressions import Expression
from core.kit.operator_files import OperatorFile
from core.kit.settings import get_settings

Part = Literal["base_price", "fuel_surcharge", "options_price"]
Reason = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,59}$")]
Rule = Literal["status", "ticket", "refund", "refund_status", "lost", "cancel", "address", "person"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RefundRow(_Table):
    """When a refund is due, how much it is, and until when it can be asked for."""

    services: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    late_days: int | None = None
    times_charged: int = 1
    share: Decimal
    of: tuple[Part, ...]
    within_days: int
    counted_from: Literal["placed_on", "first_attempt_on"]


class AddressTable(_Table):
    """When an address can be changed."""

    free: tuple[str, ...]
    for_a_fee: tuple[str, ...]
    fee: Decimal
    colleague: tuple[str, ...]
    value_max: Decimal
    changes_max: int


class RequestBars(_Table):
    """How sure a request has to be.

    An action that moves something needs the probability `act_min`, and the message as a whole has to be a request by
    `margin_min` more than it is any other thing. A ticket needs the probability `report_min`.
    """

    act_min: float
    margin_min: float
    report_min: float


class IntentRow(_Table):
    """What an intent leads to. Only `operations` may be called for it, whatever a rule or a model proposes."""

    rule: Rule
    question: str
    operations: tuple[str, ...]
    refunds: tuple[Reason, ...] = ()
    ticket: str | None = None


class Policy(_Table):
    """``policy.toml``."""

    intent_confidence_min: Decimal
    intent_margin_min: Decimal
    ticket_confidence_min: Decimal
    search_after_working_days: int
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    orders_considered: int
    # On RE2: an adapted pattern could take Python's engine hours on a message crafted for it.
    order_pattern: Annotated[Expression, PlainValidator(lambda text: Expression(text, ignore_case=True))]
    handover_words: tuple[str, ...]
    # The company's own words for where goods and orders are, as the rules call them.
    statuses: dict[str, str] = {}
    states: dict[str, str] = {}
    request: RequestBars
    refunds: dict[Reason, RefundRow]
    address: AddressTable
    intents: dict[str, IntentRow]

    @model_validator(mode="after")
    def _rows_are_there(self) -> Self:
        for name, row in self.intents.items():
            if missing := set(row.refunds) - set(self.refunds):
                raise ValueError(f"intents.{name}: there is no table refunds.{min(missing)}")
        return self


class Replies(_Table):
    """``replies.toml``."""

    greeting: str
    greeting_unknown: str
    closing: str
    decisions: dict[str, str]
    offers: dict[str, str]
    requests: dict[str, str]
    wishes: dict[str, str]
    statuses: dict[str, str]
    methods: dict[str, str]


Tables = TypeVar("Tables", bound=_Table)


@lru_cache(maxsize=1)
def load_policy() -> Policy:
    """The policy tables. Raises `Unavailable` (``policy_invalid``), which names the entries that are wrong."""
    return _load("policy.toml", Policy)


@lru_cache(maxsize=1)
def policy_version() -> str:
    """The version of the policy tables: it differs after every change of the file."""
    return hashlib.sha256(_place("policy.toml").read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def load_replies() -> Replies:
    """The texts of replies. Raises like `load_policy`."""
    return _load("replies.toml", Replies)


def _load(name: str, kind: type[Tables]) -> Tables:
    return OperatorFile(_place(name), "WAYBILL_CUSTOMER_OPERATIONS_DIR", code="policy_invalid").read(kind)


def _place(name: str) -> Traversable:
    """The operator's file if there is one, else the sample's, of a fictional parcel company."""
    folder = get_settings().customer_operations_dir
    own = None if folder is None else folder / name
    return own if own is not None and own.exists() else files(__package__).joinpath(name)
