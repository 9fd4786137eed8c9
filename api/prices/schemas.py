"""Prices schemas."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.times import Moment
from core.kit.clock import isoformat
from core.kit.ids import PRICE, encode
from core.ledger.prices.records import PriceRecord, PriceSource, format_price
from core.ledger.records import Unit

_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,15})?$"
_FORM = re.compile(_PATTERN, re.ASCII)
NAME_PATTERN = r"^[!-~]([ -~]*[!-~])?$"
PROVIDER_MAX = 100
MODEL_MAX = 200


def _parse_price(value: object) -> object:
    if isinstance(value, str) and _FORM.fullmatch(value):
        return Decimal(value)
    raise PydanticCustomError(
        "price", 'must be US dollars for one unit, as a string with at most fifteen decimals, for example "0.0000025"'
    )


UnitPrice = Annotated[Decimal, BeforeValidator(_parse_price), WithJsonSchema({"type": "string", "pattern": _PATTERN})]


class SetPrice(BaseModel):
    """A new dated price for the key's organization."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"provider": "azure", "model": "gpt-4o", "unit": "output_tokens", "usd_per_unit": "0.000009"}]
        },
    )

    provider: str = Field(
        min_length=1, max_length=PROVIDER_MAX, pattern=NAME_PATTERN, description="The provider that charges it."
    )
    model: str = Field(
        min_length=1,
        max_length=MODEL_MAX,
        pattern=NAME_PATTERN,
        description=(
            "The provider's name of the model. `*` applies to every model of the provider without a price of its own."
        ),
    )
    unit: Unit
    usd_per_unit: UnitPrice = Field(description="US dollars for one unit, as a decimal string.")
    valid_from: Moment | None = Field(None, description="Start of validity; may be in the future. Default: now.")
    above_input_tokens: int = Field(
        0, ge=0, le=10**12, description="Applies to the whole of a call with more input tokens than this."
    )


class Price(BaseModel):
    """A price. It never changes; a later price replaces it."""

    id: str
    provider: str
    model: str
    unit: Unit
    above_input_tokens: int
    usd_per_unit: str = Field(description="US dollars for one unit, as a decimal string.", examples=["0.0000025"])
    valid_from: datetime
    recorded_at: datetime
    source: PriceSource
    applies_to: str = Field(description="`organization`: yours. `shared`: shared, used unless you have your own.")


class PricePage(BaseModel):
    """Prices by provider, model and unit; or the prices of one model, latest first."""

    data: list[Price]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(price: PriceRecord) -> dict[str, Any]:
    """`price` as the members of `Price`."""
    return {
        "id": encode(PRICE, price.id),
        "provider": price.provider,
        "model": price.model,
        "unit": price.unit,
        "above_input_tokens": price.above_input_tokens,
        "usd_per_unit": format_price(price.usd_per_unit),
        "valid_from": isoformat(price.valid_from),
        "recorded_at": isoformat(price.recorded_at),
        "source": price.source,
        "applies_to": "shared" if price.organization_id is None else "organization",
    }
