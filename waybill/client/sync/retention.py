"""Retention: how long a project keeps what."""

# Written by `python -m waybill.client.generate` from aio/retention.py: change that, and run it again.

from waybill.client.models import Clock, Clocks, Scope
from waybill.client.sync.endpoints import Endpoints

_RETENTION = "/v1/retention"


class Retention(Endpoints):
    """``/v1/retention``."""

    def clocks(self) -> list[Clock]:
        """The clock of every kind of data of this project."""
        found = self._get(Clocks, _RETENTION)
        return found.data

    def set(self, kind: str, days: int | None, scope: Scope = "project") -> list[Clock]:
        """Set a clock; None is for ever. Returns all clocks as they are now."""
        found = self._put(Clocks, _RETENTION, {"kind": kind, "days": days, "scope": scope})
        return found.data

    def remove(self, kind: str, scope: Scope = "project") -> list[Clock]:
        """Remove a clock. Returns all clocks as they are now. Raises `NotFound` when none is set."""
        found = self._delete(Clocks, _RETENTION, {"kind": kind, "scope": scope})
        return found.data
