"""The limits of a caller, cached for at most two seconds, so that a warm request needs no Postgres query."""

from dataclasses import dataclass
from decimal import Decimal
from time import monotonic
from uuid import UUID

from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.ids import KEY, encode
from core.kit.settings import Settings
from core.limits import repository
from core.limits.errors import PREFIXES
from core.limits.rates import Bucket
from core.limits.records import LimitKind, Scope

# The maximum delay until a new limit takes effect.
REMEMBER_SECONDS = 2.0
_REMEMBERED_MAX = 10_000
# The scope of the default limits, which no one set.
_DEFAULTED = ("key", LimitKind.REQUESTS_PER_MINUTE)
_ORDER = ("person", "key", "project", "organization")

_Caller = tuple[UUID, UUID, UUID | None, str | None]


@dataclass(frozen=True, slots=True)
class CallersLimits:
    """The limits that a caller's request is checked against. `has_quotas`: submitting a job must query Postgres."""

    buckets: tuple[Bucket, ...]
    has_quotas: bool


class LimitCache:
    """Callers' limits. Thread-safe: entries are replaced whole, and the worst result of a race is an extra query."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remembered: dict[_Caller, tuple[float, CallersLimits]] = {}

    def recall(self, principal: Principal) -> CallersLimits | None:
        """The caller's limits if read recently; None when Postgres must be queried. Never blocks."""
        known = self._remembered.get(_caller(principal))
        return known[1] if known is not None and known[0] > monotonic() else None

    def read(self, executor: Executor, principal: Principal) -> CallersLimits:
        """The caller's limits. Blocks on Postgres unless cached."""
        remembered = self.recall(principal)
        if remembered is not None:
            return remembered
        # The age of an entry counts from before the query, so that a slow query does not extend it.
        until = monotonic() + REMEMBER_SECONDS
        found = repository.in_scope(executor, principal)
        buckets: dict[str, Bucket] = {
            whose.scope: self._bucket(
                whose.scope, whose.id, encode(PREFIXES[whose.scope], whose.id), self._under_ceiling(whose.scope, value)
            )
            for whose, kind, value in found
            if kind is LimitKind.REQUESTS_PER_MINUTE
        }
        default = self.default(principal)
        if default is not None:
            buckets.setdefault(default.scope, default)
        ordered = tuple(sorted(buckets.values(), key=lambda bucket: _ORDER.index(bucket.scope)))
        limits = CallersLimits(ordered, any(kind.is_asked_at_submit for _, kind, _ in found))
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[_caller(principal)] = (until, limits)
        return limits

    def default(self, principal: Principal) -> Bucket | None:
        """The rate of a key, or of a person, without a limit of its own; None when the operator sets none."""
        per_minute = self._settings.requests_per_minute
        if not per_minute or (principal.key_id is None and principal.actor_id is None):
            return None
        if principal.key_id is not None:
            return self._bucket("key", principal.key_id, encode(KEY, principal.key_id), per_minute)
        return self._bucket("person", None, principal.actor_id or "", per_minute)

    def ceiling(self, scope: Scope, kind: LimitKind) -> int | None:
        """The maximum that the operator lets a tenant set; None when there is none."""
        return (self._settings.requests_per_minute or None) if (scope, kind) == _DEFAULTED else None

    def _under_ceiling(self, scope: Scope, value: Decimal) -> int:
        ceiling = self.ceiling(scope, LimitKind.REQUESTS_PER_MINUTE)
        # For a limit that was set before the operator lowered the maximum.
        return int(value) if ceiling is None else min(int(value), ceiling)

    def evict(self) -> None:
        """Clear the cache."""
        self._remembered.clear()

    def _bucket(self, scope: str, scope_id: UUID | None, shown_id: str, per_minute: int) -> Bucket:
        return Bucket(scope, scope_id, shown_id, per_minute, self._settings.key("rate", shown_id))


def _caller(principal: Principal) -> _Caller:
    return principal.organization_id, principal.project_id, principal.key_id, principal.actor_id
