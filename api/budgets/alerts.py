"""``GET /v1/budgets/{budget_id}/alerts``: the thresholds that a budget has crossed."""

from datetime import datetime
from typing import Annotated

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from api import cursors
from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.routing import new_router, requires
from api.work import Cursor, change, per_page
from core.kit.clock import isoformat
from core.kit.ids import BUDGET
from core.kit.money import format_money

router = new_router("/v1/budgets", "budgets")

BudgetId = Annotated[str, Path(description="The budget's id.", examples=["bud_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


class BudgetAlert(BaseModel):
    """A threshold crossed by a budget. Each threshold is recorded once per period."""

    threshold: int = Field(description="The threshold, in percent of the limit.")
    spent_usd: str = Field(description="Amount spent when the threshold was crossed.")
    limit_usd: str
    period_start: datetime | None = Field(description="Null for a budget without periods.")
    raised_at: datetime


class BudgetAlertPage(BaseModel):
    """A page of alerts."""

    data: list[BudgetAlert]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


@router.get(
    "/{budget_id}/alerts",
    response_model=BudgetAlertPage,
    summary="List budget alerts",
    responses={200: {"description": "Lists the thresholds that the budget crossed, newest first."}, **problems(404)},
)
@requires("budgets:read", organization_wide=True)
async def list_alerts(
    request: Request,
    budget_id: BudgetId,
    limit: Annotated[int, per_page("Alerts")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of a budget's alerts."""
    found = parse_id(BUDGET, budget_id, "budget")
    before = cursors.decode_given(cursor)
    alerts = await change(request, get_runtime(request).budgets.alerts, found, cursor=before, limit=limit + 1)
    following = cursors.encode(alerts[limit - 1].id) if len(alerts) > limit else None
    return respond_json(
        {
            "data": [
                {
                    "threshold": alert.threshold,
                    "spent_usd": format_money(alert.spent_usd),
                    "limit_usd": format_money(alert.limit_usd),
                    "period_start": None if alert.period_start is None else isoformat(alert.period_start),
                    "raised_at": isoformat(alert.raised_at),
                }
                for alert in alerts[:limit]
            ],
            "next_cursor": following,
        }
    )
