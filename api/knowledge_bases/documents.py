"""``/v1/knowledge-bases/{id}/documents``: upload, list, delete."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.knowledge_bases.blobs import blob_key, document_prefix
from api.knowledge_bases.routes import BaseId
from api.knowledge_bases.schemas import Document, DocumentPage, DocumentState, Name, document_to_wire
from api.knowledge_bases.uploads import Upload, receive
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.work import Cursor, Limit, change, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE
from core.kit.json_values import dumps
from core.knowledge.records import DocumentRecord
from pipelines.knowledge.documents.formats import READ_FORMATS

router = new_router("/v1/knowledge-bases/{base_id}/documents", "knowledge bases")

DocumentId = Annotated[str, Path(description="The document's id.", examples=["doc_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
_CREATED = 201


@router.post(
    "",
    status_code=_CREATED,
    response_model=Document,
    summary="Upload a document",
    description=(
        "The body is the file itself. Uploading under an existing name replaces the content. Submit a"
        " `knowledge.ingest` job afterward; unchanged documents cost nothing."
    ),
    responses={
        201: {"description": "A new document.", "headers": REPLAYED},
        200: {"description": "New content for an existing document.", "model": Document, "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {
            "required": True,
            "description": f"One of: {READ_FORMATS}. The format is detected from the content.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
        },
    },
)
@requires("knowledge:write")
async def upload_document(
    request: Request,
    base_id: BaseId,
    name: Annotated[
        Name, Query(description="The file name. It also identifies the kind of text files.", examples=["handbook.pdf"])
    ],
) -> Response:
    """Receive a file, store it, and register it."""
    return respond_answer(await store_upload(request, parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base"), name))


async def store_upload(request: Request, base_id: UUID, name: str) -> Answer:
    """Receive the request's body as a document called `name`. Raises `NotFound`."""
    runtime = get_runtime(request)
    await change(request, runtime.knowledge.get_base, base_id)
    upload = await receive(request, runtime.settings.document_max_bytes)
    try:
        identity = identify_request(request, f"{upload.media_type} {upload.sha256}".encode())
        return await runtime.in_thread(store, request, base_id, name, upload, identity)
    finally:
        upload.file.close()


def store(request: Request, base_id: UUID, name: str, upload: Upload, identity: IdempotentRequest | None) -> Answer:
    """Store a received file as a document called `name`. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    # Before the row: a crash in between leaves an unused file, never a document without its file.
    key = blob_key(base_id, name, upload.sha256)
    runtime.blobs.put(key, upload.file, upload.media_type)

    def produce(session: Session) -> Answer:
        document = runtime.knowledge.put_document(
            session,
            principal,
            base_id,
            name=name,
            content_type=upload.media_type,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            blob_key=key,
        )
        is_new = document.created_at == document.updated_at
        return Answer(_CREATED if is_new else 200, dumps(document_to_wire(document)))

    return carry_out(request, identity, produce)


@router.get(
    "",
    response_model=DocumentPage,
    summary="List documents",
    responses={200: {"description": "A page of results, newest first."}, **problems(404)},
)
@requires("knowledge:read")
async def list_documents(
    request: Request,
    base_id: BaseId,
    state: Annotated[DocumentState | None, Query(description="Filter by state.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the base's documents."""
    found_base = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base")
    before = cursors.decode_given(cursor)
    found = await change(
        request, get_runtime(request).knowledge.list_documents, found_base, cursor=before, limit=limit + 1, state=state
    )
    return respond_page(found, limit, document_to_wire)


@router.get(
    "/{document_id}",
    response_model=Document,
    summary="Read a document",
    responses={200: {"description": "The document."}, **problems(404)},
)
@requires("knowledge:read")
async def read_document(request: Request, base_id: BaseId, document_id: DocumentId) -> Response:
    """Read one document."""
    base, document = _ids(base_id, document_id)
    return respond_json(document_to_wire(await get_runtime(request).in_thread(_read, request, base, document)))


def _read(request: Request, base_id: UUID, document_id: UUID) -> DocumentRecord:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        runtime.knowledge.get_base(session, principal, base_id)
        return runtime.knowledge.get_document(session, principal, base_id, document_id)


@router.delete(
    "/{document_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a document",
    description="Deletes the document and its file. It can no longer be found, effective immediately.",
    responses={204: {"description": "Deleted."}, **problems(404)},
)
@requires("knowledge:write")
async def delete_document(request: Request, base_id: BaseId, document_id: DocumentId) -> Response:
    """Delete a document."""
    base, document = _ids(base_id, document_id)
    await get_runtime(request).in_thread(delete_stored, request, base, document)
    return Response(status_code=204)


def delete_stored(request: Request, base_id: UUID, document_id: UUID) -> None:
    """Delete a document and its files. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        runtime.knowledge.get_base(session, principal, base_id)
        document = runtime.knowledge.delete_document(session, principal, base_id, document_id)
        runtime.blobs.delete_prefix(document_prefix(base_id, document.name))


def _ids(base_id: str, document_id: str) -> tuple[UUID, UUID]:
    return parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base"), parse_id(DOCUMENT, document_id, "document")
