"""``/v1/budgets``: create, read, list, change, archive. A budget belongs to the organization, whatever its scope."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.budgets.schemas import Budget, BudgetPage, CreateBudget, UpdateBudget, to_amount, to_wire
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, created, problems
from api.problem import invalid
from api.routing import caller, new_router, requires
from api.work import Cursor, answer_once, per_page, read, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import BUDGET, KEY, PROJECT, decode, encode
from core.kit.json_values import dumps
from core.ledger.records import Budget as BudgetRecord
from core.ledger.records import BudgetChange, NewBudget

router = new_router("/v1/budgets", "budgets")

_SCOPE_PREFIXES = {"project": PROJECT, "key": KEY}
BudgetId = Annotated[str, Path(description="The budget's id.", examples=["bud_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.post(
    "",
    status_code=201,
    response_model=Budget,
    summary="Create a budget",
    description="Applies to every job accepted from now on.",
    responses={
        **created("Created.", "The budget."),
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("budgets:write", organization_wide=True)
async def create_budget(request: Request, body: CreateBudget) -> Response:
    """A new budget."""
    new = new_budget(body)
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_create, request, new, identity))


def new_budget(body: CreateBudget) -> NewBudget:
    """The budget that `body` asks for. Raises `Unprocessable`."""
    return NewBudget(
        name=body.name,
        limit_usd=to_amount(body.limit_usd),
        scope=body.scope,
        scope_id=_scope_id(body),
        period=body.period,
        hard=body.hard,
        on_exhaustion=body.on_exhaustion,
        thresholds=tuple(body.thresholds),
    )


def _scope_id(body: CreateBudget) -> UUID | None:
    """The id of the project or key. Raises `Unprocessable` naming ``body.scope_id``."""
    if body.scope_id is None:
        return None
    # The id decides `scope`. For the organization there is no id, and the service checks that.
    prefix = _SCOPE_PREFIXES.get(body.scope, body.scope_id.partition("_")[0])
    try:
        return decode(prefix, body.scope_id)
    except ValueError as error:
        problem = {
            "path": "body.scope_id",
            "code": "invalid_id",
            "message": f"must be the id of a {body.scope}: {prefix}_…",
        }
        raise invalid([problem]) from error


def _create(request: Request, new: NewBudget, identity: IdempotentRequest | None) -> Answer:
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        budget = runtime.budgets.create(session, principal, new)
        return Answer(201, dumps(to_wire(budget)), f"/v1/budgets/{encode(BUDGET, budget.id)}")

    answer = carry_out(request, identity, produce)
    runtime.jobs.room.evict()
    return answer


@router.get(
    "",
    response_model=BudgetPage,
    summary="List budgets",
    responses={200: {"description": "Lists budgets with their balances, newest first."}, **problems()},
)
@requires("budgets:read", organization_wide=True)
async def list_budgets(
    request: Request,
    archived: Annotated[bool, Query(description="Include archived budgets.")] = False,
    limit: Annotated[int, per_page("Budgets")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the organization's budgets."""
    before = cursors.decode_given(cursor)
    found = await read(request, get_runtime(request).budgets.list, archived=archived, cursor=before, limit=limit + 1)
    return respond_page(found, limit, to_wire)


@router.get(
    "/{budget_id}",
    response_model=Budget,
    summary="Read a budget",
    responses={
        200: {"description": "Returns the budget and the amounts spent and reserved in the current period."},
        **problems(404),
    },
)
@requires("budgets:read", organization_wide=True)
async def read_budget(request: Request, budget_id: BudgetId) -> Response:
    """Read a budget."""
    found = parse_id(BUDGET, budget_id, "budget")
    shown = await read(request, get_runtime(request).budgets.get, found)
    return respond_json(to_wire(shown))


@router.patch(
    "/{budget_id}",
    response_model=Budget,
    summary="Change a budget",
    description=(
        "A higher limit applies to the next reservation. A limit below the amount spent and reserved stops"
        " nothing that is running and refuses new reservations."
    ),
    responses={200: {"description": "The updated budget."}, **problems(400, 404, 408, 409, 413, 415)},
)
@requires("budgets:write", organization_wide=True)
async def update_budget(request: Request, budget_id: BudgetId, body: UpdateBudget) -> Response:
    """Update the fields in the body."""
    change = BudgetChange(
        limit_usd=None if body.limit_usd is None else to_amount(body.limit_usd),
        hard=body.hard,
        on_exhaustion=body.on_exhaustion,
        thresholds=None if body.thresholds is None else tuple(body.thresholds),
    )
    found = parse_id(BUDGET, budget_id, "budget")
    return respond_json(to_wire(await get_runtime(request).in_thread(_update, request, found, change)))


def _update(request: Request, budget_id: UUID, change: BudgetChange) -> BudgetRecord:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        changed = runtime.budgets.update(session, principal, budget_id, change)
    runtime.jobs.room.evict()
    return changed


@router.post(
    "/{budget_id}/archive",
    response_model=Budget,
    summary="Archive a budget",
    description=(
        "Stops the budget from refusing and warning. Jobs accepted under it still count in its balance."
        " Archiving twice has no further effect."
    ),
    responses={200: {"description": "The updated budget.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("budgets:write", organization_wide=True)
async def archive_budget(request: Request, budget_id: BudgetId) -> Response:
    """Archive a budget."""
    found = parse_id(BUDGET, budget_id, "budget")
    runtime, principal = get_runtime(request), caller(request)
    return await answer_once(
        request, lambda session: Answer(200, dumps(to_wire(runtime.budgets.archive(session, principal, found))))
    )
