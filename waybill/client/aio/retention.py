"""Retention: how long a project keeps what."""

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.models import Clock, Clocks, Scope

_RETENTION = "/v1/retention"


class AsyncRetention(AsyncEndpoints):
    """``/v1/retention``."""

    async def clocks(self) -> list[Clock]:
        """The clock of every kind of data of this project."""
        found = await self._get(Clocks, _RETENTION)
        return found.data

    async def set(self, kind: str, days: int | None, scope: Scope = "project") -> list[Clock]:
        """Set a clock; None is for ever. Returns all clocks as they are now."""
        found = await self._put(Clocks, _RETENTION, {"kind": kind, "days": days, "scope": scope})
        return found.data

    async def remove(self, kind: str, scope: Scope = "project") -> list[Clock]:
        """Remove a clock. Returns all clocks as they are now. Raises `NotFound` when none is set."""
        found = await self._delete(Clocks, _RETENTION, {"kind": kind, "scope": scope})
        return found.data
