"""How many budgets will be used up within a day; operators are warned of these."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.forecasts.burn import forecast
from core.ledger.budget_rows import get_budget
from core.rollups.records import ALL_PROJECTS

WITHIN = timedelta(hours=24)
# Forecasts are made for budgets that could run out, given the last day's spending; the most urgent first.
_FORECASTS_MAX = 50
_CANDIDATES = text("""
WITH spent AS (
  SELECT organization_id, project_id, key_id, sum(amount_usd) AS amount_usd FROM call_rollups
  WHERE grain = 'hour' AND bucket > now() - interval '24 hours' GROUP BY 1, 2, 3
), budget AS (
  SELECT budgets.organization_id, budgets.id, budgets.limit_usd - balance.spent_usd AS left_usd, (
    SELECT sum(amount_usd) FROM spent WHERE spent.organization_id = budgets.organization_id
      AND spent.project_id = CASE budgets.scope WHEN 'project' THEN budgets.scope_id ELSE :all_projects END
      AND (budgets.scope <> 'key' OR spent.key_id = budgets.scope_id)) AS burned_usd
  FROM budgets JOIN budget_balances AS balance ON balance.budget_id = budgets.id
    AND balance.period_start = ledger_period_start(budgets.period, now())
  WHERE budgets.archived_at IS NULL AND budgets.hard AND balance.spent_usd < budgets.limit_usd
)
SELECT organization_id, id FROM budget WHERE burned_usd * 2 >= left_usd ORDER BY left_usd / burned_usd LIMIT :most
""")


def exhausting_soon(session: Session) -> int:
    """The number of hard budgets with money left that, by the median draw, will have none in 24 hours; 50 at most."""
    soon = 0
    candidates = session.execute(_CANDIDATES, {"all_projects": ALL_PROJECTS, "most": _FORECASTS_MAX}).all()
    for organization_id, budget_id in candidates:
        budget = get_budget(session, organization_id, budget_id)
        if budget is None:
            continue
        made = forecast(session, budget)
        middle = None if made.exhausted_at is None else made.exhausted_at[1]
        soon += middle is not None and middle <= made.made_at + WITHIN
    return soon
