"""``/v1/jobs``: submit, read, wait, list, cancel, follow."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Query, Request, Response

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond, respond_answer, respond_json
from api.costs.parameters import parse_project
from api.deps import Runtime, get_runtime
from api.events import EventStream
from api.jobs.cancelling import announce_cancelled, cancel
from api.jobs.metadata import metadata_filter
from api.jobs.preferences import parse_wait
from api.jobs.schemas import METADATA_MAX, Job, JobPage, JobWebhook, JobWithResult, SubmitJob, clamp, dump, to_wire
from api.jobs.submitting import new_job, receiver, submit
from api.jobs.waiting import is_asking, open_questions, read, wait_for_change, wait_for_end, with_result
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.problem import invalid
from api.routing import caller, new_router, require_project, requires
from api.times import Moment
from api.work import Cursor, per_page
from core.jobs.records import JobFilter, JobRecord
from core.jobs.service import listed
from core.jobs.states import JobState
from core.keys.errors import ClearanceExceeded
from core.keys.idempotency import Answer, IdempotentRequest
from core.keys.principal import Principal
from core.kit.errors import Gone
from core.kit.ids import JOB
from core.kit.json_values import dumps

router = new_router("/v1/jobs", "jobs")

_POLL_SECONDS = "1"
_WAIT_HELP = "Return when the job's state changes, or after this many seconds."
_ETAG = {"ETag": {"description": "The version of this job.", "schema": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "Seconds until the next read.", "schema": {"type": "integer"}}}
_LOCATION = {"Location": {"description": "The job.", "schema": {"type": "string"}}}
_APPLIED = {"Preference-Applied": {"schema": {"type": "string"}}}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "With `wait=30`, the response is 200 with the finished job if it ends within 30 seconds (RFC 7240).",
    "schema": {"type": "string"},
    "example": "wait=30",
}

JobId = Annotated[str, Path(description="The job's id.", examples=["job_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
Project = Annotated[
    str | None,
    Query(
        max_length=100,
        description=(
            "List the jobs of this project, or of `all` projects of the organization. Default: the key's project."
            " Other projects require the scope `organization:read`."
        ),
        examples=["all", "prj_01jd3q8v9tfq8a1b2c3d4e5f6g"],
    ),
]
Wait = Annotated[int, Query(ge=0, le=600, description=_WAIT_HELP)]


@router.post(
    "",
    status_code=202,
    response_model=JobWithResult,
    summary="Submit a job",
    description="Creates a job. The job is durable before the response is sent, even if the broker is unavailable.",
    responses={
        202: {"description": "Accepted.", "headers": {**_LOCATION, **_RETRY, **REPLAYED}},
        200: {
            "description": "The job finished within the time given by `Prefer: wait`.",
            "model": JobWithResult,
            "headers": {**_LOCATION, **_APPLIED},
        },
        **problems(400, 402, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY, _PREFER]},
)
@requires("jobs:write")
async def submit_job(request: Request, body: SubmitJob) -> Response:
    """Submit a job, and wait for its end if the client asks for that."""
    runtime, principal = get_runtime(request), caller(request)
    new = new_job(principal, body)
    wait_seconds = parse_wait(request.headers.get("prefer"), runtime.settings.api_wait_max_seconds)
    identity = identify_request(request, await request.body())
    if body.webhook is not None:
        new = replace(new, webhook=await _receiver(runtime, principal, body.webhook))
    answer = await runtime.in_thread(submit, request, new, identity)
    if wait_seconds:
        job_id = parse_id(JOB, (answer.location or "").rpartition("/")[2], "job")
        # The job is accepted, even if it cannot be read now.
        with suppress(ClearanceExceeded):
            job, result = await wait_for_end(runtime, principal, job_id, wait_seconds)
            if job.is_terminal:
                headers = {"location": answer.location or "", "preference-applied": f"wait={wait_seconds}"}
                return respond(dump(job, result), 200, headers)
    return respond_answer(answer, {"retry-after": _POLL_SECONDS})


async def _receiver(runtime: Runtime, principal: Principal, given: JobWebhook) -> dict[str, Any]:
    return await receiver(runtime, principal, given.url, given.events, include_result=given.include_result)


@router.get(
    "/{job_id}",
    response_model=JobWithResult,
    summary="Read a job",
    responses={
        200: {"description": "The job.", "headers": {**_ETAG, **_RETRY}},
        304: {
            "description": "The job has not changed since the version in `If-None-Match`.",
            "headers": {**_ETAG, **_RETRY},
        },
        **problems(404),
    },
    openapi_extra={
        "parameters": [
            {"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}},
        ]
    },
)
@requires("jobs:read")
async def read_job(request: Request, job_id: JobId, wait: Wait = 0) -> Response:
    """Read the job immediately, or when it changes."""
    runtime, principal = get_runtime(request), caller(request)
    job = await runtime.in_thread(read, runtime, principal, parse_id(JOB, job_id, "job"))
    known = _etags(request.headers.get("if-none-match"))
    response = await _answer_job(runtime, principal, job)
    changed_already = bool(known) and response.headers["etag"] not in known
    if wait and not job.is_terminal and not changed_already:
        seconds = min(wait, runtime.settings.api_wait_max_seconds)
        job = await wait_for_change(runtime, principal, job, seconds)
        response = await _answer_job(runtime, principal, job)
    if response.headers["etag"] in known or "*" in known:
        return _not_modified(response)
    return response


async def _answer_job(runtime: Runtime, principal: Principal, job: JobRecord) -> Response:
    job, result = await with_result(runtime, principal, job)
    asked = await runtime.in_thread(open_questions, runtime, principal, job) if is_asking(job) else ()
    body = dump(job, result, asked)
    headers = {"etag": f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"', "cache-control": "private, no-cache"}
    if not job.is_terminal:
        headers["retry-after"] = _POLL_SECONDS
    return respond(body, 200, headers)


def _not_modified(response: Response) -> Response:
    kept = {
        name: response.headers[name] for name in ("etag", "cache-control", "retry-after") if name in response.headers
    }
    return Response(status_code=304, headers=kept)


def _etags(header: str | None) -> frozenset[str]:
    """The entity tags of ``If-None-Match``, compared weakly (RFC 9110, section 13.1.2)."""
    return frozenset(tag.strip().removeprefix("W/") for tag in (header or "").split(",") if tag.strip())


@router.get(
    "",
    response_model=JobPage,
    summary="List jobs",
    description="Lists the project's jobs without their results, newest first.",
    responses={200: {"description": "A page of results."}, **problems()},
    openapi_extra={
        "parameters": [
            {
                "name": "metadata",
                "in": "query",
                "required": False,
                "style": "deepObject",
                "explode": True,
                "description": "Filter by labels: `metadata[ticket]=4711` or `metadata.ticket=4711`.",
                "schema": {
                    "type": "object",
                    "additionalProperties": {"type": "string", "maxLength": 512},
                    "maxProperties": METADATA_MAX,
                    "propertyNames": {"pattern": "^[A-Za-z0-9_.-]{1,64}$"},
                },
            }
        ]
    },
)
@requires("jobs:read", organization_wide=True)
async def list_jobs(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    state: Annotated[
        list[JobState] | None, Query(max_length=len(JobState), description="Filter by one or more states.")
    ] = None,
    capability: Annotated[str | None, Query(max_length=200, description="Filter by capability.")] = None,
    created_after: Annotated[Moment | None, Query(description="Accepted at or after this time.")] = None,
    created_before: Annotated[Moment | None, Query(description="Accepted before this time.")] = None,
    shadows: Annotated[
        bool, Query(description="List the jobs that an experiment's shadow arms repeated, instead of ordinary jobs.")
    ] = False,
    project: Project = None,
    limit: Annotated[int, per_page("Jobs")] = 20,
    cursor: Cursor = None,
) -> Response:
    """A page of the project's jobs."""
    runtime, principal = get_runtime(request), caller(request)
    if project is None:
        require_project(principal, "jobs:read")
    where = JobFilter(
        states=tuple(state or ()),
        capability=capability,
        created_after=clamp(created_after),
        created_before=clamp(created_before),
        metadata=metadata_filter(request),
        shadows=shadows,
        project=parse_job_project(project),
    )
    before = cursors.decode_given(cursor)
    found = await runtime.in_thread(_list, runtime, principal, where, before, limit + 1)
    page = found[:limit]
    following = cursors.encode(page[-1].id) if len(found) > limit else None
    return respond_json({"data": [to_wire(job) for job in page], "next_cursor": following})


def parse_job_project(text: str | None) -> UUID | Literal["all"] | None:
    """The project of a listing. Raises `Unprocessable` naming ``query.project``."""
    return "all" if text == "all" else parse_project(text)


def _list(runtime: Runtime, principal: Principal, where: JobFilter, before: UUID | None, limit: int) -> list[JobRecord]:
    session = runtime.database.single_tenant(principal.organization_id)
    return runtime.jobs.list(session, principal, where, cursor=before, limit=limit)


@router.post(
    "/{job_id}/cancel",
    response_model=Job,
    summary="Cancel a job",
    description=(
        "An idle job is `cancelled` immediately. A running job is asked to stop at its next step and stays"
        " `running` until then. An ended job does not change. Costs that were already incurred remain."
    ),
    responses={
        200: {"description": "The updated job.", "headers": REPLAYED},
        **problems(400, 404, 409),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("jobs:write")
async def cancel_job(request: Request, job_id: JobId) -> Response:
    """Cancel a job."""
    runtime = get_runtime(request)
    found = parse_id(JOB, job_id, "job")
    identity = identify_request(request, b"")
    return respond_answer(await runtime.in_thread(_cancel, request, found, identity))


def _cancel(request: Request, job_id: UUID, identity: IdempotentRequest | None) -> Answer:
    runtime, principal = get_runtime(request), caller(request)
    touched: list[JobRecord] = []

    def produce(session: Any) -> Answer:
        job, cancelled = cancel(runtime, session, principal, job_id)
        touched.extend(cancelled)
        return Answer(200, dumps(to_wire(listed(principal, job))))

    answer = carry_out(request, identity, produce)
    announce_cancelled(runtime, principal, touched)
    return answer


@router.get(
    "/{job_id}/events",
    summary="Follow a job's events",
    description=(
        "Streams server-sent events from the start, or after the id in `Last-Event-ID` or `starting_after`,"
        " until the event that ends the job. A comment is sent at least every ten seconds. If the stream ends"
        " without a final event, reconnect with the last id you received: no event is missed or repeated."
    ),
    response_class=Response,
    responses={
        200: {
            "description": "The event stream.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": (
                        'id: 1\nevent: job.queued\ndata: {"id":1,"job_id":"job_01jd3q8v9tfq8a1b2c3d4e5f6g",'
                        '"type":"job.queued","attempt":0,"created_at":"2026-11-23T05:00:00.000000Z","data":{}}\n\n'
                    ),
                }
            },
        },
        204: {"description": "The job has ended, and the client has its last event. Do not reconnect."},
        **problems(404, 410),
    },
    openapi_extra={
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The last id received. Overrides `starting_after`.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
            }
        ]
    },
)
@requires("jobs:read")
async def follow_job(
    request: Request,
    job_id: JobId,
    starting_after: Annotated[int, Query(ge=0, le=10**18, description="Return only events with a higher id.")] = 0,
) -> Response:
    """Stream a job's events."""
    return await follow(request, parse_id(JOB, job_id, "job"), starting_after)


async def follow(
    request: Request, job_id: UUID, starting_after: int, stream: Callable[..., EventStream] = EventStream
) -> Response:
    """The events of a job as a `stream`, or 204 when the client has the last one. Raises `NotFound` and `Gone`."""
    runtime, principal = get_runtime(request), caller(request)
    after = _last_event_id(request.headers.get("last-event-id"), starting_after)
    job = await runtime.in_thread(read, runtime, principal, job_id)
    if job.is_terminal and after >= job.event_last:
        return Response(status_code=204, headers={"cache-control": "no-store"})
    if job.is_terminal and not await runtime.in_thread(_has_last_event, runtime, principal, job):
        raise Gone(
            "the events of this job are past their retention period; read the job instead", code="history_expired"
        )
    return stream(
        runtime.hub,
        runtime.stream_guard,
        principal,
        job.id,
        after=after,
        keepalive_seconds=runtime.settings.sse_keepalive_seconds,
        stall_seconds=runtime.settings.sse_stall_seconds,
    )


def _has_last_event(runtime: Runtime, principal: Principal, job: JobRecord) -> bool:
    session = runtime.database.single_tenant(principal.organization_id)
    return bool(runtime.jobs.events(session, principal.organization_id, job.id, after=job.event_last - 1))


def _last_event_id(header: str | None, starting_after: int) -> int:
    if header is None or not header.strip():
        return starting_after
    text = header.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(10**18)):
        raise invalid(
            [
                {
                    "path": "header.last-event-id",
                    "code": "invalid_event_id",
                    "message": "an event id must be a whole number; leave the header out to start at the beginning",
                }
            ]
        )
    return min(int(text), 10**18)
