"""How long data are kept."""

from datetime import datetime
from typing import Literal

from waybill.client.models.base import Resource

Scope = Literal["organization", "project"]


class Clock(Resource):
    """How long one kind of data is kept; no number of days means for ever.

    With a `data_class` it is for payloads of jobs of that class and above, and counts where no other is shorter.
    """

    kind: str
    days: int | None
    source: str
    set_at: datetime | None = None
    data_class: str | None = None


class Clocks(Resource):
    """The clock of every kind of data, then those that are set for a data class."""

    data: list[Clock]
