"""``/v1/organization``: the caller's own."""

from typing import Any

from fastapi import Request, Response

from api.answers import respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.organization.schemas import Organization, to_wire
from api.routing import caller, new_router, requires

router = new_router("/v1/organization", "tenancy")


@router.get(
    "",
    response_model=Organization,
    summary="Read the caller's organization",
    description=(
        "Returns the organization and the caller's identity and permissions. Call this first when a request is refused."
    ),
    responses={200: {"description": "The organization."}, **problems(404)},
)
@requires("organization:read", organization_wide=True)
async def read_organization(request: Request) -> Response:
    """Read the organization of the key or token."""
    return respond_json(await get_runtime(request).in_thread(_read, request))


def _read(request: Request) -> dict[str, Any]:
    runtime, principal = get_runtime(request), caller(request)
    session = runtime.database.single_tenant(principal.organization_id)
    return to_wire(runtime.projects.organization(session, principal), principal)
