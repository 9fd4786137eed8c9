"""Limits: what is in force, what is set, setting and removing it."""

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.bodies import given
from waybill.client.models import Limit, Page

_LIMITS = "/v1/limits"
ORGANIZATION = "organization"


class AsyncLimits(AsyncEndpoints):
    """``/v1/limits``. A scope is ``organization``, or the id of an organization, a project or a key."""

    async def effective(self) -> list[Limit]:
        """What limits the caller: its key, its project, its organization."""
        found = await self._get(Page[Limit], _LIMITS)
        return found.data

    async def of_scope(self, scope: str) -> list[Limit]:
        """What is set for one scope. Raises `NotFound`."""
        found = await self._get(Page[Limit], f"{_LIMITS}/{scope}")
        return found.data

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Limit]:
        """One page of everything that the organization has set, newest first."""
        params = given(all=True, limit=limit, cursor=cursor)
        return await self._get(Page[Limit], _LIMITS, params)

    async def set(self, kind: str, value: int | str, scope: str = ORGANIZATION) -> Limit:
        """Set or change a limit."""
        return await self._put(Limit, f"{_LIMITS}/{scope}/{kind}", {"value": value})

    async def remove(self, kind: str, scope: str = ORGANIZATION) -> Limit:
        """Remove a limit; returns what it was. Raises `NotFound` when none is set."""
        return await self._delete(Limit, f"{_LIMITS}/{scope}/{kind}")
