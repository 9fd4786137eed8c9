"""``/v1/projects``: create, read, list, update, archive, restore."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, created, problems
from api.projects.schemas import CreateProject, Project, ProjectPage, UpdateProject, to_wire
from api.routing import caller, new_router, requires
from api.work import Cursor, per_page, read, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.keys.projects.repository import Project as ProjectRecord
from core.kit.ids import PROJECT, encode
from core.kit.json_values import dumps

router = new_router("/v1/projects", "tenancy")

ProjectId = Annotated[str, Path(description="The project's id.", examples=["prj_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.post(
    "",
    status_code=201,
    response_model=Project,
    summary="Create a project",
    responses={
        **created("Created.", "The project."),
        **problems(400, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("projects:write", organization_wide=True)
async def create_project(request: Request, body: CreateProject) -> Response:
    """Create a project in the caller's organization."""
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(make_project, request, body, identity))


def make_project(request: Request, body: CreateProject, identity: IdempotentRequest | None) -> Answer:
    """Create a project. Blocks."""
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        project = runtime.projects.create(
            session,
            principal,
            body.name,
            cost_centre=body.cost_centre,
            owner=body.owner,
            labels=body.labels,
            data_class=body.data_class,
        )
        return Answer(201, dumps(to_wire(project)), f"/v1/projects/{encode(PROJECT, project.id)}")

    return carry_out(request, identity, produce)


@router.get(
    "",
    response_model=ProjectPage,
    summary="List projects",
    description="Lists all projects of the organization, newest first.",
    responses={200: {"description": "A page of results."}, **problems()},
)
@requires("projects:read", organization_wide=True)
async def list_projects(
    request: Request,
    name: Annotated[str | None, Query(max_length=200, description="Filter by name.")] = None,
    archived: Annotated[bool, Query(description="Include archived projects.")] = False,
    limit: Annotated[int, per_page("Projects")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the organization's projects."""
    before = cursors.decode_given(cursor)
    found = await read(
        request, get_runtime(request).projects.list, cursor=before, limit=limit + 1, with_archived=archived, name=name
    )
    return respond_page(found, limit, to_wire)


@router.get(
    "/{project_id}",
    response_model=Project,
    summary="Read a project",
    responses={200: {"description": "The project."}, **problems(404)},
)
@requires("projects:read", organization_wide=True)
async def read_project(request: Request, project_id: ProjectId) -> Response:
    """Read a project."""
    found = parse_id(PROJECT, project_id, "project")
    shown = await read(request, get_runtime(request).projects.get, found)
    return respond_json(to_wire(shown))


@router.patch(
    "/{project_id}",
    response_model=Project,
    summary="Change a project",
    responses={200: {"description": "The updated project."}, **problems(400, 404, 408, 409, 413, 415)},
)
@requires("projects:write", organization_wide=True)
async def update_project(request: Request, project_id: ProjectId, body: UpdateProject) -> Response:
    """Update the fields in the body."""
    found = parse_id(PROJECT, project_id, "project")
    changes = body.model_dump(exclude_unset=True)
    return respond_json(to_wire(await get_runtime(request).in_thread(store_changes, request, found, changes)))


def store_changes(request: Request, project_id: UUID, changes: dict[str, Any]) -> ProjectRecord:
    """Change a project. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.projects.update(session, principal, project_id, changes)


@router.post(
    "/{project_id}/archive",
    response_model=Project,
    summary="Archive a project",
    description=(
        "Makes the project read-only: its keys are refused everything except reading within two seconds."
        " Jobs that were already accepted still run."
    ),
    responses={200: {"description": "The updated project.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("projects:write", organization_wide=True)
async def archive_project(request: Request, project_id: ProjectId) -> Response:
    """Archive a project."""
    return await _set_archived(request, project_id, archived=True)


@router.post(
    "/{project_id}/restore",
    response_model=Project,
    summary="Restore a project",
    responses={200: {"description": "The updated project.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("projects:write", organization_wide=True)
async def restore_project(request: Request, project_id: ProjectId) -> Response:
    """Restore a project."""
    return await _set_archived(request, project_id, archived=False)


async def _set_archived(request: Request, project_id: str, *, archived: bool) -> Response:
    found = parse_id(PROJECT, project_id, "project")
    identity = identify_request(request, b"")
    return respond_answer(await get_runtime(request).in_thread(store_archived, request, found, archived, identity))


def store_archived(request: Request, project_id: UUID, archived: bool, identity: IdempotentRequest | None) -> Answer:
    """Archive a project, or restore it. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        project = runtime.projects.set_archived(session, principal, project_id, archived=archived)
        return Answer(200, dumps(to_wire(project)))

    return carry_out(request, identity, produce)
