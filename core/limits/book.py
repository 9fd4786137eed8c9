"""What limits a caller, remembered for at most two seconds, so that a warm request asks Postgres nothing."""

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

# A limit takes effect this long after it was set, at the latest.
REMEMBER_SECONDS = 2.0
_REMEMBERED_MAX = 10_000
# What a key has without anybody's setting it.
_DEFAULTED = ("key", LimitKind.REQUESTS_PER_MINUTE)
_ORDER = ("person", "key", "project", "organization")

_Caller = tuple[UUID, UUID, UUID | None, str | None]


@dataclass(frozen=True, slots=True)
class CallersLimits:
    """What a request of a caller is checked against. `has_quotas`: Postgres is to be asked when it submits a job."""

    buckets: tuple[Bucket, ...]
    has_quotas: bool


class LimitBook:
    """The limits of callers. Safe in threads: entries are replaced whole, the worst of a race is a query too many."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remembered: dict[_Caller, tuple[float, CallersLimits]] = {}

    def recall(self, principal: Principal) -> CallersLimits | None:
        """The caller's limits when they were read a moment ago; None when Postgres must be asked. Never blocks."""
        known = self._remembered.get(_caller(principal))
        return known[1] if known is not None and known[0] > monotonic() else None

    def read(self, executor: Executor, principal: Principal) -> CallersLimits:
        """The caller's limits. Blocks on Postgres unless remembered."""
        remembered = self.recall(principal)
        if remembered is not None:
            return remembered
        # The age of an answer counts from before the question, so that a slow query does not stretch it.
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
        """The rate of a key, or of a person, for whom none was set; None when the operator wants none."""
        per_minute = self._settings.requests_per_minute
        if not per_minute or (principal.key_id is None and principal.actor_id is None):
            return None
        if principal.key_id is not None:
            return self._bucket("key", principal.key_id, encode(KEY, principal.key_id), per_minute)
        return self._bucket("person", None, principal.actor_id or "", per_minute)

    def ceiling(self, scope: Scope, kind: LimitKind) -> int | None:
        """The most that a tenant may set, because the operator allows no more; None when nothing bounds it."""
        return (self._settings.requests_per_minute or None) if (scope, kind) == _DEFAULTED else None

    def _under_ceiling(self, scope: Scope, value: Decimal) -> int:
        ceiling = self.ceiling(scope, LimitKind.REQUESTS_PER_MINUTE)
        # One that was set before the operator's came down.
        return int(value) if ceiling is None else min(int(value), ceiling)

    def forget(self) -> None:
        """Read every limit anew from now on."""
        self._remembered.clear()

    def _bucket(self, scope: str, scope_id: UUID | None, shown_id: str, per_minute: int) -> Bucket:
        return Bucket(scope, scope_id, shown_id, per_minute, self._settings.key("rate", shown_id))


def _caller(principal: Principal) -> _Caller:
    return principal.organization_id, principal.project_id, principal.key_id, principal.actor_id
