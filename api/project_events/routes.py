"""``/v1/events``: all events of a project, in one stream."""

from typing import Annotated

from fastapi import Query, Request, Response

from api.deps import get_runtime
from api.jobs.metadata import metadata_filter
from api.openapi import problems
from api.problem import invalid
from api.project_events.records import Place, Wanted, parse_cursor
from api.project_events.stream import ProjectStream
from api.routing import caller, new_router, requires
from core.jobs.states import JobState

router = new_router("/v1/events", "jobs")

_EXAMPLE = (
    'id: AQAAAAAAAALkAZ1…\nevent: job.succeeded\ndata: {"cursor":"AQAAAAAAAALkAZ1…","id":7,'
    '"job_id":"job_01jd3q8v9tfq8a1b2c3d4e5f6g","capability":"research.report","metadata":{},'
    '"type":"job.succeeded","attempt":1,"created_at":"2026-11-23T05:00:00.000000Z","data":{}}\n\n'
)


@router.get(
    "",
    summary="Follow a project's events",
    description=(
        "Streams server-sent events of all jobs of the project, from now on or after the cursor in"
        " `Last-Event-ID` or `starting_after`. `starting_after=0` starts at the oldest persisted event."
        " Transient events (`message.delta`) are not included. The id of each event is the cursor that"
        " resumes after it: no event is missed or repeated. A `gap` event says that retention has deleted"
        " part of the requested history."
    ),
    response_class=Response,
    responses={
        200: {
            "description": "The event stream.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **problems(),
    },
    openapi_extra={
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The last cursor received. Overrides `starting_after`.",
                "schema": {"type": "string", "pattern": "^(0|[A-Za-z0-9_-]{44})$"},
            },
            {
                "name": "metadata",
                "in": "query",
                "required": False,
                "style": "deepObject",
                "explode": True,
                "description": "Filter by labels of the job: `metadata[ticket]=4711` or `metadata.ticket=4711`.",
                "schema": {
                    "type": "object",
                    "additionalProperties": {"type": "string", "maxLength": 512},
                    "maxProperties": 16,
                    "propertyNames": {"pattern": "^[A-Za-z0-9_.-]{1,64}$"},
                },
            },
        ]
    },
)
@requires("jobs:read")
async def follow_project(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    event: Annotated[list[str] | None, Query(max_length=50, alias="type", description="Filter by event types.")] = None,
    capability: Annotated[list[str] | None, Query(max_length=50, description="Filter by capabilities.")] = None,
    state: Annotated[
        list[JobState] | None,
        Query(max_length=len(JobState), description="Filter by the job's state when the event is sent."),
    ] = None,
    starting_after: Annotated[
        str | None, Query(max_length=44, description="Return only events after this cursor.")
    ] = None,
    follow: Annotated[bool, Query(description="If false, the stream ends once the persisted events were sent.")] = True,
) -> Response:
    """Stream a project's events."""
    runtime, principal = get_runtime(request), caller(request)
    wanted = Wanted(
        frozenset(event or ()), frozenset(capability or ()), frozenset(state or ()), metadata_filter(request)
    )
    after = _after(request.headers.get("last-event-id"), starting_after)
    return ProjectStream(
        runtime.feeds,
        runtime.stream_guard,
        principal,
        wanted,
        after=after or await runtime.feeds.reader.horizon(principal.organization_id),
        follow=follow,
        keepalive_seconds=runtime.settings.sse_keepalive_seconds,
        stall_seconds=runtime.settings.sse_stall_seconds,
    )


def _after(header: str | None, query: str | None) -> Place | None:
    path, given = (
        ("header.last-event-id", header.strip()) if header and header.strip() else ("query.starting_after", query)
    )
    if given is None:
        return None
    try:
        return parse_cursor(given)
    except ValueError:
        message = "not a valid cursor; pass the id of the last event unchanged, or 0"
        raise invalid([{"path": path, "code": "invalid_cursor", "message": message}]) from None
