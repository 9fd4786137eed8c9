"""Budgets: what an organization, a project or a key may spend in a day, a month or in total (UTC)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import BUDGET, encode, new_id
from core.kit.money import to_money
from core.ledger import budget_rows
from core.ledger.errors import BudgetArchived, BudgetNameTaken, BudgetNotFound
from core.ledger.records import Budget, BudgetAlert, BudgetChange, NewBudget

NAME_MAX_CHARACTERS = 200
LIMIT_MAX_USD = Decimal(999_999_999)
THRESHOLD_MAX_PERCENT = 1000
THRESHOLDS_MAX = 20


class BudgetService:
    """Creates, reads, changes and archives the budgets of the caller's organization; each change leaves a record."""

    def create(self, session: Session, principal: Principal, new: NewBudget) -> Budget:
        """A new budget, in force for every job accepted from now on and for none accepted before.

        Raises `BudgetNameTaken`, `Unprocessable` naming the field for a value out of range, and `NotFound` for a scope
        that is not a project or key of the organization.
        """
        _check_name(new.name)
        new = replace(new, limit_usd=_checked_limit(new.limit_usd), thresholds=_checked_thresholds(new.thresholds))
        if (new.scope == "organization") != (new.scope_id is None):
            message = "leave it out: the budget is for the whole organization"
            raise _wrong("scope_id", "scope_mismatch", message if new.scope_id else f"say which {new.scope} it is for")
        budget_id = new_id()
        try:
            with session.begin_nested():
                written = budget_rows.insert_budget(session, budget_id, principal.organization_id, new)
        except IntegrityError as error:
            taken = f"there is a budget called {new.name!r}; choose another name, or archive that one"
            raise BudgetNameTaken(taken) from error
        if not written:
            raise NotFound(f"there is no such {new.scope} in your organization", code=f"{new.scope}_not_found")
        facts = {"scope": new.scope, "period": new.period, "hard": new.hard, "limit_usd": str(new.limit_usd)}
        _record(session, principal, AuditAction.BUDGET_CREATE, budget_id, facts)
        return self.get(session, principal, budget_id)

    def get(self, session: Executor, principal: Principal, budget_id: UUID) -> Budget:
        """A budget with the balance of its current period. Raises `BudgetNotFound`."""
        found = budget_rows.get_budget(session, principal.organization_id, budget_id)
        if found is None:
            raise _not_found(budget_id)
        return found

    def list(
        self, session: Executor, principal: Principal, *, archived: bool, cursor: UUID | None, limit: int
    ) -> list[Budget]:
        """Budgets with their balances, newest first, with ids below `cursor`; with `archived`, those too."""
        return budget_rows.list_budgets(
            session, principal.organization_id, archived=archived, cursor=cursor, limit=limit
        )

    def alerts(
        self, session: Session, principal: Principal, budget_id: UUID, *, cursor: UUID | None, limit: int
    ) -> Sequence[BudgetAlert]:
        """Thresholds that the budget crossed, newest first, with ids below `cursor`. Raises `BudgetNotFound`."""
        self.get(session, principal, budget_id)
        return budget_rows.list_alerts(session, principal.organization_id, budget_id, cursor=cursor, limit=limit)

    def update(self, session: Session, principal: Principal, budget_id: UUID, change: BudgetChange) -> Budget:
        """Change the given fields. A limit below the current balance refuses new spending, but takes nothing back.

        Thresholds that the change crosses raise their alerts at once. Raises `BudgetNotFound`, `BudgetArchived` and
        `Unprocessable`.
        """
        if change.limit_usd is not None:
            change = replace(change, limit_usd=_checked_limit(change.limit_usd))
        if change.thresholds is not None:
            change = replace(change, thresholds=_checked_thresholds(change.thresholds))
        is_archived = budget_rows.lock_budget(session, principal.organization_id, budget_id)
        if is_archived is None:
            raise _not_found(budget_id)
        if is_archived:
            raise BudgetArchived("this budget was archived and counts nothing any more; create a new one")
        budget_rows.change_budget(session, principal.organization_id, budget_id, change)
        given = {name: getattr(change, name) for name in BudgetChange.__dataclass_fields__}
        facts = {name: _fact(value) for name, value in given.items() if value is not None}
        _record(session, principal, AuditAction.BUDGET_UPDATE, budget_id, facts)
        return self.get(session, principal, budget_id)

    def archive(self, session: Session, principal: Principal, budget_id: UUID) -> Budget:
        """End a budget: it no longer refuses or warns. Jobs that were accepted under it still count in its balance.

        Archiving twice changes nothing. Raises `BudgetNotFound`.
        """
        is_archived = budget_rows.lock_budget(session, principal.organization_id, budget_id)
        if is_archived is None:
            raise _not_found(budget_id)
        if not is_archived:
            budget_rows.archive_budget(session, principal.organization_id, budget_id)
            _record(session, principal, AuditAction.BUDGET_ARCHIVE, budget_id, {})
        return self.get(session, principal, budget_id)


def _record(
    session: Session, principal: Principal, action: AuditAction, budget_id: UUID, facts: dict[str, Any]
) -> None:
    record(
        session,
        principal.organization_id,
        None,
        action,
        subject_id=encode(BUDGET, budget_id),
        actor=principal.actor,
        detail=facts,
    )


def _fact(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > NAME_MAX_CHARACTERS or not name.isprintable():
        message = f"1 to {NAME_MAX_CHARACTERS} printable characters, not only blanks"
        raise _wrong("name", "name_invalid", message)


def _checked_limit(limit_usd: Decimal) -> Decimal:
    if not limit_usd.is_finite() or not 0 <= limit_usd <= LIMIT_MAX_USD:
        raise _wrong("limit_usd", "limit_invalid", f"US dollars from 0 to {LIMIT_MAX_USD}")
    return to_money(limit_usd)


def _checked_thresholds(thresholds: Iterable[int]) -> tuple[int, ...]:
    found = tuple(sorted(set(thresholds)))
    if len(found) > THRESHOLDS_MAX or any(not 1 <= each <= THRESHOLD_MAX_PERCENT for each in found):
        message = f"at most {THRESHOLDS_MAX} whole percentages from 1 to {THRESHOLD_MAX_PERCENT}"
        raise _wrong("thresholds", "thresholds_invalid", message)
    return found


def _wrong(field: str, code: str, message: str) -> Unprocessable:
    problem = {"path": f"body.{field}", "code": code, "message": message}
    return Unprocessable(f"body.{field}: {message}", errors=[problem])


def _not_found(budget_id: UUID) -> BudgetNotFound:
    return BudgetNotFound(f"there is no budget {encode(BUDGET, budget_id)} in your organization")
