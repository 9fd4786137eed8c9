"""Limits: what an organization, a project or a key may use, and what it has used."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import encode
from core.kit.money import to_money
from core.limits import repository
from core.limits.cache import LimitCache
from core.limits.errors import PREFIXES, LimitNotFound, format_value
from core.limits.records import LimitKind, LimitRecord, ScopeId

COUNT_MAX = 999_999_999_999
RATE_MAX = 10_000_000
MONEY_MAX = Decimal(999_999_999)
_RATES = frozenset({LimitKind.REQUESTS_PER_MINUTE, LimitKind.TOKENS_PER_MINUTE})


class LimitService:
    """Reads, sets and removes limits of the caller's organization; each change leaves an audit record."""

    def __init__(self, cache: LimitCache) -> None:
        self._cache = cache

    def effective(self, session: Executor, principal: Principal) -> list[LimitRecord]:
        """The caller's limits, its default rate included, with their use; the organization's first."""
        scope_ids = {principal.organization_id, principal.project_id}
        if principal.key_id is not None:
            scope_ids.add(principal.key_id)
        found = repository.of_scopes(session, principal.organization_id, scope_ids)
        default = self._cache.default(principal)
        if default is None or default.scope_id is None:
            return found
        if any(each.scope_id == default.scope_id and each.kind is LimitKind.REQUESTS_PER_MINUTE for each in found):
            return found
        value = Decimal(default.per_minute)
        kind = LimitKind.REQUESTS_PER_MINUTE
        return [*found, LimitRecord(None, "key", default.scope_id, kind, value, None, None, None, None)]

    def of_scope(self, session: Session, principal: Principal, whose: ScopeId) -> list[LimitRecord]:
        """The limits set for one scope. Raises `NotFound` for a scope that is not in the organization."""
        self._require_scope(session, principal, whose)
        return repository.of_scopes(session, principal.organization_id, [whose.id])

    def set(
        self, session: Session, principal: Principal, whose: ScopeId, kind: LimitKind, value: int | str
    ) -> LimitRecord:
        """Set a limit, in force within two seconds; a quota counts the use in its current period so far.

        `value` is a whole number, or US dollars as text for ``cost_…``. Raises `Unprocessable` for a value out of range
        or above the operator's maximum, and `NotFound` for a scope that is not a project or key of the organization.
        """
        exact = checked_value(kind, value)
        ceiling = self._cache.ceiling(whose.scope, kind)
        if ceiling is not None and exact > ceiling:
            message = f"at most {ceiling}, which this installation's operator allows a {whose.scope}"
            problem = {"path": "body.value", "code": "limit_above_ceiling", "message": message}
            raise Unprocessable(f"body.value: a limit of {kind} is {message}", errors=[problem])
        self._require_scope(session, principal, whose)
        repository.set_limit(session, principal.organization_id, whose, kind, exact)
        facts = {"kind": kind.value, "value": str(format_value(kind, exact))}
        _record(session, principal, AuditAction.LIMIT_SET, whose, facts)
        found = repository.get_limit(session, principal.organization_id, whose.id, kind)
        if found is None:
            raise LimitNotFound("the limit was removed meanwhile")
        return found

    def remove(self, session: Session, principal: Principal, whose: ScopeId, kind: LimitKind) -> LimitRecord:
        """Remove a limit; returns it. Raises `LimitNotFound` when none is set."""
        self._require_scope(session, principal, whose)
        found = repository.get_limit(session, principal.organization_id, whose.id, kind)
        removed = repository.remove_limit(session, principal.organization_id, whose.id, kind)
        if found is None or removed is None:
            raise LimitNotFound(f"no {kind} is set for {encode(PREFIXES[whose.scope], whose.id)}")
        _record(session, principal, AuditAction.LIMIT_REMOVE, whose, {"kind": kind.value})
        return replace(found, value=removed)

    def list(self, session: Executor, principal: Principal, *, cursor: UUID | None, limit: int) -> list[LimitRecord]:
        """Every limit that the organization has set, newest first, with ids below `cursor`."""
        return repository.list_limits(session, principal.organization_id, cursor, limit)

    def _require_scope(self, session: Session, principal: Principal, whose: ScopeId) -> None:
        if not repository.has_scope(session, principal.organization_id, whose):
            shown = encode(PREFIXES[whose.scope], whose.id)
            raise NotFound(f"there is no {whose.scope} {shown} in your organization", code=f"{whose.scope}_not_found")


def checked_value(kind: LimitKind, value: int | str) -> Decimal:
    """`value` as it is stored. Raises `Unprocessable` stating what it must be."""
    if kind.is_money:
        least, most, message = (
            Decimal(0),
            MONEY_MAX,
            f"US dollars from 0 to {MONEY_MAX}, as text with at most 9 decimals",
        )
    else:
        least, most = (Decimal(1), Decimal(RATE_MAX)) if kind in _RATES else (Decimal(0), Decimal(COUNT_MAX))
        if kind is LimitKind.TOKENS_PER_MINUTE:
            most = Decimal(COUNT_MAX)
        message = f"a whole number from {least} to {most}"
    try:
        exact = Decimal(value)
        has_more_digits = exact.is_finite() and exact != to_money(exact)
    except InvalidOperation:
        exact, has_more_digits = Decimal("NaN"), True
    is_written_well = isinstance(value, str) == kind.is_money
    if not is_written_well or has_more_digits or not exact.is_finite() or not least <= exact <= most:
        problem = {"path": "body.value", "code": "limit_value_invalid", "message": message}
        raise Unprocessable(f"body.value: a limit of {kind} is {message}", errors=[problem])
    return exact


def _record(session: Session, principal: Principal, action: AuditAction, whose: ScopeId, facts: dict[str, str]) -> None:
    record(
        session,
        principal.organization_id,
        None,
        action,
        subject_id=encode(PREFIXES[whose.scope], whose.id),
        actor=principal.actor,
        detail=facts,
    )
