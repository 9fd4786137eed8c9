"""``/v1/batches/{id}/results``: the results of a batch, one line of JSON for each line that has ended."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from api.answers import parse_id
from api.batches.routes import BatchId
from api.deps import get_runtime
from api.downloads import send
from api.openapi import problems
from api.routing import caller, new_router, requires
from core.batches.errors import BatchNotReady
from core.batches.outcome import MEDIA_TYPE
from core.batches.records import BatchRecord, BatchState
from core.files.errors import FileNotFound
from core.kit.ids import BATCH

router = new_router("/v1/batches", "batches")

_LINES_AT_ONCE = 200
_CONTENT = {
    MEDIA_TYPE: {
        "schema": {"type": "string"},
        "example": (
            '{"custom_id":"q-1","line":1,"status":"succeeded","job_id":"job_01jd3q8v9tfq8a1b2c3d4e5f6g",'
            '"cost_usd":"0.00012","priced":true,"result":{"answer":"Five days."}}\n'
            '{"custom_id":"q-2","line":2,"status":"failed","job_id":null,"cost_usd":"0.00","priced":true,'
            '"error":{"code":"cost_cap_reached","message":"…"}}\n'
        ),
    }
}


@router.get(
    "/{batch_id}/results",
    response_class=Response,
    summary="Download a batch's results",
    description=(
        "Returns results in the order of the lines. While the batch runs, the response holds the lines that"
        " have ended so far; `after` skips lines up to a number. Once the batch has ended, it is the result"
        " file: `ETag` is its SHA-256, and `Range` is supported."
    ),
    responses={
        200: {"description": "JSON lines.", "content": _CONTENT},
        206: {"description": "The requested range.", "content": _CONTENT},
        304: {"description": "Not modified: the client already has it."},
        **problems(404, 409, 410, 416),
    },
)
@requires("jobs:read")
async def read_batch_results(
    request: Request,
    batch_id: BatchId,
    after: Annotated[int, Query(ge=0, le=10**9, description="Return only lines with a higher number.")] = 0,
) -> Response:
    """The results so far."""
    return await get_runtime(request).in_thread(_send, request, batch_id, after)


def _send(request: Request, batch_id: str, after: int) -> Response:
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    batch = runtime.batches.get(single, principal, parse_id(BATCH, batch_id, "batch"))
    if batch.state is BatchState.VALIDATING:
        raise BatchNotReady("the file of this batch is being validated; read the batch until it is in_progress")
    runtime.batches.require_readable(single, principal, batch)
    # Raises before the response starts if retention has removed the lines.
    runtime.batches.results(single, principal, batch, after=after, limit=1)
    if batch.results_sha256 is not None and batch.results_file_id is not None and not after:
        try:
            found = runtime.files.get(single, principal, batch.results_file_id)
        except FileNotFound:
            # The file was deleted; the lines exist as long as their jobs.
            return StreamingResponse(_lines(request, batch, after), media_type=MEDIA_TYPE)
        return send(request, runtime.blobs, found, found.data_class)
    return StreamingResponse(_lines(request, batch, after), media_type=MEDIA_TYPE)


def _lines(request: Request, batch: BatchRecord, after: int) -> Iterator[bytes]:
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    while results := runtime.batches.results(single, principal, batch, after=after, limit=_LINES_AT_ONCE):
        yield b"".join(runtime.batches.render(results))
        after = results[-1].line
