"""``/console/knowledge``: bases and their documents, reading them, and searching them with scores."""

import secrets
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import parse_id
from api.console.fields import body_of, field
from api.console.jobs.acts import run
from api.console.playground import handbook
from api.console.playground.results import see
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, new_router, redirect, requires, takes_file
from api.console.work import change, read
from api.deps import Runtime, get_runtime
from api.knowledge_bases.documents import delete_stored, store_upload
from api.knowledge_bases.routes import delete_base, make_base, store_base_changes
from api.knowledge_bases.schemas import CreateKnowledgeBase, DocumentState, Name, UpdateKnowledgeBase
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import SingleStatement
from core.kit.ids import DOCUMENT, JOB, KNOWLEDGE_BASE, encode

router = new_router("/knowledge")

LIST = "/console/knowledge"
_PAGE = 50
_PASSAGES = 20
_SEARCH, _INGEST = "knowledge.search", "knowledge.ingest"
_FOUND_MAX = 10
_ONCE_MAX = 200
Cursor = Annotated[str | None, Query(max_length=100)]
Quote = Annotated[str, Query(max_length=1000, description="Words of a passage to mark.")]
BaseId = Annotated[str, Path(max_length=100)]
DocumentId = Annotated[str, Path(max_length=100)]


@router.get("")
@requires("knowledge:read")
async def bases(request: Request, cursor: Cursor = None) -> Response:
    """The knowledge bases of the project."""
    before = None if cursor is None else cursors.decode(cursor)
    found = await read(
        request,
        lambda runtime, session, principal: runtime.knowledge.list_bases(
            session, principal, cursor=before, limit=_PAGE + 1
        ),
    )
    older = cursors.encode(found[_PAGE - 1].id) if len(found) > _PAGE else None
    return render(
        request,
        "knowledge/list.html",
        bases=found[:_PAGE],
        older=older,
        classes=list(DataClass),
        may_add_samples=not found and handbook.may_add(current(request).principal),
        once=secrets.token_urlsafe(16),
    )


@router.post("")
@requires("knowledge:write")
async def create_base(request: Request) -> Response:
    """Create an empty base, and go on with its documents."""
    names = ("name", "description", "data_class")
    body = body_of(CreateKnowledgeBase, {name: value for name in names if (value := field(request, name)) is not None})
    made = await get_runtime(request).in_thread(make_base, request, body, None)
    to = (made.location or "").rpartition("/")[2]
    return flash(redirect(request, f"{LIST}/{to}"), _("%(name)s is ready for documents.", name=body.name))


@router.get("/{base_id}")
@requires("knowledge:read")
async def base(
    request: Request,
    base_id: BaseId,
    state: Annotated[DocumentState | None, Query()] = None,
    cursor: Cursor = None,
    search: Annotated[str | None, Query(max_length=100, description="The job of a search.")] = None,
) -> Response:
    """One base: its documents, and with `search` what that search found."""
    found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base")
    before = None if cursor is None else cursors.decode(cursor)
    job_id = None if search is None else parse_id(JOB, search, "job")

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        with runtime.database.tenant(principal.organization_id) as transaction:
            seen = runtime.knowledge.get_base(transaction, principal, found)
            documents = runtime.knowledge.list_documents(
                transaction, principal, found, cursor=before, limit=_PAGE + 1, state=state
            )
            pending = runtime.knowledge.list_documents(
                transaction, principal, found, cursor=None, limit=_PAGE, state="pending"
            )
        may_see = job_id is not None and "jobs:read" in principal.scopes
        return {
            "base": seen,
            "documents": documents[:_PAGE],
            "older": cursors.encode(documents[_PAGE - 1].id) if len(documents) > _PAGE else None,
            "pending": len(pending),
            "run": see(runtime, session, principal, job_id) if may_see and job_id is not None else None,
        }

    values = await read(request, find)
    return render(
        request,
        "knowledge/one.html",
        fragment="knowledge/_found.html",
        id=base_id,
        state_chosen=state or "",
        classes=list(DataClass),
        once=secrets.token_urlsafe(16),
        **values,
    )


@router.post("/{base_id}")
@requires("knowledge:write")
async def change_base(request: Request, base_id: BaseId) -> Response:
    """Change its description and data class."""
    found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base")
    given = {"description": field(request, "description") or "", "data_class": field(request, "data_class")}
    await get_runtime(request).in_thread(store_base_changes, request, found, body_of(UpdateKnowledgeBase, given))
    return flash(redirect(request, f"{LIST}/{base_id}"), _("The knowledge base was changed."))


@router.post("/{base_id}/delete")
@requires("knowledge:write")
async def remove_base(request: Request, base_id: BaseId) -> Response:
    """Delete it with all its documents."""
    await get_runtime(request).in_thread(delete_base, request, parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base"))
    return flash(redirect(request, LIST), _("The knowledge base and its documents are deleted."))


@router.post("/{base_id}/documents")
@requires("knowledge:write")
@takes_file
async def upload(request: Request, base_id: BaseId, name: Annotated[Name, Query()]) -> Response:
    """Store a file; reading it is a job of its own."""
    made = await store_upload(request, parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base"), name)
    return Response(made.body, media_type="application/json", headers={"cache-control": "no-store"})


@router.post("/{base_id}/ingest")
@requires("jobs:write")
async def ingest(request: Request, base_id: BaseId) -> Response:
    """Start the job that reads a document, or every document that waits."""
    await _require_base(request, base_id)
    document = field(request, "document")
    given: dict[str, Any] = {"knowledge_base": base_id}
    if document is not None:
        given["documents"] = [encode(DOCUMENT, parse_id(DOCUMENT, document, "document"))]
    made = await run(request, _INGEST, given, (field(request, "once") or "")[:_ONCE_MAX])
    return flash(redirect(request, f"/console/jobs/{encode(JOB, made)}"), _("This job reads the documents."))


@router.post("/{base_id}/search")
@requires("jobs:write")
async def start_search(request: Request, base_id: BaseId) -> Response:
    """Start the job that finds passages, and go on with what it finds."""
    await _require_base(request, base_id)
    given = {"knowledge_base": base_id, "query": field(request, "query") or "", "mode": "passages", "limit": _FOUND_MAX}
    made = await run(request, _SEARCH, given, (field(request, "once") or "")[:_ONCE_MAX])
    return redirect(request, f"{LIST}/{base_id}?search={encode(JOB, made)}")


async def _require_base(request: Request, base_id: str) -> None:
    """Refuse an unknown base here, where a job would fail with it later."""
    found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base")

    await change(request, lambda runtime, session, principal: runtime.knowledge.get_base(session, principal, found))


@router.get("/documents/{document_id}")
@requires("knowledge:read")
async def quoted(
    request: Request,
    document_id: DocumentId,
    at: Annotated[int, Query(ge=0, le=10**9, description="The quote's first character.")] = 0,
    quote: Quote = "",
) -> Response:
    """The passage of a document that is quoted, wherever the document is."""
    found = parse_id(DOCUMENT, document_id, "document")
    base_id, ordinal = await read(
        request, lambda runtime, session, principal: runtime.knowledge.place_of(session, principal, found, at)
    )
    query = urlencode({"start": ordinal, "quote": quote})
    return redirect(request, f"{LIST}/{encode(KNOWLEDGE_BASE, base_id)}/documents/{document_id}?{query}#passages")


@router.get("/{base_id}/documents/{document_id}")
@requires("knowledge:read")
async def document(
    request: Request,
    base_id: BaseId,
    document_id: DocumentId,
    start: Annotated[int, Query(ge=0, le=10**9, description="The first passage.")] = 0,
    quote: Quote = "",
) -> Response:
    """One document: how reading it went, what was left out, and its passages."""
    in_base, found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base"), parse_id(DOCUMENT, document_id, "document")

    def find(runtime: Runtime, session: Session, principal: Principal) -> dict[str, Any]:
        return {
            "document": runtime.knowledge.get_document(session, principal, in_base, found),
            "base": runtime.knowledge.get_base(session, principal, in_base),
            "passages": runtime.knowledge.chunks_of(session, principal, found, start=start, limit=_PASSAGES + 1),
        }

    values = await change(request, find)
    passages = values.pop("passages")
    following = passages[_PASSAGES].ordinal if len(passages) > _PASSAGES else None
    return render(
        request,
        "knowledge/document.html",
        base_id=base_id,
        id=document_id,
        passages=passages[:_PASSAGES],
        following=following,
        quote=quote,
        once=secrets.token_urlsafe(16),
        **values,
    )


@router.post("/{base_id}/documents/{document_id}/delete")
@requires("knowledge:write")
async def remove_document(request: Request, base_id: BaseId, document_id: DocumentId) -> Response:
    """Delete a document and its file."""
    in_base, found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base"), parse_id(DOCUMENT, document_id, "document")
    await get_runtime(request).in_thread(delete_stored, request, in_base, found)
    return flash(redirect(request, f"{LIST}/{base_id}"), _("The document is deleted; no search finds it anymore."))
