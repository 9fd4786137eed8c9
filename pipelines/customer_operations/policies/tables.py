"""The tables of ``policy.toml`` and ``replies.toml``, read and checked once."""

import hashlib
import string
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from core.kit.expressions import Expression
from core.kit.operator_files import OperatorFile
from core.kit.settings import get_settings

Part = Literal["base_price", "fuel_surcharge", "options_price"]
Reason = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,59}$")]
Rule = Literal["status", "ticket", "refund", "refund_status", "lost", "cancel", "address", "person"]

# What the rules call where goods are, where an order is, and a service that no refund table names. A word that no rule
# knows says nothing to them.
STATUSES = ("LBL", "COL", "SRT", "TRN", "DEP", "OFD", "ATT", "HLD", "DLV", "RTS", "LST")
STATES = ("booked", "in_transit", "delivered", "returned", "lost", "cancelled", "canceled")
OTHER_SERVICE = "other"


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
    # The company's own words for where goods and orders are and for what was bought, as the rules call them.
    statuses: dict[str, str] = {}
    states: dict[str, str] = {}
    services: dict[str, str] = {}
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

    @model_validator(mode="after")
    def _words_are_known(self) -> Self:
        tables = {
            "statuses": (self.statuses, self.known_statuses),
            "states": (self.states, self.known_states),
            "services": (self.services, self.known_services),
        }
        wrong = [
            f"{table}.{name}: no rule knows the word on its right; write your own word on the left, and on the right"
            f" one of {', '.join(sorted(known))}"
            for table, (mapping, known) in tables.items()
            for name, word in mapping.items()
            if word not in known
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def known_statuses(self) -> frozenset[str]:
        """The words of the rules for where goods are, with those that the tables name."""
        named = (*self.address.free, *self.address.for_a_fee, *self.address.colleague)
        return frozenset({*STATUSES, *named, *(word for row in self.refunds.values() for word in row.statuses)})

    @property
    def known_states(self) -> frozenset[str]:
        """The words of the rules for where an order is, with those that the tables name."""
        return frozenset({*STATES, *(word for row in self.refunds.values() for word in row.states)})

    @property
    def known_services(self) -> frozenset[str]:
        """The words of the refund tables for what was bought, and the one for what none of them names."""
        return frozenset({OTHER_SERVICE, *(word for row in self.refunds.values() for word in row.services)})

    def status_of(self, word: str) -> str:
        """The rules' word for the company's own `word` of a status."""
        return self.statuses.get(word, word)

    def state_of(self, word: str) -> str:
        """The rules' word for the company's own `word` of a state."""
        return self.states.get(word, word)

    def service_of(self, word: str) -> str:
        """The rules' word for the company's own `word` of a service."""
        return self.services.get(word, word)


class Replies(_Table):
    """``replies.toml``."""

    greeting: str
    greeting_unknown: str
    closing: str
    date: Annotated[str, Field(pattern=r"\{month\}")]
    months: Annotated[tuple[str, ...], Field(min_length=12, max_length=12)]
    decisions: dict[str, str]
    # In place of the same text of `decisions` where the estimate of the delivery has passed, or is not known.
    estimate_passed: dict[str, str]
    estimate_unknown: dict[str, str]
    offers: dict[str, str]
    requests: dict[str, str]
    wishes: dict[str, str]
    statuses: dict[str, str]
    methods: dict[str, str]

    @model_validator(mode="after")
    def _texts_are_there(self) -> Self:
        """Every text of the sample has its counterpart, with no facts but the sample's."""
        sample = _sample_texts()
        wrong = [each for name in _TEXTS for each in _wrong(name, getattr(self, name), sample[name])]
        of_all = {name: getattr(self, name) for name in ("greeting", "date")}
        wrong += [each for name, text in of_all.items() for each in _wrong("", {name: text}, {name: sample[name]})]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


Tables = TypeVar("Tables", bound=_Table)
_TEXTS = ("decisions", "estimate_passed", "estimate_unknown", "offers", "requests", "wishes", "statuses")


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


def source(name: str) -> str:
    """The file that ``policy.toml`` or ``replies.toml`` is read from, for people."""
    return str(_own(name) or f"the sample company's {name}")


def _sample_texts() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("replies.toml").read_text(encoding="utf-8"))


def _wrong(table: str, texts: Mapping[str, str], sample: Mapping[str, str]) -> list[str]:
    at = f"{table}." if table else ""
    wrong = [f"{at}{name}: the text is missing" for name in sample if name not in texts]
    known = {fact for text in sample.values() for fact in _facts(text)}
    for name, text in texts.items():
        try:
            unknown = [fact for fact in _facts(text) if fact not in known]
        except ValueError:
            wrong.append(f"{at}{name}: a brace has no counterpart")
            continue
        if unknown:
            wrong.append(f"{at}{name}: there is a fact in braces that is none of {', '.join(sorted(known))}")
    return wrong


def _facts(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


def _load(name: str, kind: type[Tables]) -> Tables:
    return OperatorFile(_place(name), "WAYBILL_CUSTOMER_OPERATIONS_DIR", code="policy_invalid").read(kind)


def _place(name: str) -> Traversable:
    """The operator's file if there is one, else the sample's, of a fictional parcel company."""
    return _own(name) or files(__package__).joinpath(name)


def _own(name: str) -> Path | None:
    folder = get_settings().customer_operations_dir
    own = None if folder is None else folder / name
    return own if own is not None and own.exists() else None
