"""``/v1/capabilities``: the capabilities of this installation."""

from functools import lru_cache
from typing import Annotated

from fastapi import Path, Response

from api.answers import respond
from api.capabilities.schemas import Capability, CapabilityPage, to_wire
from api.openapi import problems
from api.routing import new_router, requires
from core.kit.errors import NotFound
from core.kit.json_values import dumps
from pipelines.registry import manifests

router = new_router("/v1/capabilities", "capabilities")


@lru_cache(maxsize=1)
def _documents() -> dict[str, bytes]:
    """The JSON of every capability by id. Manifests never change while a process runs."""
    return {name: dumps(to_wire(manifest)) for name, manifest in sorted(manifests().items())}


@router.get(
    "",
    response_model=CapabilityPage,
    summary="List capabilities",
    responses={200: {"description": "Lists every capability of this installation."}, **problems()},
)
@requires("jobs:read")
async def list_capabilities() -> Response:
    """The capabilities."""
    return respond(b'{"data":[' + b",".join(_documents().values()) + b'],"next_cursor":null}')


@router.get(
    "/{name}",
    response_model=Capability,
    summary="Read a capability",
    responses={200: {"description": "The capability."}, **problems(404)},
)
@requires("jobs:read")
async def read_capability(
    name: Annotated[str, Path(description="The capability's id.", examples=["knowledge.search"])],
) -> Response:
    """Read a capability."""
    found = _documents().get(name)
    if found is None:
        known = ", ".join(_documents())
        raise NotFound(f"there is no such capability; available: {known}", code="capability_not_found")
    return respond(found)
