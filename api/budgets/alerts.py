"""``GET /v1/budgets/{budget_id}/alerts``: the thresholds that a budget has crossed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from api import cursors
from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.routing import caller, new_router, requires
from core.kit.clock import isoformat
from core.kit.ids import BUDGET
from core.kit.money import format_money
from core.ledger.records import BudgetAlert as AlertRecord

router = new_router("/v1/budgets", "budgets")

BudgetId = Annotated[str, Path(description="The budget's id.", examples=["bud_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
_PAGE_MAX = 200


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
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="Alerts per page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=100, description="The `next_cursor` of the previous page.")] = None,
) -> Response:
    """A page of a budget's alerts."""
    found = parse_id(BUDGET, budget_id, "budget")
    before = cursors.decode(cursor) if cursor is not None else None
    alerts = await get_runtime(request).in_thread(_list, request, found, before, limit + 1)
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


def _list(request: Request, budget_id: UUID, before: UUID | None, limit: int) -> Sequence[AlertRecord]:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.budgets.alerts(session, principal, budget_id, cursor=before, limit=limit)
