"""Prices as services hand them around."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from uuid import UUID

from core.ledger.records import Unit

# Stands for every model of a provider without its own price.
ANY_MODEL = "*"
# Providers that a deployment may belong to: a model that names no other provider is priced under this name.
DEPLOYED_PROVIDERS = ("anthropic", "azure-openai", "local", "openai-compatible")
PRICE_QUANTUM = Decimal("0.000000000000001")
PRICE_LIMIT = Decimal(1_000_000_000)


class PriceSource(StrEnum):
    """The source of a price."""

    PACKAGE = "genai-prices"
    OPERATOR = "operator"
    BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """A stored price, in US dollars for one unit. `organization_id` None: a global price."""

    id: UUID
    organization_id: UUID | None
    provider: str
    model: str
    unit: Unit
    above_input_tokens: int
    usd_per_unit: Decimal
    valid_from: datetime
    recorded_at: datetime
    source: PriceSource


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A price to add. `valid_from` None: from now on, by the database's clock."""

    provider: str
    model: str
    unit: Unit
    usd_per_unit: Decimal
    valid_from: datetime | None = None
    above_input_tokens: int = 0
    source: PriceSource = PriceSource.OPERATOR


@dataclass(frozen=True, slots=True)
class Priced:
    """A cost. `amount_usd` is the exact sum of `amounts`, each rounded once by `core.kit.money.to_money`.

    `is_known` is False when some quantity has no price; that quantity is then not in the amount.
    """

    amount_usd: Decimal
    amounts: Mapping[Unit, Decimal]
    price_ids: tuple[UUID, ...]
    is_known: bool


def to_price(value: Decimal) -> Decimal:
    """`value` in US dollars per unit rounded to the fifteen decimals of a stored price."""
    return value.quantize(PRICE_QUANTUM, rounding=ROUND_HALF_EVEN)


def format_price(value: Decimal) -> str:
    """The JSON form: plain digits, no exponent, no trailing zeros (``0.0000025``, ``0``)."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
