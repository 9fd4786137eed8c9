"""``/v1/aliases``: other names for models, for an organization, a project or a capability."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request, Response

from api import cursors
from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.models.routes import parse_project
from api.models.schemas import Alias, AliasPage, SetAlias, alias_to_wire
from api.openapi import problems
from api.routing import caller, new_router, requires
from api.work import Cursor, per_page, read, respond_page
from core.kit.ids import ALIAS
from core.registry.aliases import service
from core.registry.aliases.records import Alias as AliasRecord
from core.registry.aliases.records import NewAlias
from core.registry.records import Owner

router = new_router("/v1/aliases", "models")

AliasId = Annotated[str, Path(description="The alias's id.", examples=["als_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.get(
    "",
    response_model=AliasPage,
    summary="List aliases",
    responses={
        200: {"description": "Lists the aliases of the organization and the shared aliases, newest first."},
        **problems(),
    },
)
@requires("models:read", organization_wide=True)
async def list_aliases(
    request: Request,
    limit: Annotated[int, per_page("Aliases")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of aliases."""
    before = cursors.decode_given(cursor)
    found = await read(
        request,
        lambda session, principal: service.list_aliases(
            session, principal.organization_id, cursor=before, limit=limit + 1
        ),
    )
    return respond_page(found, limit, alias_to_wire)


@router.put(
    "",
    response_model=Alias,
    summary="Set an alias",
    description=(
        "Replaces the alias with the same name, project and capability. Takes effect within two seconds."
        " Sending the same alias again changes nothing."
    ),
    responses={200: {"description": "The updated alias."}, **problems(400, 404, 408, 409, 413, 415)},
)
@requires("models:promote", organization_wide=True)
async def set_alias(request: Request, body: SetAlias) -> Response:
    """Set an alias."""
    project = None if body.project_id is None else parse_project(body.project_id, "body.project_id")
    new = NewAlias(body.alias, body.model, body.version, project, body.capability)
    return respond_json(alias_to_wire(await get_runtime(request).in_thread(_set, request, new)))


def _set(request: Request, new: NewAlias) -> AliasRecord:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        found = service.set_alias(session, Owner.of(principal), new)
    runtime.catalogue.evict()
    return found


@router.delete(
    "/{alias_id}",
    response_model=Alias,
    summary="Remove an alias",
    responses={200: {"description": "The alias that was removed."}, **problems(404)},
)
@requires("models:promote", organization_wide=True)
async def remove_alias(request: Request, alias_id: AliasId) -> Response:
    """Remove an alias."""
    found = parse_id(ALIAS, alias_id, "alias")
    return respond_json(alias_to_wire(await get_runtime(request).in_thread(_remove, request, found)))


def _remove(request: Request, alias_id: UUID) -> AliasRecord:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        found = service.remove(session, Owner.of(principal), alias_id)
    runtime.catalogue.evict()
    return found
