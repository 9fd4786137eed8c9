"""``GET /v1/budgets/{budget_id}/forecast``: when a budget will be used up."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field

from api.answers import parse_id, respond_json
from api.budgets.alerts import BudgetId
from api.deps import get_runtime
from api.openapi import problems
from api.routing import caller, new_router, requires
from core.forecasts.burn import Forecast, forecast
from core.kit.clock import isoformat
from core.kit.ids import BUDGET, encode
from core.kit.money import format_money
from core.ledger.records import Budget

router = new_router("/v1/budgets", "budgets")


class Amounts(BaseModel):
    """US dollars as text: four in five draws lie between `p10` and `p90`."""

    p10: str
    p50: str
    p90: str


class Exhaustion(BaseModel):
    """When the limit is reached; each null when that lies behind the period's end."""

    early: datetime | None = Field(description="In one draw of ten it is reached by then.")
    middle: datetime | None
    late: datetime | None = Field(description="In nine of ten draws it is reached by then.")


class BudgetForecast(BaseModel):
    """The rest of a budget's period, drawn from the last four weeks' hours."""

    budget_id: str
    made_at: datetime
    limit_usd: str
    spent_usd: str
    period_end: datetime | None = Field(description="Null for a budget without periods: then 90 days are looked ahead.")
    burn_usd_per_day: str = Field(description="The mean of the last seven days.")
    projected_usd: Amounts | None = Field(description="What will be spent at the end. Null with less than a day of it.")
    exhausted_at: Exhaustion | None
    probability: float | None = Field(description="How many of the draws reach the limit, as a share.", examples=[0.85])
    based_on_hours: int


@router.get(
    "/{budget_id}/forecast",
    response_model=BudgetForecast,
    summary="Forecast a budget",
    description=(
        "When the limit will be reached, with an interval: hours of the last four weeks are put together again, 400"
        " times (a moving-block bootstrap). Nothing grows, and nothing is seasonal beyond a day."
    ),
    responses={200: {"description": "The forecast."}, **problems(404)},
)
@requires("budgets:read", organization_wide=True)
async def forecast_budget(request: Request, budget_id: BudgetId) -> Response:
    """A budget's forecast."""
    found = parse_id(BUDGET, budget_id, "budget")
    budget, made = await get_runtime(request).in_thread(_forecast, request, found)
    return respond_json(_to_wire(budget, made))


def _forecast(request: Request, budget_id: UUID) -> tuple[Budget, Forecast]:
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    budget = runtime.budgets.get(single, principal, budget_id)
    return budget, forecast(single, budget)


def _to_wire(budget: Budget, made: Forecast) -> dict[str, Any]:
    projected, exhausted = made.projected_usd, made.exhausted_at
    return {
        "budget_id": encode(BUDGET, budget.id),
        "made_at": isoformat(made.made_at),
        "limit_usd": format_money(budget.limit_usd),
        "spent_usd": format_money(budget.spent_usd),
        "period_end": None if made.period_end is None else isoformat(made.period_end),
        "burn_usd_per_day": format_money(made.burn_usd_per_day),
        "projected_usd": None
        if projected is None
        else {name: format_money(getattr(projected, name)) for name in ("p10", "p50", "p90")},
        "exhausted_at": None
        if exhausted is None
        else {
            name: None if moment is None else isoformat(moment)
            for name, moment in zip(("early", "middle", "late"), exhausted, strict=True)
        },
        "probability": made.probability,
        "based_on_hours": made.hours,
    }
