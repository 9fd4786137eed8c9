"""``/v1/batches``: many jobs submitted together."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.batches.schemas import Batch, BatchPage, CreateBatch, to_wire
from api.deps import get_runtime
from api.jobs.cancelling import announce_cancelled
from api.jobs.submitting import receiver
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.problem import invalid
from api.routing import caller, new_router, require_scope, requires
from api.work import Cursor, Limit, read, respond_page
from core.batches.errors import LinesInvalid
from core.batches.records import BatchLine, BatchState, NewBatch
from core.batches.validation import LineValidator
from core.jobs.records import JobRecord
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import BATCH, FILE, encode
from core.kit.json_values import dumps
from core.kit.telemetry import current_traceparent
from pipelines.registry import manifests

router = new_router("/v1/batches", "batches")

_LOCATION = {"Location": {"description": "The batch.", "schema": {"type": "string"}}}
BatchId = Annotated[str, Path(description="The batch's id.", examples=["batch_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.post(
    "",
    status_code=202,
    response_model=Batch,
    summary="Create a batch",
    description=(
        "Each line becomes a job. Lines start in portions, after jobs that are submitted individually. If"
        " any line is invalid, the whole batch is refused with every problem found, and nothing is started."
    ),
    responses={
        202: {"description": "Accepted.", "headers": {**_LOCATION, **REPLAYED}},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("jobs:write")
async def create_batch(request: Request, body: CreateBatch) -> Response:
    """Accept a batch."""
    runtime, principal = get_runtime(request), caller(request)
    identity = identify_request(request, await request.body())
    webhook = None if body.webhook is None else await receiver(runtime, principal, body.webhook.url)
    return respond_answer(await runtime.in_thread(_create, request, body, identity, webhook))


def _create(
    request: Request, body: CreateBatch, identity: IdempotentRequest | None, webhook: dict[str, Any] | None
) -> Answer:
    runtime, principal = get_runtime(request), caller(request)
    allowed = frozenset(
        name
        for name, manifest in manifests().items()
        if principal.may_use(name) and manifest.scopes <= principal.scopes
    )
    file_id = None if body.input_file_id is None else parse_id(FILE, body.input_file_id, "file")
    if file_id is not None:
        require_scope(principal, "files:read")
    new = NewBatch(
        lines=_checked(body, allowed, principal.scopes),
        input_file_id=file_id,
        capability=body.capability,
        allowed=allowed,
        priority=body.priority,
        max_cost_usd=body.max_cost_usd,
        max_line_cost_usd=body.max_line_cost_usd,
        deadline_at=body.deadline_at,
        deadline_seconds=body.deadline_seconds,
        metadata=body.metadata,
        webhook=webhook,
        traceparent=current_traceparent(),
    )

    def produce(session: Session) -> Answer:
        made = to_wire(runtime.batches.create(session, principal, new))
        return Answer(202, dumps(made), made["links"]["self"])

    return carry_out(request, identity, produce)


def _checked(body: CreateBatch, allowed: frozenset[str], scopes: frozenset[str]) -> list[BatchLine]:
    """The lines of the request. Raises `LinesInvalid` with every problem, and for the batch's own name."""
    offered = manifests()
    if body.capability is not None and body.capability not in allowed:
        code = "capability_denied" if body.capability in offered else "capability_unknown"
        message = f"this key may use: {', '.join(sorted(allowed)) or 'no capability'}"
        raise invalid([{"path": "body.capability", "code": code, "message": message}])
    validator = LineValidator(
        offered,
        allowed,
        scopes,
        default=body.capability,
        shared_metadata=body.metadata,
        needs_cap=body.max_cost_usd is not None and body.max_line_cost_usd is None,
    )
    found = [
        validator.check(number, line.model_dump(exclude_none=True))
        for number, line in enumerate(body.lines or (), start=1)
    ]
    if validator.bad_lines:
        raise LinesInvalid(validator.problems, validator.bad_lines)
    return [line for line in found if line is not None]


@router.get(
    "",
    response_model=BatchPage,
    summary="List batches",
    responses={200: {"description": "A page of results, newest first."}, **problems()},
)
@requires("jobs:read")
async def list_batches(
    request: Request,
    state: Annotated[
        list[BatchState] | None, Query(max_length=len(BatchState), description="Filter by one or more states.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the project's batches."""
    before = cursors.decode_given(cursor)
    batches = get_runtime(request).batches
    found = await read(request, batches.list, states=tuple(state or ()), cursor=before, limit=limit + 1)
    return respond_page(found, limit, to_wire)


@router.get(
    "/{batch_id}",
    response_model=Batch,
    summary="Read a batch",
    description="All counts and costs are from one snapshot and add up.",
    responses={200: {"description": "The batch."}, **problems(404)},
)
@requires("jobs:read")
async def read_batch(request: Request, batch_id: BatchId) -> Response:
    """Read a batch."""
    found = await read(request, get_runtime(request).batches.get, parse_id(BATCH, batch_id, "batch"))
    headers = {} if found.has_ended else {"retry-after": "1"}
    return respond_json(to_wire(found), headers=headers)


@router.post(
    "/{batch_id}/cancel",
    response_model=Batch,
    summary="Cancel a batch",
    description=(
        "Starts no further lines and stops running jobs at their next step. Finished lines keep their"
        " results. The batch is `cancelling` until the last job has stopped."
    ),
    responses={200: {"description": "The updated batch.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("jobs:write")
async def cancel_batch(request: Request, batch_id: BatchId) -> Response:
    """Cancel a batch."""
    found = parse_id(BATCH, batch_id, "batch")
    identity = identify_request(request, b"")
    return respond_answer(await get_runtime(request).in_thread(_cancel, request, found, identity))


def _cancel(request: Request, batch_id: UUID, identity: IdempotentRequest | None) -> Answer:
    runtime, principal = get_runtime(request), caller(request)
    touched: list[JobRecord] = []

    def produce(session: Session) -> Answer:
        batch, jobs = runtime.batches.cancel(session, principal, batch_id)
        touched.extend(jobs)
        return Answer(200, dumps(to_wire(batch)), f"/v1/batches/{encode(BATCH, batch.id)}")

    answer = carry_out(request, identity, produce)
    announce_cancelled(runtime, principal, touched)
    return answer
