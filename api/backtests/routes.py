"""``/v1/backtests``: what a budget, a rate limit or prices would have done to past jobs.

Nothing is enforced or stored.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fastapi import Request, Response

from api.answers import identify_request, respond_json
from api.backtests.schemas import (
    BacktestBudget,
    BacktestLimit,
    BacktestPrices,
    BudgetOutcome,
    Head,
    LimitOutcome,
    PriceOutcome,
    to_budget_outcome,
    to_limit_outcome,
    to_price_outcome,
)
from api.budgets.schemas import Scope
from api.costs.parameters import parse_project
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, problems
from api.problem import invalid
from api.routing import caller, new_router, requires
from core.forecasts.backtests import budget, limits
from core.forecasts.backtests.history import HistoryScope, read_moments, read_submissions
from core.forecasts.backtests.prices import NewPrice, reprice
from core.keys.principal import Principal
from core.kit.clock import isoformat, utc_now
from core.kit.db import SingleStatement
from core.kit.ids import KEY, PROJECT, decode
from core.kit.money import ZERO
from core.ledger.reports.costs import reach_of
from core.ledger.reports.records import Window
from pipelines.registry import manifests

router = new_router("/v1/backtests", "costs")

_DEFAULT = timedelta(days=30)
_LONGEST = timedelta(days=92)
_PREFIXES = {"project": PROJECT, "key": KEY}
_PROBLEMS = problems(400, 408, 409, 413, 415)
_PARAMETERS = {"parameters": [IDEMPOTENCY_KEY]}


@router.post(
    "/budget",
    response_model=BudgetOutcome,
    summary="Backtest a budget",
    description=(
        "Replays submissions, model calls and settlements of past jobs against a hard budget, with the same"
        " decisions as enforcement. Each job reserves at submission what its capability reserves today."
        " Covers at most 20,000 jobs and 100,000 ledger lines."
    ),
    responses={200: {"description": "The simulated outcome."}, **_PROBLEMS},
    openapi_extra=_PARAMETERS,
)
@requires("costs:read")
async def backtest_budget(request: Request, body: BacktestBudget) -> Response:
    """Backtest a budget."""
    window, scope = window_of(body.begins, body.ends), scope_of(caller(request), body.scope, body.scope_id)

    def run(executor: SingleStatement) -> dict[str, Any]:
        moments = read_moments(executor, scope, window, reserve_of)
        return to_budget_outcome(_head(window), budget.replay(moments, Decimal(body.limit_usd), body.period))

    return await _respond(request, run)


@router.post(
    "/limit",
    response_model=LimitOutcome,
    summary="Backtest a rate limit",
    description="Replays the submission times of past jobs against a rate limit. Covers at most 100,000 jobs.",
    responses={200: {"description": "The simulated outcome."}, **_PROBLEMS},
    openapi_extra=_PARAMETERS,
)
@requires("costs:read")
async def backtest_limit(request: Request, body: BacktestLimit) -> Response:
    """Backtest a rate limit."""
    window, scope = window_of(body.begins, body.ends), scope_of(caller(request), body.scope, body.scope_id)

    def run(executor: SingleStatement) -> dict[str, Any]:
        submissions = read_submissions(executor, scope, window)
        return to_limit_outcome(_head(window), limits.replay(submissions, body.requests_per_minute))

    return await _respond(request, run)


@router.post(
    "/prices",
    response_model=PriceOutcome,
    summary="Backtest prices",
    description="Calculates what past usage would have cost at other prices. Corrections are left out.",
    responses={200: {"description": "The simulated charges."}, **_PROBLEMS},
    openapi_extra=_PARAMETERS,
)
@requires("costs:read")
async def backtest_prices(request: Request, body: BacktestPrices) -> Response:
    """Backtest prices."""
    window, reach = window_of(body.begins, body.ends), reach_of(caller(request), parse_project(body.project_id))
    prices = [NewPrice(each.provider, each.model, each.unit, each.usd_per_unit) for each in body.prices]

    def run(executor: SingleStatement) -> dict[str, Any]:
        return to_price_outcome(_head(window), reprice(executor, reach, window, prices))

    return await _respond(request, run)


async def _respond(request: Request, run: Callable[[SingleStatement], dict[str, Any]]) -> Response:
    # Running it again gives the same result, so an Idempotency-Key changes nothing.
    identify_request(request, b"")
    runtime = get_runtime(request)
    return respond_json(await runtime.in_thread(run, runtime.database.single_tenant(caller(request).organization_id)))


def scope_of(principal: Principal, scope: Scope, scope_id: str | None) -> HistoryScope:
    """The past jobs that the caller may replay. Raises `Unprocessable` or `ScopeMissing`."""
    if (scope == "organization") != (scope_id is None):
        message = "leave it out to cover the whole organization" if scope_id else f"name the {scope}"
        raise invalid([{"path": "body.scope_id", "code": "scope_mismatch", "message": message}])
    named = None
    if scope_id is not None:
        try:
            named = decode(_PREFIXES[scope], scope_id)
        except ValueError as error:
            raise invalid([{"path": "body.scope_id", "code": "invalid_id", "message": str(error)}]) from None
    # Without `organization:read`, callers replay their own project, whatever scope they name.
    reach = reach_of(principal, named if scope == "project" else None)
    return HistoryScope(reach.organization_id, reach.project_id, named if scope == "key" else None)


def reserve_of(capability: str) -> Decimal:
    """What a job of the capability reserves today."""
    manifest = manifests().get(capability)
    return ZERO if manifest is None else manifest.reserve_usd


def window_of(begins: datetime | None, ends: datetime | None) -> Window:
    """The window of a request. Raises `Unprocessable` naming ``body.from``."""
    last = (ends or utc_now()).astimezone(UTC)
    first = (begins or last - _DEFAULT).astimezone(UTC)
    if not timedelta(0) < last - first <= _LONGEST:
        message = f"must be earlier than `to`, by at most {_LONGEST.days} days"
        raise invalid([{"path": "body.from", "code": "window_invalid", "message": message}])
    return Window(first, last)


def _head(window: Window) -> Head:
    return {"from": isoformat(window.begins), "to": isoformat(window.ends)}
