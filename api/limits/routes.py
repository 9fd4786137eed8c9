"""``/v1/limits``: the limits of the caller, and those set for an organization, a project or a key."""

from typing import Annotated

from fastapi import Path, Query, Request, Response

from api import cursors
from api.answers import respond_json
from api.deps import get_runtime
from api.limits.schemas import Limit, LimitPage, SetLimit, to_wire
from api.openapi import problems
from api.routing import caller, new_router, requires
from api.work import PAGE_MAX, Cursor, read, respond_page
from core.keys.principal import Principal
from core.kit.errors import NotFound
from core.kit.ids import decode
from core.limits.errors import PREFIXES
from core.limits.records import LimitKind, LimitRecord, ScopeId

router = new_router("/v1/limits", "limits")

_OWN = "organization"
_SCOPE_HELP = "A project (`prj_…`), a key (`key_…`), or the organization (`org_…` or `organization`)."
Scope = Annotated[str, Path(description=_SCOPE_HELP, examples=["prj_01jd3q8v9tfq8a1b2c3d4e5f6g"], max_length=40)]
Kind = Annotated[LimitKind, Path(description="The kind of limit.")]


@router.get(
    "",
    response_model=LimitPage,
    summary="Read the limits in force",
    description="Returns the limits of the key, its project and its organization, with their usage.",
    responses={
        200: {"description": "The limits of the caller. With `all`, a page of the limits that are set."},
        **problems(),
    },
)
@requires("limits:read", organization_wide=True)
async def list_limits(
    request: Request,
    all: Annotated[bool, Query(description="List every limit that the organization has set, newest first.")] = False,  # noqa: A002
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="Limits per page, with `all`.")] = 50,
    cursor: Cursor = None,
) -> Response:
    """Read the caller's limits, or all limits that are set."""
    runtime = get_runtime(request)
    if not all:
        found = await read(request, runtime.limits.effective)
        return respond_json({"data": [to_wire(each) for each in found], "next_cursor": None})
    before = cursors.decode_given(cursor)
    found = await read(request, runtime.limits.list, cursor=before, limit=limit + 1)
    return respond_page(found, limit, to_wire)


@router.get(
    "/{scope}",
    response_model=LimitPage,
    summary="Read the limits of a scope",
    responses={200: {"description": "The limits set for it, and their usage."}, **problems(404)},
)
@requires("limits:read", organization_wide=True)
async def read_limits(request: Request, scope: Scope) -> Response:
    """Read the limits of an organization, project or key."""
    found = await get_runtime(request).in_thread(_of_scope, request, scope)
    return respond_json({"data": [to_wire(each) for each in found], "next_cursor": None})


def _of_scope(request: Request, scope: str) -> list[LimitRecord]:
    runtime, principal = get_runtime(request), caller(request)
    whose = _scope_id(principal, scope)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.limits.of_scope(session, principal, whose)


@router.put(
    "/{scope}/{kind}",
    response_model=Limit,
    summary="Set a limit",
    description=(
        "Takes effect within two seconds. A quota includes usage from earlier in the day or month. Sending"
        " the same value again changes nothing."
    ),
    responses={200: {"description": "The updated limit."}, **problems(400, 404, 408, 413, 415)},
)
@requires("limits:write", organization_wide=True)
async def set_limit(request: Request, scope: Scope, kind: Kind, body: SetLimit) -> Response:
    """Set or change a limit."""
    return respond_json(to_wire(await get_runtime(request).in_thread(store_limit, request, scope, kind, body.value)))


def store_limit(request: Request, scope: str, kind: LimitKind, value: int | str) -> LimitRecord:
    """Set a limit, in force in this process at once. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    whose = _scope_id(principal, scope)
    with runtime.database.tenant(principal.organization_id) as session:
        found = runtime.limits.set(session, principal, whose, kind, value)
    runtime.limit_cache.evict()
    return found


@router.delete(
    "/{scope}/{kind}",
    response_model=Limit,
    summary="Remove a limit",
    description="Removes the limit. For the requests of a key, the operator's default then applies.",
    responses={200: {"description": "The limit that was removed."}, **problems(404)},
)
@requires("limits:write", organization_wide=True)
async def remove_limit(request: Request, scope: Scope, kind: Kind) -> Response:
    """Remove a limit."""
    return respond_json(to_wire(await get_runtime(request).in_thread(delete_limit, request, scope, kind)))


def delete_limit(request: Request, scope: str, kind: LimitKind) -> LimitRecord:
    """Remove a limit. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    whose = _scope_id(principal, scope)
    with runtime.database.tenant(principal.organization_id) as session:
        found = runtime.limits.remove(session, principal, whose, kind)
    runtime.limit_cache.evict()
    return found


def _scope_id(principal: Principal, scope: str) -> ScopeId:
    if scope == _OWN:
        return ScopeId("organization", principal.organization_id)
    for name, prefix in PREFIXES.items():
        if scope.startswith(f"{prefix}_"):
            try:
                return ScopeId(name, decode(prefix, scope))
            except ValueError as error:
                raise NotFound(f"there is no such {name}: {error}", code=f"{name}_not_found") from error
    raise NotFound("limits are set for organization, org_…, prj_… or key_…", code="scope_not_found")
