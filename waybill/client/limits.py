"""Limits: what is in force, what is set, setting and removing it."""

from datetime import datetime

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_LIMITS = "/v1/limits"
ORGANIZATION = "organization"


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


class Limits:
    """``/v1/limits``. A scope is ``organization``, or the id of an organization, a project or a key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def effective(self) -> list[Limit]:
        """What limits the caller: its key, its project, its organization."""
        return Page[Limit].model_validate(self._transport.get(_LIMITS).json()).data

    def of_scope(self, scope: str) -> list[Limit]:
        """What is set for one scope. Raises `ApiProblem` 404."""
        return Page[Limit].model_validate(self._transport.get(f"{_LIMITS}/{scope}").json()).data

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Limit]:
        """One page of everything that the organization has set, newest first."""
        params = {"all": "true", "limit": limit} | ({"cursor": cursor} if cursor else {})
        return Page[Limit].model_validate(self._transport.get(_LIMITS, params).json())

    def set(self, kind: str, value: int | str, scope: str = ORGANIZATION) -> Limit:
        """Set or change a limit."""
        return Limit.model_validate(self._transport.put(f"{_LIMITS}/{scope}/{kind}", {"value": value}).json())

    def remove(self, kind: str, scope: str = ORGANIZATION) -> Limit:
        """Remove a limit; returns what it was. Raises `ApiProblem` 404 when none is set."""
        return Limit.model_validate(self._transport.delete(f"{_LIMITS}/{scope}/{kind}").json())
