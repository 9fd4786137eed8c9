"""``/v1/knowledge-bases``: create, read, list, delete."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.knowledge_bases.blobs import base_prefix
from api.knowledge_bases.schemas import (
    CreateKnowledgeBase,
    KnowledgeBase,
    KnowledgeBasePage,
    UpdateKnowledgeBase,
    base_to_wire,
)
from api.openapi import IDEMPOTENCY_KEY, created, problems
from api.routing import caller, new_router, requires
from api.work import change, per_page, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import KNOWLEDGE_BASE, encode
from core.kit.json_values import dumps
from core.knowledge.records import KnowledgeBase as KnowledgeBaseRecord

router = new_router("/v1/knowledge-bases", "knowledge bases")

BaseId = Annotated[str, Path(description="The knowledge base's id.", examples=["kb_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
Cursor = Annotated[str | None, Query(max_length=100, description="The `next_cursor` of the previous page.")]
Limit = Annotated[int, per_page("Items")]


@router.post(
    "",
    status_code=201,
    response_model=KnowledgeBase,
    summary="Create a knowledge base",
    responses={
        **created("Created.", "The knowledge base."),
        **problems(400, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("knowledge:write")
async def create_knowledge_base(request: Request, body: CreateKnowledgeBase) -> Response:
    """Create an empty knowledge base."""
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(make_base, request, body, identity))


def make_base(request: Request, body: CreateKnowledgeBase, identity: IdempotentRequest | None) -> Answer:
    """Create an empty knowledge base. Blocks."""
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        base = runtime.knowledge.create_base(
            session, principal, body.name, body.description, data_class=body.data_class
        )
        location = f"/v1/knowledge-bases/{encode(KNOWLEDGE_BASE, base.id)}"
        return Answer(201, dumps(base_to_wire(base)), location)

    return carry_out(request, identity, produce)


@router.get(
    "",
    response_model=KnowledgeBasePage,
    summary="List knowledge bases",
    responses={200: {"description": "A page of results, newest first."}, **problems()},
)
@requires("knowledge:read")
async def list_knowledge_bases(
    request: Request,
    name: Annotated[str | None, Query(max_length=200, description="Filter by name.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the project's knowledge bases."""
    before = cursors.decode_given(cursor)
    found = await change(request, get_runtime(request).knowledge.list_bases, cursor=before, limit=limit + 1, name=name)
    return respond_page(found, limit, base_to_wire)


@router.get(
    "/{base_id}",
    response_model=KnowledgeBase,
    summary="Read a knowledge base",
    responses={200: {"description": "The knowledge base."}, **problems(404)},
)
@requires("knowledge:read")
async def read_knowledge_base(request: Request, base_id: BaseId) -> Response:
    """Read one knowledge base."""
    found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base")
    shown = await change(request, get_runtime(request).knowledge.get_base, found)
    return respond_json(base_to_wire(shown))


@router.patch(
    "/{base_id}",
    response_model=KnowledgeBase,
    summary="Change a knowledge base",
    description="Jobs that search it from now on have at least this class. A change of the class is audited.",
    responses={200: {"description": "The updated knowledge base."}, **problems(400, 404, 408, 413, 415)},
)
@requires("knowledge:write")
async def update_knowledge_base(request: Request, base_id: BaseId, body: UpdateKnowledgeBase) -> Response:
    """Update the fields in the body."""
    found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base")
    return respond_json(base_to_wire(await get_runtime(request).in_thread(store_base_changes, request, found, body)))


def store_base_changes(request: Request, base_id: UUID, body: UpdateKnowledgeBase) -> KnowledgeBaseRecord:
    """Change a knowledge base. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.knowledge.update_base(
            session, principal, base_id, description=body.description, data_class=body.data_class
        )


@router.delete(
    "/{base_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a knowledge base",
    description="Permanently deletes the knowledge base and all its documents, effective immediately.",
    responses={204: {"description": "Deleted."}, **problems(404)},
)
@requires("knowledge:write")
async def delete_knowledge_base(request: Request, base_id: BaseId) -> Response:
    """Delete a knowledge base with its documents."""
    found = parse_id(KNOWLEDGE_BASE, base_id, "knowledge_base")
    await get_runtime(request).in_thread(delete_base, request, found)
    return Response(status_code=204)


def delete_base(request: Request, base_id: UUID) -> None:
    """Delete a knowledge base, its documents and their files. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        runtime.knowledge.delete_base(session, principal, base_id)
        # Before the commit: if it fails, the rows still exist for the caller's next attempt.
        runtime.blobs.delete_prefix(base_prefix(base_id))
