"""``/v1/retention``: how long the project keeps each kind of data."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from api.answers import respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.retention.schemas import Retention, SetRetention, to_wire
from api.routing import caller, new_router, requires
from api.work import read
from core.jobs.retention.records import Kind, RetentionPeriod
from core.kit.data_classes import DataClass

router = new_router("/v1/retention", "retention")

_Kind = Annotated[
    Kind,
    Query(description="The kind of data."),
]
_Scope = Annotated[Literal["organization", "project"], Query(description="Whose retention period to remove.")]
_DataClass = Annotated[
    DataClass | None,
    Query(description="The period for payloads of this data class and above. Without it, the period of the kind."),
]
_NOW = "The project's updated retention periods."


@router.get(
    "",
    response_model=Retention,
    summary="Read retention periods",
    responses={
        200: {"description": "Returns the retention period of every kind of data, and who set it."},
        **problems(),
    },
)
@requires("retention:read")
async def read_retention(request: Request) -> Response:
    """Read retention periods."""
    shown = await read(request, get_runtime(request).retention.periods)
    return respond_json(to_wire(shown))


@router.put(
    "",
    response_model=Retention,
    summary="Set a retention period",
    description=(
        "Applies from the dispatcher's next run, within the hour. Payloads of ended jobs past the period are"
        " then deleted permanently. Other kinds of data are deleted a month at a time, when every project's"
        " period has ended. With a `data_class`, the period applies to payloads of jobs of that class and"
        " above, unless another period ends earlier. A project's period replaces its organization's for the"
        " same class."
    ),
    responses={200: {"description": _NOW}, **problems(400, 408, 413, 415)},
)
@requires("retention:write")
async def set_retention(request: Request, body: SetRetention) -> Response:
    """Set a retention period."""
    return respond_json(to_wire(await get_runtime(request).in_thread(store_retention, request, body)))


def store_retention(request: Request, body: SetRetention) -> list[RetentionPeriod]:
    """Set a period. Blocks."""
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
    summary="Remove a retention period",
    description="The organization's period then applies to the project, and the installation's to the organization.",
    responses={200: {"description": _NOW}, **problems(404)},
)
@requires("retention:write")
async def remove_retention(
    request: Request, kind: _Kind, scope: _Scope = "project", data_class: _DataClass = None
) -> Response:
    """Remove a retention period."""
    return respond_json(
        to_wire(await get_runtime(request).in_thread(delete_retention, request, kind, scope, data_class))
    )


def delete_retention(request: Request, kind: Kind, scope: str, data_class: DataClass | None) -> list[RetentionPeriod]:
    """Remove a period. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.retention.remove(session, principal, kind, for_project=scope == "project", data_class=data_class)
