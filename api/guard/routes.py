"""``/v1/guard``: policies, their versions, and the templates."""

from functools import lru_cache
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from api import cursors
from api.answers import parse_id, respond, respond_json
from api.deps import get_runtime
from api.guard.schemas import (
    VERSION_MAX,
    Policy,
    PolicyVersionPage,
    PutPolicy,
    TemplateList,
    policy_to_wire,
    summary_to_wire,
)
from api.openapi import problems
from api.routing import caller, new_router, requires
from api.work import Cursor, change, per_page, respond_page
from core.guard.policy import TEMPLATES
from core.guard.stored import PolicyVersion
from core.kit.ids import PROJECT
from core.kit.json_values import dumps

router = new_router("/v1/guard", "guard")

# A version may be a megabyte, and its counts need all of it.
ProjectId = Annotated[
    str | None, Query(max_length=40, description="The project whose policy to use. Default: the organization's policy.")
]


@router.get(
    "/policy",
    response_model=Policy,
    summary="Read a guard policy",
    responses={200: {"description": "Returns the policy in force, or the version you name."}, **problems(404)},
)
@requires("guard:read", organization_wide=True)
async def read_policy(
    request: Request,
    project_id: ProjectId = None,
    version: Annotated[int | None, Query(ge=1, le=VERSION_MAX, description="An earlier version.")] = None,
) -> Response:
    """The policy of the organization, or of a project."""
    project = _project(project_id)
    found = await change(request, get_runtime(request).guard.get, project, version)
    return respond_json(policy_to_wire(found, get_runtime(request).settings.guard_template))


@router.put(
    "/policy",
    response_model=Policy,
    summary="Set a guard policy",
    description=(
        "Creates a new version, in force within two seconds. For each finding the strictest of the"
        " organization's policy, the project's policy and the operator's minimum applies. Sending the policy"
        " that is already in force changes nothing."
    ),
    responses={200: {"description": "The updated policy."}, **problems(400, 404, 408, 409, 413, 415)},
)
@requires("guard:write", organization_wide=True)
async def put_policy(request: Request, body: PutPolicy, project_id: ProjectId = None) -> Response:
    """Set a guard policy."""
    project = _project(project_id)
    found = await get_runtime(request).in_thread(store_policy, request, project, body)
    return respond_json(policy_to_wire(found, get_runtime(request).settings.guard_template))


def store_policy(request: Request, project_id: UUID | None, body: PutPolicy) -> PolicyVersion:
    """Put a policy in force. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    policy = body.policy or TEMPLATES[body.template or "off"]
    with runtime.database.tenant(principal.organization_id) as session:
        found = runtime.guard.put(session, principal, project_id, policy, expected=body.version)
    runtime.guard_policies.evict()
    return found


@router.get(
    "/policy/versions",
    response_model=PolicyVersionPage,
    summary="List versions of a guard policy",
    responses={
        200: {
            "description": ("Lists versions, newest first. Read the content of a version with `GET /v1/guard/policy`.")
        },
        **problems(404),
    },
)
@requires("guard:read", organization_wide=True)
async def list_policy_versions(
    request: Request,
    project_id: ProjectId = None,
    limit: Annotated[int, per_page("Versions", 20)] = 10,
    cursor: Cursor = None,
) -> Response:
    """A page of versions."""
    before = None if cursor is None else min(cursors.decode(cursor).int, VERSION_MAX)
    project = _project(project_id)
    found = await change(request, get_runtime(request).guard.versions, project, before=before, limit=limit + 1)
    return respond_page(found, limit, summary_to_wire, lambda each: UUID(int=each.version))


@router.get(
    "/templates",
    response_model=TemplateList,
    summary="List guard policy templates",
    responses={200: {"description": "Lists the templates from the least to the most strict."}, **problems()},
)
@requires("guard:read", organization_wide=True)
async def read_templates() -> Response:
    """List guard policy templates."""
    return respond(_templates())


@lru_cache(maxsize=1)
def _templates() -> bytes:
    templates = [{"name": name, "policy": policy.model_dump(mode="json")} for name, policy in TEMPLATES.items()]
    return dumps({"data": templates})


def _project(project_id: str | None) -> UUID | None:
    return None if project_id is None else parse_id(PROJECT, project_id, "project")
