"""Limits: what is in force, what is set, setting and removing it."""

# Written by `python -m waybill.client.generate` from aio/limits.py: change that, and run it again.

from waybill.client.bodies import given
from waybill.client.models import Limit, Page
from waybill.client.sync.endpoints import Endpoints

_LIMITS = "/v1/limits"
ORGANIZATION = "organization"


class Limits(Endpoints):
    """``/v1/limits``. A scope is ``organization``, or the id of an organization, a project or a key."""

    def effective(self) -> list[Limit]:
        """What limits the caller: its key, its project, its organization."""
        found = self._get(Page[Limit], _LIMITS)
        return found.data

    def of_scope(self, scope: str) -> list[Limit]:
        """What is set for one scope. Raises `NotFound`."""
        found = self._get(Page[Limit], f"{_LIMITS}/{scope}")
        return found.data

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Limit]:
        """One page of everything that the organization has set, newest first."""
        params = given(all=True, limit=limit, cursor=cursor)
        return self._get(Page[Limit], _LIMITS, params)

    def set(self, kind: str, value: int | str, scope: str = ORGANIZATION) -> Limit:
        """Set or change a limit."""
        return self._put(Limit, f"{_LIMITS}/{scope}/{kind}", {"value": value})

    def remove(self, kind: str, scope: str = ORGANIZATION) -> Limit:
        """Remove a limit; returns what it was. Raises `NotFound` when none is set."""
        return self._delete(Limit, f"{_LIMITS}/{scope}/{kind}")
