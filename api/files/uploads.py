"""``/v1/file-uploads``: large files in parts, which can be resumed after an interruption."""

from typing import Annotated
from uuid import UUID

from fastapi import Header, Path, Request, Response
from sqlalchemy.orm import Session

from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.files.routes import BINARY
from api.files.schemas import BeginUpload, File, Upload, file_to_wire, upload_to_wire
from api.knowledge_bases.uploads import Upload as Received
from api.knowledge_bases.uploads import receive
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.work import answer_once, read
from core.files.records import UploadRecord
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import UPLOAD
from core.kit.json_values import dumps

router = new_router("/v1/file-uploads", "files")

UploadId = Annotated[str, Path(description="The upload's id.", examples=["upl_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
Offset = Annotated[
    int, Header(alias="Upload-Offset", ge=0, description="The byte of the file at which this part starts.")
]


@router.post(
    "",
    status_code=201,
    response_model=Upload,
    summary="Start an upload in parts",
    responses={
        201: {"description": "The upload. Send the parts to it.", "headers": REPLAYED},
        **problems(400, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("files:write")
async def begin_upload(request: Request, body: BeginUpload) -> Response:
    """Start an upload."""
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        made = runtime.files.begin_upload(
            session,
            principal,
            name=body.name,
            content_type=body.content_type,
            size_bytes=body.size_bytes,
            sha256=body.sha256,
            data_class=body.data_class,
        )
        shown = upload_to_wire(made)
        return Answer(201, dumps(shown), f"/v1/file-uploads/{shown['id']}")

    return await answer_once(request, produce, await request.body())


@router.get(
    "/{upload_id}",
    response_model=Upload,
    summary="Read an upload's progress",
    responses={200: {"description": "`received_bytes` is where the next part starts."}, **problems(404)},
)
@requires("files:read")
async def read_upload(request: Request, upload_id: UploadId) -> Response:
    """Read an upload."""
    found = await read(request, get_runtime(request).files.upload, parse_id(UPLOAD, upload_id, "upload"))
    return respond_json(upload_to_wire(found))


@router.put(
    "/{upload_id}/part",
    response_model=Upload,
    summary="Send a part",
    description="The body is the next part. If a part is interrupted, start again at `received_bytes`.",
    responses={200: {"description": "The part is stored."}, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra={"requestBody": {"required": True, "description": "The part's bytes.", "content": BINARY}},
)
@requires("files:write")
async def add_part(request: Request, upload_id: UploadId, offset: Offset) -> Response:
    """Receive a part and store it."""
    runtime = get_runtime(request)
    found = parse_id(UPLOAD, upload_id, "upload")
    await read(request, runtime.files.upload, found)
    received = await receive(request, runtime.settings.file_part_max_bytes)
    try:
        return respond_json(upload_to_wire(await runtime.in_thread(_add, request, found, offset, received)))
    finally:
        received.file.close()


def _add(request: Request, upload_id: UUID, offset: int, received: Received) -> UploadRecord:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        runtime.files.add_part(
            session, principal, upload_id, offset=offset, content=received.file, size_bytes=received.size_bytes
        )
        return runtime.files.upload(session, principal, upload_id)


@router.post(
    "/{upload_id}/complete",
    status_code=201,
    response_model=File,
    summary="Complete an upload",
    responses={201: {"description": "The file.", "headers": REPLAYED}, **problems(400, 404, 409, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("files:write")
async def complete_upload(request: Request, upload_id: UploadId) -> Response:
    """Complete an upload."""
    found = parse_id(UPLOAD, upload_id, "upload")
    identity = identify_request(request, b"")
    return respond_answer(await get_runtime(request).in_thread(_complete, request, found, identity))


def _complete(request: Request, upload_id: UUID, identity: IdempotentRequest | None) -> Answer:
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        shown = file_to_wire(runtime.files.complete(session, principal, upload_id))
        return Answer(201, dumps(shown), f"/v1/files/{shown['id']}")

    answer = carry_out(request, identity, produce)
    runtime.files.delete_parts(upload_id)
    return answer


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    summary="Cancel an upload",
    responses={204: {"description": "The received parts are deleted."}, **problems(404)},
)
@requires("files:write")
async def abort_upload(request: Request, upload_id: UploadId) -> Response:
    """Cancel an upload."""
    await get_runtime(request).in_thread(_abort, request, parse_id(UPLOAD, upload_id, "upload"))
    return Response(status_code=204)


def _abort(request: Request, upload_id: UUID) -> None:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        runtime.files.abort(session, principal, upload_id)
    runtime.files.delete_parts(upload_id)
