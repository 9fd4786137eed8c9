"""Retention: how long a project keeps what."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from waybill.client.models import Resource
from waybill.client.transport import Transport

_RETENTION = "/v1/retention"
Scope = Literal["organization", "project"]


class Clock(Resource):
    """How long one kind of data is kept; no number of days means for ever."""

    kind: str
    days: int | None
    source: str
    set_at: datetime | None = None


class _Clocks(BaseModel):
    data: list[Clock]


class Retention:
    """``/v1/retention``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def clocks(self) -> list[Clock]:
        """The clock of every kind of data of this project."""
        return _Clocks.model_validate(self._transport.get(_RETENTION).json()).data

    def set(self, kind: str, days: int | None, scope: Scope = "project") -> list[Clock]:
        """Set a clock; None is for ever. Returns all clocks as they are now."""
        answer = self._transport.put(_RETENTION, {"kind": kind, "days": days, "scope": scope})
        return _Clocks.model_validate(answer.json()).data

    def remove(self, kind: str, scope: Scope = "project") -> list[Clock]:
        """Remove a clock. Returns all clocks as they are now. Raises `ApiProblem` 404 when none is set."""
        return _Clocks.model_validate(self._transport.delete(f"{_RETENTION}?kind={kind}&scope={scope}").json()).data
