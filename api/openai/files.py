"""``/openai/v1/files``: the project's files, as OpenAI's clients upload and read them."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import StreamingResponse

from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.bodies import BodyTimeout, refuse_declared_length, refuse_encoding, too_large
from api.deps import get_runtime
from api.files.routes import delete_file, download_file
from api.openai.batches.output import batch_of, file_of, lines, load_readable
from api.openai.document import ONCE, Deleted, FilePage, OpenAIFile, answers, dialect_router
from api.openai.errors import refuse
from api.routing import caller, requires
from core.files.records import FileRecord
from core.files.service import check_name
from core.keys.idempotency import Answer
from core.kit.errors import UnsupportedMedia
from core.kit.ids import FILE, encode
from core.kit.json_values import dumps

router = dialect_router("/files")

_SILENCE_SECONDS = 30.0
# Beside the file: boundaries, field names and the purpose.
_FORM_BYTES = 16 * 1024
_PIECE_BYTES = 1024 * 1024
_PURPOSES = ("user_data", "assistants", "batch", "vision", "evals")
_PURPOSE = "user_data"
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file", "purpose"],
                "additionalProperties": False,
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "purpose": {"type": "string", "enum": list(_PURPOSES)},
                },
            }
        }
    },
}
_CONTENT = {
    "description": "The bytes, of the type that they were uploaded with.",
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
}
FileId = Annotated[str, Path(description="The file's id.")]


@router.post("", responses=answers(OpenAIFile), openapi_extra={**ONCE, "requestBody": _FORM})
@requires("files:write")
async def upload_file(request: Request) -> Response:
    """Receive a form with one file and store it."""
    most = get_runtime(request).settings.file_max_bytes
    refuse_encoding(request)
    await refuse_declared_length(request, most + _FORM_BYTES)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UnsupportedMedia("send a form (multipart/form-data) with the fields file and purpose")
    # One file per form: the bytes of a second one would not be counted.
    parser = MultiPartParser(request.headers, _bounded(request, most + _FORM_BYTES), max_files=1, max_fields=4)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise refuse("file", f"the form cannot be read: {error.message}") from None
    try:
        made = await get_runtime(request).in_thread(_store, request, _file_of(form))
    finally:
        await form.close()
    return respond_answer(made)


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body in chunks. Raises `PayloadTooLarge`, and `BodyTimeout` when nothing arrives for 30 seconds."""
    size = 0
    pieces = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise BodyTimeout(f"no part of the file arrived for {_SILENCE_SECONDS:g} seconds") from None
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise too_large(most - _FORM_BYTES)
        yield piece


def _file_of(form: FormData) -> UploadFile:
    unknown = next((name for name in form if name not in {"file", "purpose"}), None)
    if unknown is not None:
        raise refuse(unknown, f"Unsupported parameter: '{unknown}'.", code="unsupported_parameter")
    if form.get("purpose") not in _PURPOSES:
        raise refuse("purpose", f"purpose: must be one of {', '.join(_PURPOSES)}")
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise refuse("file", "file: must be a file with a name", code="missing_required_parameter")
    return file


def _store(request: Request, file: UploadFile) -> Answer:
    runtime, principal = get_runtime(request), caller(request)
    name = check_name(file.filename or "")
    hashed, size = hashlib.sha256(), 0
    while piece := file.file.read(_PIECE_BYTES):
        hashed.update(piece)
        size += len(piece)
    if size == 0:
        raise refuse("file", "file: must not be empty")
    file.file.seek(0)
    digest = hashed.hexdigest()
    declared = (file.content_type or "application/octet-stream").partition(";")[0].strip().lower()

    def produce(session: Session) -> Answer:
        file_id, _, kind = runtime.files.store(principal.project_id, file.file, declared)
        made = runtime.files.register(
            session, principal, file_id, name=name, content_type=kind, size_bytes=size, sha256=digest
        )
        return Answer(200, dumps(_to_wire(made)))

    # A form's boundaries differ each time it is sent; its content does not.
    return carry_out(request, identify_request(request, f"{name} {declared} {digest}".encode()), produce)


@router.get("", responses=answers(FilePage))
@requires("files:read")
async def list_files(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    after: Annotated[str | None, Query(max_length=100)] = None,
    order: Literal["desc"] = "desc",  # noqa: ARG001 - newest first is the only order
    purpose: Literal["user_data"] | None = None,  # noqa: ARG001 - every file has this one
) -> Response:
    """A page of the project's files, newest first."""
    runtime, principal = get_runtime(request), caller(request)
    before = None if after is None else parse_id(FILE, after, "file")
    single = runtime.database.single_tenant(principal.organization_id)
    found = await runtime.in_thread(runtime.files.list, single, principal, before, limit + 1)
    data = [_to_wire(each) for each in found[:limit]]
    return respond_json(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(found) > limit,
        }
    )


@router.get("/{file_id}", responses=answers(OpenAIFile))
@requires("files:read")
async def read_file(request: Request, file_id: FileId) -> Response:
    """Read a file's record."""
    runtime, principal = get_runtime(request), caller(request)
    of_batch = batch_of(file_id)
    if of_batch is not None:
        return respond_json(await runtime.in_thread(file_of, request, *of_batch))
    single = runtime.database.single_tenant(principal.organization_id)
    found = await runtime.in_thread(runtime.files.get, single, principal, parse_id(FILE, file_id, "file"))
    return respond_json(_to_wire(found))


@router.get("/{file_id}/content", responses={200: _CONTENT})
@requires("files:read")
async def read_content(request: Request, file_id: FileId) -> Response:
    """The file's bytes."""
    of_batch = batch_of(file_id)
    if of_batch is not None:
        kind, batch_id = of_batch
        batch = await get_runtime(request).in_thread(load_readable, request, batch_id)
        return StreamingResponse(lines(request, kind, batch), media_type="application/jsonl")
    return await download_file(request, file_id)


@router.delete("/{file_id}", responses=answers(Deleted))
@requires("files:write")
async def remove_file(request: Request, file_id: FileId) -> Response:
    """Delete a file."""
    await delete_file(request, file_id)
    return respond_json({"id": file_id, "object": "file", "deleted": True})


def _to_wire(file: FileRecord) -> dict[str, Any]:
    return {
        "id": encode(FILE, file.id),
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": int(file.created_at.timestamp()),
        "filename": file.name,
        "purpose": _PURPOSE,
        "status": "processed",
        "status_details": None,
        "expires_at": None if file.expires_at is None else int(file.expires_at.timestamp()),
    }
