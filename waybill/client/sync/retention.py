"""Retention: how long a project keeps what."""

# Written by `python -m waybill.client.generate` from aio/retention.py: change that, and run it again.

from waybill.client.bodies import given
from waybill.client.models import Clock, Clocks, Scope
from waybill.client.sync.endpoints import Endpoints

_RETENTION = "/v1/retention"


class Retention(Endpoints):
    """``/v1/retention``."""

    def clocks(self) -> list[Clock]:
        """The clock of every kind of data of this project, then those that are set for a data class."""
        found = self._get(Clocks, _RETENTION)
        return found.data

    def set(
        self, kind: str, days: int | None, scope: Scope = "project", *, data_class: str | None = None
    ) -> list[Clock]:
        """Set a clock; None is for ever. Returns all clocks as they are now.

        With a `data_class`, payloads of jobs of that class and above go after so many days, if not earlier.
        """
        body = {"kind": kind, "days": days, "scope": scope, **given(data_class=data_class)}
        found = self._put(Clocks, _RETENTION, body)
        return found.data

    def remove(self, kind: str, scope: Scope = "project", *, data_class: str | None = None) -> list[Clock]:
        """Remove a clock, or the one for a `data_class`. Returns all clocks as they are now.

        Raises `NotFound` when none is set.
        """
        found = self._delete(Clocks, _RETENTION, {"kind": kind, "scope": scope, **given(data_class=data_class)})
        return found.data
