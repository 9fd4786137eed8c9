"""The tables of ``policy.toml`` and ``replies.toml``, read and checked once."""

import tomllib
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainValidator

from core.kit.expressions import Expression

Part = Literal["base_price", "fuel_surcharge", "options_price"]
Reason = Literal["express_late", "standard_late", "lost", "unused_label", "charged_twice"]
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
    orders_considered: int
    # On RE2: whoever adapts it may write what Python's engine would take hours for, on a message made for it.
    order_pattern: Annotated[Expression, PlainValidator(lambda text: Expression(text, ignore_case=True))]
    handover_words: tuple[str, ...]
    request: RequestBars
    refunds: dict[Reason, RefundRow]
    address: AddressTable
    intents: dict[str, IntentRow]


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


@lru_cache(maxsize=1)
def load_policy() -> Policy:
    """The policy tables. Raises pydantic's ValidationError for a table that says something else."""
    return Policy.model_validate(_read("policy.toml"))


@lru_cache(maxsize=1)
def load_replies() -> Replies:
    """The texts of replies."""
    return Replies.model_validate(_read("replies.toml"))


def _read(name: str) -> dict[str, object]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
