"""``/v1/files``: upload, list, download, delete."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.downloads import send
from api.files.schemas import File, FilePage, Label, Name, file_to_wire
from api.knowledge_bases.uploads import Upload, receive
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.work import Cursor, Limit, change, read, respond_page
from core.files.service import check_name
from core.keys.clearance import require_cleared
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.data_classes import DataClass
from core.kit.ids import FILE
from core.kit.json_values import dumps

router = new_router("/v1/files", "files")

FileId = Annotated[str, Path(description="The file's id.", examples=["file_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
_BYTES = {"schema": {"type": "string", "format": "binary"}}
BINARY = {"application/octet-stream": _BYTES}
# A download has the type of the file.
DOWNLOAD = {"*/*": _BYTES}


@router.post(
    "",
    status_code=201,
    response_model=File,
    summary="Upload a file",
    description=(
        "The body is the file itself. Its media type is the declared `Content-Type`; if the first bytes"
        " contradict it, the file is refused. For large files, use an upload in parts."
    ),
    responses={
        201: {"description": "The file.", "headers": REPLAYED},
        **problems(400, 408, 409, 413, 415),
    },
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "description": "The file's bytes.", "content": BINARY},
    },
)
@requires("files:write")
async def upload_file(
    request: Request,
    name: Annotated[Name, Query(description="The file's name.", examples=["receipt.png"])],
    data_class: Annotated[DataClass, Query(description="The data class of the file.")] = DataClass.INTERNAL,
) -> Response:
    """Receive a file and store it."""
    check_name(name)
    return respond_answer(await keep_upload(request, name, data_class))


async def keep_upload(request: Request, name: str, data_class: DataClass) -> Answer:
    """Receive a file and store it, once for each ``Idempotency-Key``."""
    runtime = get_runtime(request)
    upload = await receive(request, runtime.settings.file_max_bytes)
    try:
        identity = identify_request(request, f"{upload.media_type} {upload.sha256}".encode())
        return await runtime.in_thread(_store, request, name, data_class, upload, identity)
    finally:
        upload.file.close()


def _store(
    request: Request, name: str, data_class: DataClass, upload: Upload, identity: IdempotentRequest | None
) -> Answer:
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        file_id, _, kind = runtime.files.store(principal.project_id, upload.file, upload.media_type)
        made = runtime.files.register(
            session,
            principal,
            file_id,
            name=name,
            content_type=kind,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            data_class=data_class,
        )
        shown = file_to_wire(made)
        return Answer(201, dumps(shown), f"/v1/files/{shown['id']}")

    return carry_out(request, identity, produce)


@router.get(
    "",
    response_model=FilePage,
    summary="List files",
    responses={200: {"description": "A page of results, newest first."}, **problems()},
)
@requires("files:read")
async def list_files(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """A page of the project's files."""
    before = cursors.decode_given(cursor)
    found = await read(request, get_runtime(request).files.list, before, limit + 1)
    return respond_page(found, limit, file_to_wire)


@router.get(
    "/{file_id}",
    response_model=File,
    summary="Read a file",
    responses={200: {"description": "The file."}, **problems(404)},
)
@requires("files:read")
async def read_file(request: Request, file_id: FileId) -> Response:
    """Read one file."""
    found = await read(request, get_runtime(request).files.get, parse_id(FILE, file_id, "file"))
    return respond_json(file_to_wire(found))


@router.get(
    "/{file_id}/content",
    response_class=Response,
    summary="Download a file",
    description="Downloads the content. `Range` is supported; the `ETag` is the SHA-256 of the file.",
    responses={
        200: {"description": "The content.", "content": DOWNLOAD},
        206: {"description": "The requested range.", "content": DOWNLOAD},
        304: {"description": "Not modified: the client already has it."},
        **problems(404, 416),
    },
)
@requires("files:read")
async def download_file(request: Request, file_id: FileId) -> Response:
    """The file's bytes."""
    return await get_runtime(request).in_thread(_send, request, parse_id(FILE, file_id, "file"))


def _send(request: Request, file_id: UUID) -> Response:
    runtime, principal = get_runtime(request), caller(request)
    found = runtime.files.get(runtime.database.single_tenant(principal.organization_id), principal, file_id)
    require_cleared(principal, found.data_class, "this file")
    return send(request, runtime.blobs, found, found.data_class)


@router.patch(
    "/{file_id}",
    response_model=File,
    summary="Change a file's data class",
    description="Jobs that read the file from now on have at least this class. The change is audited.",
    responses={200: {"description": "The updated file."}, **problems(400, 404, 408, 413, 415)},
)
@requires("files:write")
async def label_file(request: Request, file_id: FileId, body: Label) -> Response:
    """Change a file's data class."""
    found = parse_id(FILE, file_id, "file")
    shown = await change(request, get_runtime(request).files.label, found, body.data_class)
    return respond_json(file_to_wire(shown))


@router.delete(
    "/{file_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a file",
    description="Deletes the file. A job that reads it later fails with `file_not_found`.",
    responses={204: {"description": "Deleted."}, **problems(404)},
)
@requires("files:write")
async def delete_file(request: Request, file_id: FileId) -> Response:
    """Delete a file."""
    await get_runtime(request).in_thread(_delete, request, parse_id(FILE, file_id, "file"))
    return Response(status_code=204)


def _delete(request: Request, file_id: UUID) -> None:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        gone = runtime.files.delete(session, principal, file_id)
        runtime.blobs.delete(gone.blob_key)
