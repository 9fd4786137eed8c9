"""Limits."""

from datetime import datetime

from waybill.client.models.base import Resource


class Limit(Resource):
    """How much there may be, and what is used of it. `value` and `used` are US dollars as text for ``cost_per_…``."""

    scope: str
    scope_id: str
    kind: str
    value: int | str
    used: int | str | None = None
    period_start: datetime | None = None
    resets_at: datetime | None = None
    is_default: bool = False
    updated_at: datetime | None = None
