"""Prices."""

from datetime import datetime
from decimal import Decimal

from waybill.client.models.base import Resource


class Price(Resource):
    """A price of one unit of a model, in US dollars."""

    id: str
    provider: str
    model: str
    unit: str
    usd_per_unit: Decimal
    above_input_tokens: int = 0
    valid_from: datetime
    recorded_at: datetime | None = None
    source: str = ""
    applies_to: str = ""
