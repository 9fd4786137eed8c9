"""How long data are kept."""

from datetime import datetime
from typing import Literal

from waybill.client.models.base import Resource

Scope = Literal["organization", "project"]


class Clock(Resource):
    """How long one kind of data is kept; no number of days means for ever."""

    kind: str
    days: int | None
    source: str
    set_at: datetime | None = None


class Clocks(Resource):
    """The clock of every kind of data."""

    data: list[Clock]
