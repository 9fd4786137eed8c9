"""``/v1/organization``: the caller's own."""

from fastapi import Request, Response

from api.answers import respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.organization.schemas import Organization, to_wire
from api.routing import caller, new_router, requires
from api.work import read

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
    found = await read(request, get_runtime(request).projects.organization)
    return respond_json(to_wire(found, caller(request)))
