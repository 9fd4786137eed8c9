"""``/v1/retention``: how long the project keeps what."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from api.answers import respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.retention.schemas import Retention, SetRetention, to_wire
from api.routing import caller, new_router, requires
from core.jobs.retention.records import Clock, Kind
from core.kit.data_classes import DataClass

router = new_router("/v1/retention", "retention")

_Kind = Annotated[
    Kind,
    Query(description="Which kind of data."),
]
_Scope = Annotated[Literal["organization", "project"], Query(description="Whose clock to remove.")]
_DataClass = Annotated[
    DataClass | None, Query(description="The clock for payloads of this class and above; without it, that of the kind.")
]
_NOW = "The project's clocks as they are now."


@router.get(
    "",
    response_model=Retention,
    summary="Read how long data is kept",
    responses={200: {"description": "The clock of every kind of data, and who set it."}, **problems()},
)
@requires("retention:read")
async def read_retention(request: Request) -> Response:
    """The clocks of the caller's project."""
    return respond_json(to_wire(await get_runtime(request).in_thread(_read, request)))


def _read(request: Request) -> list[Clock]:
    runtime, principal = get_runtime(request), caller(request)
    return runtime.retention.clocks(runtime.database.single_tenant(principal.organization_id), principal)


@router.put(
    "",
    response_model=Retention,
    summary="Set how long a kind of data is kept",
    description=(
        "In force from the dispatcher's next run on, within the hour. Payloads of ended jobs are then blanked, which"
        " cannot be undone. Everything else goes a month at a time, when every project's clock has run out. With a"
        " `data_class`, payloads of jobs of that class and above go after so many days, unless another clock ends"
        " earlier; a project's takes the place of its organization's for the same class."
    ),
    responses={200: {"description": _NOW}, **problems(400, 408, 413, 415)},
)
@requires("retention:write")
async def set_retention(request: Request, body: SetRetention) -> Response:
    """Set one clock."""
    return respond_json(to_wire(await get_runtime(request).in_thread(_set, request, body)))


def _set(request: Request, body: SetRetention) -> list[Clock]:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.retention.set(
            session,
            principal,
            body.kind,
            body.days,
            for_project=body.scope == "project",
            data_class=body.data_class,
        )


@router.delete(
    "",
    response_model=Retention,
    summary="Remove a clock",
    description="The organization's clock then counts for the project, and the installation's for the organization.",
    responses={200: {"description": _NOW}, **problems(404)},
)
@requires("retention:write")
async def remove_retention(
    request: Request, kind: _Kind, scope: _Scope = "project", data_class: _DataClass = None
) -> Response:
    """Remove one clock."""
    return respond_json(to_wire(await get_runtime(request).in_thread(_remove, request, kind, scope, data_class)))


def _remove(request: Request, kind: Kind, scope: str, data_class: DataClass | None) -> list[Clock]:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.retention.remove(session, principal, kind, for_project=scope == "project", data_class=data_class)
