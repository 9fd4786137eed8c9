"""``GET /v1/budgets/{budget_id}/forecast``: when a budget will be exhausted."""

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
    """US dollars as decimal strings. Four in five simulations lie between `p10` and `p90`."""

    p10: str
    p50: str
    p90: str


class Exhaustion(BaseModel):
    """When the limit is reached. A value is null when that is after the end of the period."""

    early: datetime | None = Field(description="One in ten simulations reaches the limit by this time.")
    middle: datetime | None
    late: datetime | None = Field(description="Nine in ten simulations reach the limit by this time.")


class BudgetForecast(BaseModel):
    """Forecast for the rest of a budget's period, simulated from the hours of the last four weeks."""

    budget_id: str
    made_at: datetime
    limit_usd: str
    spent_usd: str
    period_end: datetime | None = Field(
        description="End of the forecast period. Null for a budget without periods, for which 90 days are forecast."
    )
    burn_usd_per_day: str = Field(description="Average spending over the last seven days.")
    projected_usd: Amounts | None = Field(
        description="Spending at the end of the period. Null with less than a day of history."
    )
    exhausted_at: Exhaustion | None
    probability: float | None = Field(description="Share of the simulations that reach the limit.", examples=[0.85])
    based_on_hours: int


@router.get(
    "/{budget_id}/forecast",
    response_model=BudgetForecast,
    summary="Forecast a budget",
    description=(
        "Estimates when the limit will be reached, with an interval. It resamples the hours of the last four"
        " weeks 400 times (moving-block bootstrap). It models no growth and no seasonality beyond a day."
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
