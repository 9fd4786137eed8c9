"""``/openai/v1/batches``: an uploaded file of requests as a batch of jobs."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.batches.routes import cancel_batch as cancel_there
from api.deps import get_runtime
from api.openai.batches.lines import ENDPOINTS, LineReader
from api.openai.batches.output import load
from api.openai.batches.wire import is_ours, to_wire
from api.openai.document import ONCE, BatchPage, OpenAIBatch, answers, dialect_router
from api.openai.errors import refuse
from api.openai.jobs import labels
from api.openai.parameters import Metadata, Strict
from api.routing import caller, require_scope, requires
from core.batches.records import BatchRecord, NewBatch
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import BATCH, FILE, encode
from core.kit.json_values import dumps
from core.kit.telemetry import current_traceparent

router = dialect_router("/batches")

BatchId = Annotated[str, Path(description="The batch's id.")]
FILE_MAX_BYTES = 32 * 1024 * 1024
_WINDOW_SECONDS = 24 * 3600
_PAGE = 100


class CreateBatch(Strict):
    """The body."""

    input_file_id: str
    endpoint: Literal[ENDPOINTS]  # type: ignore[valid-type]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None


@router.post("", responses=answers(OpenAIBatch), openapi_extra=ONCE)
@requires("jobs:write")
async def create_batch(request: Request, body: CreateBatch) -> Response:
    """Validate every line of the file, and accept all or none."""
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_create, request, body, identity))


def _create(request: Request, body: CreateBatch, identity: IdempotentRequest | None) -> Answer:
    runtime, principal = get_runtime(request), caller(request)
    require_scope(principal, "files:read")
    single = runtime.database.single_tenant(principal.organization_id)
    file = runtime.files.get(single, principal, parse_id(FILE, body.input_file_id, "file"))
    if file.size_bytes > FILE_MAX_BYTES:
        raise refuse("input_file_id", f"input_file_id: more than {FILE_MAX_BYTES} bytes; see /v1/batches")
    read = LineReader(request, body.endpoint).read_all(runtime.blobs.get(file.blob_key))
    ours = labels(body.metadata, None, endpoint=body.endpoint, input_file_id=encode(FILE, file.id))
    new = NewBatch(
        lines=read,
        allowed=frozenset(line.capability for line in read),
        deadline_seconds=_WINDOW_SECONDS,
        metadata=ours,
        traceparent=current_traceparent(),
    )

    def produce(session: Session) -> Answer:
        return Answer(200, dumps(to_wire(runtime.batches.create(session, principal, new))))

    return carry_out(request, identity, produce)


@router.get("", responses=answers(BatchPage))
@requires("jobs:read")
async def list_batches(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """A page of the batches created through this dialect, newest first."""
    before = None if after is None else parse_id(BATCH, after, "batch")
    found = await get_runtime(request).in_thread(_list, request, before, limit + 1)
    data = [to_wire(each) for each in found[:limit]]
    return respond_json(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(found) > limit,
        }
    )


def _list(request: Request, before: UUID | None, wanted: int) -> list[BatchRecord]:
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    found: list[BatchRecord] = []
    while len(found) < wanted:
        page = runtime.batches.list(single, principal, cursor=before, limit=_PAGE)
        found += [each for each in page if is_ours(each)]
        if len(page) < _PAGE:
            break
        before = page[-1].id
    return found[:wanted]


@router.get("/{batch_id}", responses=answers(OpenAIBatch))
@requires("jobs:read")
async def read_batch(request: Request, batch_id: BatchId) -> Response:
    """Read a batch."""
    found = await get_runtime(request).in_thread(load, request, parse_id(BATCH, batch_id, "batch"))
    return respond_json(to_wire(found))


@router.post("/{batch_id}/cancel", responses=answers(OpenAIBatch))
@requires("jobs:write")
async def cancel_batch(request: Request, batch_id: BatchId) -> Response:
    """Cancel a batch."""
    found = parse_id(BATCH, batch_id, "batch")
    await get_runtime(request).in_thread(load, request, found)
    await cancel_there(request, batch_id)
    return respond_json(to_wire(await get_runtime(request).in_thread(load, request, found)))
