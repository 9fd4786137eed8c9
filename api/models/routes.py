"""``/v1/models``: models, their immutable versions, and name resolution."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.models.schemas import (
    NUMBER_MAX,
    AddVersion,
    CreateModel,
    DeploymentList,
    Model,
    ModelPage,
    ModelVersion,
    ModelVersionPage,
    ResolvedModel,
    deployment_to_wire,
    model_to_wire,
    resolution_to_wire,
    version_to_wire,
)
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.problem import invalid
from api.routing import caller, new_router, requires
from api.work import Cursor, change, per_page, read, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import MODEL, PROJECT, decode, encode
from core.kit.json_values import dumps
from core.registry import service
from core.registry.catalogue.catalogue import Resolution
from core.registry.errors import ModelNotFound, ModelUnknown
from core.registry.records import NewVersion, Owner, StageChange, Version

router = new_router("/v1/models", "models")
deployments_router = new_router("/v1/deployments", "models")

ModelId = Annotated[str, Path(description="The model's id.", examples=["mdl_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
_LOCATION = {"Location": {"description": "Where the operation looks it up.", "schema": {"type": "string"}}}


def number_cursor(cursor: str | None) -> int | None:
    """The number below which a page of numbered items starts. Raises `Unprocessable` for an invalid cursor."""
    if cursor is None:
        return None
    number = cursors.decode(cursor).int
    if number > NUMBER_MAX:
        message = "this is not a valid cursor; pass the next_cursor of the previous page unchanged"
        raise invalid([{"path": "query.cursor", "code": "invalid_cursor", "message": message}])
    return number


def cursor_number(numbered: Version | StageChange) -> UUID:
    """What the cursor that continues after a numbered item holds."""
    return UUID(int=numbered.number)


@router.post(
    "",
    status_code=201,
    response_model=Model,
    summary="Create a model",
    description="Creates a name without versions. It resolves to a version once one is added and promoted.",
    responses={
        201: {"description": "Created.", "headers": {**_LOCATION, **REPLAYED}},
        **problems(400, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("models:write", organization_wide=True)
async def create_model(request: Request, body: CreateModel) -> Response:
    """Create a model."""
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_create, request, body, identity))


def _create(request: Request, body: CreateModel, identity: IdempotentRequest | None) -> Answer:
    runtime, owner = get_runtime(request), Owner.of(caller(request))

    def produce(session: Session) -> Answer:
        made = runtime.models.create(session, owner, body.name, body.description)
        return Answer(201, dumps(model_to_wire(made)), f"/v1/models/{encode(MODEL, made.id)}")

    return carry_out(request, identity, produce)


@router.get(
    "",
    response_model=ModelPage,
    summary="List models",
    responses={
        200: {"description": "Lists the models of the organization and the shared models, newest first."},
        **problems(),
    },
)
@requires("models:read", organization_wide=True)
async def list_models(
    request: Request,
    name: Annotated[str | None, Query(max_length=100, description="Filter by name.")] = None,
    limit: Annotated[int, per_page("Models")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of models."""
    before = cursors.decode_given(cursor)
    found = await read(
        request,
        lambda session, principal: service.list_models(
            session, principal.organization_id, name=name, cursor=before, limit=limit + 1
        ),
    )
    return respond_page(found, limit, model_to_wire)


@router.get(
    "/resolve",
    response_model=ResolvedModel,
    summary="Resolve a model name",
    description=(
        "Returns the version that a name resolves to in a project, for a capability, and why. The answer"
        " comes from memory, as for a job in this process; a change is visible within two seconds."
    ),
    responses={200: {"description": "The resolved version."}, **problems(404)},
)
@requires("models:read", organization_wide=True)
async def resolve_name(
    request: Request,
    name: Annotated[str, Query(min_length=1, max_length=100, description="The name of a model or an alias.")],
    capability: Annotated[str, Query(max_length=129, description="Resolve for this capability. Default: none.")] = "",
    project_id: Annotated[
        str | None, Query(max_length=40, description="Resolve in this project. Default: the key's project.")
    ] = None,
) -> Response:
    """Resolve a model name."""
    project = caller(request).project_id if project_id is None else parse_project(project_id, "query.project_id")
    found = await get_runtime(request).in_thread(_resolve, request, name, capability, project)
    return respond_json(resolution_to_wire(name, found))


def parse_project(text: str, path: str) -> UUID:
    """The id of a project. Raises `Unprocessable` for what cannot be one."""
    try:
        return decode(PROJECT, text)
    except ValueError as error:
        raise invalid(
            [{"path": path, "code": "invalid_id", "message": "must be the id of a project: prj_…"}]
        ) from error


def _resolve(request: Request, name: str, capability: str, project_id: UUID) -> Resolution:
    runtime, organization_id = get_runtime(request), caller(request).organization_id
    try:
        return runtime.catalogue.explain(
            runtime.database.single_tenant(organization_id),
            organization_id=organization_id,
            project_id=project_id,
            capability=capability,
            name=name,
        )
    except ModelUnknown as unknown:
        raise ModelNotFound(unknown.detail) from None


@router.get(
    "/{model_id}",
    response_model=Model,
    summary="Read a model",
    responses={200: {"description": "Returns the model and its champion."}, **problems(404)},
)
@requires("models:read", organization_wide=True)
async def read_model(request: Request, model_id: ModelId) -> Response:
    """Read one model."""
    found = parse_id(MODEL, model_id, "model")
    shown = await read(request, lambda session, principal: service.get_model(session, principal.organization_id, found))
    return respond_json(model_to_wire(shown))


@router.post(
    "/{model_id}/versions",
    status_code=201,
    response_model=ModelVersion,
    summary="Add a version",
    description="Adds a candidate version, which never changes. If it is invalid, the error lists every problem.",
    responses={
        201: {"description": "Added.", "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("models:write", organization_wide=True)
async def add_version(request: Request, model_id: ModelId, body: AddVersion) -> Response:
    """Add a version."""
    found = parse_id(MODEL, model_id, "model")
    identity = identify_request(request, await request.body())
    new = get_runtime(request).models.complete(body.model_dump())
    return respond_answer(await get_runtime(request).in_thread(_add, request, found, new, identity))


def _add(request: Request, model_id: UUID, new: NewVersion, identity: IdempotentRequest | None) -> Answer:
    runtime, owner = get_runtime(request), Owner.of(caller(request))

    def produce(session: Session) -> Answer:
        return Answer(201, dumps(version_to_wire(runtime.models.add_version(session, owner, model_id, new))))

    return carry_out(request, identity, produce)


@router.get(
    "/{model_id}/versions",
    response_model=ModelVersionPage,
    summary="List a model's versions",
    responses={200: {"description": "Lists the versions, latest first."}, **problems(404)},
)
@requires("models:read", organization_wide=True)
async def list_model_versions(
    request: Request,
    model_id: ModelId,
    limit: Annotated[int, per_page("Versions")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of versions."""
    model = parse_id(MODEL, model_id, "model")
    found = await change(
        request,
        lambda session, principal: service.list_versions(
            session, principal.organization_id, model, before=number_cursor(cursor), limit=limit + 1
        ),
    )
    return respond_page(found, limit, version_to_wire, cursor_number)


@deployments_router.get(
    "",
    response_model=DeploymentList,
    summary="List deployments",
    description=(
        "Lists the provider endpoints of this installation. The operator defines them in a file; see the"
        " reference of models."
    ),
    responses={200: {"description": "The deployments."}, **problems()},
)
@requires("models:read", organization_wide=True)
async def list_deployments(request: Request) -> Response:
    """List deployments."""
    known = get_runtime(request).models.deployments
    return respond_json({"data": [deployment_to_wire(each) for each in known]})
