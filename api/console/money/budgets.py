"""``/console/money/budgets``: headroom, forecasts, what a budget would have refused, and changes to budgets."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.backtests.routes import reserve_of, scope_of, window_of
from api.budgets.routes import new_budget
from api.budgets.schemas import CreateBudget, UpdateBudget, to_amount
from api.console.forms import parse_form
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, redirect, requires
from api.console.work import change, read
from api.deps import Runtime, get_runtime
from core.forecasts.backtests import budget as backtest
from core.forecasts.backtests.history import read_moments
from core.forecasts.burn import forecast
from core.keys.principal import Principal
from core.keys.scopes import WHOLE_ORGANIZATION
from core.kit.db import SingleStatement
from core.kit.ids import BUDGET, KEY, PROJECT, encode
from core.ledger.records import Budget, BudgetChange

router = new_router("/money/budgets")

_LIST = "/console/money/budgets"
_PAGE = 50
_ALERTS = 20
_PREFIXES = {"project": PROJECT, "key": KEY}
_PERIODS = ("day", "month", "total")


@router.get("")
@requires("budgets:read", organization_wide=True)
async def budgets(
    request: Request,
    archived: Annotated[bool, Query(description="Include archived budgets.")] = False,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Budgets with what is left of them."""
    before = None if cursor is None else cursors.decode(cursor)
    found = await read(
        request,
        lambda runtime, session, principal: runtime.budgets.list(
            session, principal, archived=archived, cursor=before, limit=_PAGE + 1
        ),
    )
    return render(
        request,
        "money/budgets.html",
        budgets=[(each, _scope(each)) for each in found[:_PAGE]],
        older=cursors.encode(found[_PAGE - 1].id) if len(found) > _PAGE else None,
        archived=archived,
        periods=_PERIODS,
    )


@router.post("")
@requires("budgets:write", organization_wide=True)
async def create(request: Request) -> Response:
    """A new budget."""
    fields = form(request)
    given = {name: fields.get(name) or None for name in ("name", "limit_usd", "scope", "scope_id", "period")}
    body = parse_form(CreateBudget, {**given, "hard": fields.get("hard") == "yes"})
    new = new_budget(body)
    made = await change(request, lambda runtime, session, principal: runtime.budgets.create(session, principal, new))
    get_runtime(request).jobs.room.evict()
    return flash(redirect(request, f"{_LIST}/{encode(BUDGET, made.id)}"), _("The budget is in force."))


@router.get("/{budget_id}")
@requires("budgets:read", organization_wide=True)
async def budget(
    request: Request,
    budget_id: str,
    limit_usd: Annotated[str, Query(max_length=40, description="A limit to try on past jobs.")] = "",
) -> Response:
    """A budget, its forecast, and what it or another limit would have refused in the last 30 days."""
    found = parse_id(BUDGET, budget_id, "budget")
    caller = current(request).principal
    # A backtest reads jobs: of the caller's project, or of the organization with the scope for it.
    may_try = "costs:read" in caller.scopes and (caller.project_id is not None or WHOLE_ORGANIZATION in caller.scopes)
    tried = _amount(limit_usd.strip()) if limit_usd.strip() else None

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        budget = runtime.budgets.get(session, principal, found)
        limit = budget.limit_usd if tried is None else tried
        return {
            "budget": budget,
            "forecast": forecast(session, budget),
            "outcome": _try(session, principal, budget, limit) if may_try and tried is not None else None,
        }

    values = await read(request, find)
    alerts = await change(
        request,
        lambda runtime, session, principal: runtime.budgets.alerts(
            session, principal, found, cursor=None, limit=_ALERTS
        ),
    )
    shown = values["budget"]
    return render(
        request,
        "money/budget.html",
        alerts=alerts,
        scope=_scope(shown),
        tried=tried,
        may_try=may_try,
        **values,
    )


@router.post("/{budget_id}/limit")
@requires("budgets:write", organization_wide=True)
async def set_limit(request: Request, budget_id: str) -> Response:
    """Change the limit, and whether it refuses."""
    found, fields = parse_id(BUDGET, budget_id, "budget"), form(request)
    body = parse_form(UpdateBudget, {"limit_usd": fields.get("limit_usd", ""), "hard": fields.get("hard") == "yes"})
    changes = BudgetChange(limit_usd=None if body.limit_usd is None else to_amount(body.limit_usd), hard=body.hard)
    await change(
        request, lambda runtime, session, principal: runtime.budgets.update(session, principal, found, changes)
    )
    get_runtime(request).jobs.room.evict()
    return flash(redirect(request, f"{_LIST}/{budget_id}"), _("The budget is changed."))


@router.post("/{budget_id}/archive")
@requires("budgets:write", organization_wide=True)
async def archive(request: Request, budget_id: str) -> Response:
    """Stop the budget from refusing and warning."""
    found = parse_id(BUDGET, budget_id, "budget")
    await change(request, lambda runtime, session, principal: runtime.budgets.archive(session, principal, found))
    return flash(redirect(request, _LIST), _("The budget is archived."))


def _scope(budget: Budget) -> str | None:
    """The id of the project or key whose spending counts; None for the whole organization."""
    prefix = _PREFIXES.get(budget.scope)
    return None if prefix is None else encode(prefix, budget.scope_id)


def _try(session: SingleStatement, principal: Principal, budget: Budget, limit: Decimal) -> backtest.BudgetBacktest:
    window = window_of(None, None)
    moments = read_moments(session, scope_of(principal, budget.scope, _scope(budget)), window, reserve_of)
    return backtest.replay(moments, limit, budget.period)


def _amount(text: str) -> Decimal:
    return to_amount(parse_form(UpdateBudget, {"limit_usd": text}).limit_usd or "0")
