"""The SQL of budgets. Every statement names the organization."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.ledger.records import Budget, BudgetAlert, BudgetChange, NewBudget

# A budget's columns, then its current balance; -infinity, which has no datetime, stands for "no period".
_BUDGET = """
SELECT budgets.id, budgets.organization_id, budgets.name, budgets.scope, budgets.scope_id, budgets.period,
  budgets.limit_usd, budgets.hard, budgets.on_exhaustion, budgets.thresholds, budgets.created_at, budgets.archived_at,
  CASE WHEN budgets.period <> 'total' THEN ledger_period_start(budgets.period, now()) END AS period_start,
  coalesce(balance.reserved_usd, 0) AS reserved_usd, coalesce(balance.spent_usd, 0) AS spent_usd,
  coalesce(balance.alerted, '{}') AS alerted
FROM budgets LEFT JOIN budget_balances AS balance ON balance.budget_id = budgets.id
  AND balance.period_start = ledger_period_start(budgets.period, now())
WHERE budgets.organization_id = :organization_id
"""
_GET_BUDGET = text(f"{_BUDGET} AND budgets.id = :id")
_LIST_BUDGETS = text(
    f"{_BUDGET} AND (:archived OR budgets.archived_at IS NULL)"
    " AND (CAST(:cursor AS uuid) IS NULL OR budgets.id < CAST(:cursor AS uuid)) ORDER BY budgets.id DESC LIMIT :limit"
)
# Returns no row when the scope is not a project or key of the organization.
_INSERT_BUDGET = text("""
INSERT INTO budgets (id, organization_id, name, scope, scope_id, period, limit_usd, hard, on_exhaustion, thresholds)
SELECT :id, :organization_id, :name, :scope, :scope_id, :period, :limit_usd, :hard, :on_exhaustion,
  CAST(:thresholds AS int[])
WHERE CASE CAST(:scope AS text)
  WHEN 'project' THEN EXISTS (SELECT FROM projects WHERE id = :scope_id AND organization_id = :organization_id)
  WHEN 'key' THEN EXISTS (SELECT FROM api_keys WHERE id = :scope_id AND organization_id = :organization_id)
  ELSE true END
RETURNING id
""")
_LOCK_BUDGET = text(
    "SELECT archived_at IS NOT NULL FROM budgets WHERE id = :id AND organization_id = :organization_id FOR UPDATE"
)
_CHANGE_BUDGET = text("""
UPDATE budgets SET limit_usd = coalesce(CAST(:limit_usd AS numeric), limit_usd),
  hard = coalesce(CAST(:hard AS boolean), hard), on_exhaustion = coalesce(CAST(:on_exhaustion AS text), on_exhaustion),
  thresholds = coalesce(CAST(:thresholds AS int[]), thresholds)
WHERE id = :id AND organization_id = :organization_id
""")
_ALERTS = text("""
SELECT id, nullif(period_start, '-infinity') AS period_start, threshold, spent_usd, limit_usd, raised_at
FROM budget_alerts WHERE organization_id = :organization_id AND budget_id = :id
  AND (CAST(:cursor AS uuid) IS NULL OR id < CAST(:cursor AS uuid))
ORDER BY id DESC LIMIT :limit
""")
_REVIEW = text("SELECT ledger_review(:organization_id, :id)")
_ARCHIVE = text(
    "UPDATE budgets SET archived_at = coalesce(archived_at, now())"
    " WHERE id = :id AND organization_id = :organization_id"
)


def insert_budget(session: Session, budget_id: UUID, organization_id: UUID, new: NewBudget) -> bool:
    """Write a budget; False when its scope names no project or key of the organization.

    Raises SQLAlchemy's `IntegrityError` on ``budgets_organization_name``.
    """
    values = {
        "id": budget_id,
        "organization_id": organization_id,
        "name": new.name,
        "scope": new.scope,
        "scope_id": new.scope_id or organization_id,
        "period": new.period,
        "limit_usd": new.limit_usd,
        "hard": new.hard,
        "on_exhaustion": new.on_exhaustion,
        "thresholds": list(new.thresholds),
    }
    return session.execute(_INSERT_BUDGET, values).one_or_none() is not None


def get_budget(session: Executor, organization_id: UUID, budget_id: UUID) -> Budget | None:
    """The organization's budget with its current balance."""
    row = session.execute(_GET_BUDGET, {"id": budget_id, "organization_id": organization_id}).one_or_none()
    return None if row is None else _to_budget(row)


def list_budgets(
    session: Executor, organization_id: UUID, *, archived: bool, cursor: UUID | None, limit: int
) -> list[Budget]:
    """The organization's budgets, newest first, with ids below `cursor`; with `archived`, those too."""
    rows = session.execute(
        _LIST_BUDGETS, {"organization_id": organization_id, "archived": archived, "cursor": cursor, "limit": limit}
    )
    return [_to_budget(row) for row in rows]


def lock_budget(session: Session, organization_id: UUID, budget_id: UUID) -> bool | None:
    """Lock the budget; returns whether it is archived, or None when there is none."""
    scope = {"id": budget_id, "organization_id": organization_id}
    archived: bool | None = session.execute(_LOCK_BUDGET, scope).scalar_one_or_none()
    return archived


def change_budget(session: Session, organization_id: UUID, budget_id: UUID, change: BudgetChange) -> None:
    """Change a locked budget, and raise the resulting alerts."""
    scope = {"id": budget_id, "organization_id": organization_id}
    values = {
        "limit_usd": change.limit_usd,
        "hard": change.hard,
        "on_exhaustion": change.on_exhaustion,
        "thresholds": None if change.thresholds is None else list(change.thresholds),
    }
    session.execute(_CHANGE_BUDGET, {**scope, **values})
    session.execute(_REVIEW, scope)


def archive_budget(session: Session, organization_id: UUID, budget_id: UUID) -> None:
    """Mark a budget as archived; an archived one keeps its date."""
    session.execute(_ARCHIVE, {"id": budget_id, "organization_id": organization_id})


def _to_budget(row: Row[Any]) -> Budget:
    values = row._asdict()
    return Budget(**{**values, "thresholds": tuple(row.thresholds), "alerted": tuple(row.alerted)})


def list_alerts(
    session: Executor, organization_id: UUID, budget_id: UUID, *, cursor: UUID | None, limit: int
) -> list[BudgetAlert]:
    """Thresholds that the budget crossed, newest first, with ids below `cursor`."""
    rows = session.execute(
        _ALERTS, {"organization_id": organization_id, "id": budget_id, "cursor": cursor, "limit": limit}
    )
    return [BudgetAlert(*tuple(row)) for row in rows]
