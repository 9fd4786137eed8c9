"""``/v1/models/{id}/promote``, ``rollback``, ``retire``, ``restore`` and ``history``."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request, Response
from sqlalchemy.orm import Session

from api.answers import carry_out, identify_request, parse_id, respond_answer
from api.deps import get_runtime
from api.models.routes import ModelId, cursor_number, number_cursor
from api.models.schemas import (
    ChangeVersion,
    Model,
    ModelVersion,
    PromoteVersion,
    Rollback,
    StageHistory,
    change_to_wire,
    model_to_wire,
    version_to_wire,
)
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.work import Cursor, change, per_page, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import MODEL
from core.kit.json_values import dumps
from core.quality.gates.service import require_passed
from core.registry.records import Owner
from core.registry.stages import service

router = new_router("/v1/models", "models")

_REFUSED = problems(400, 404, 408, 409, 413, 415)
_KEYED = {"parameters": [IDEMPOTENCY_KEY]}
_Act = Callable[[Session, Owner, UUID], dict[str, Any]]


@router.post(
    "/{model_id}/promote",
    response_model=Model,
    summary="Promote a version",
    description=(
        "Makes the version the champion: it serves the model's name from now on. Takes effect within two"
        " seconds. The previous champion becomes a candidate. Promoting the champion changes nothing."
    ),
    responses={200: {"description": "The updated model.", "headers": REPLAYED}, **_REFUSED},
    openapi_extra=_KEYED,
)
@requires("models:promote", organization_wide=True)
async def promote(request: Request, model_id: ModelId, body: PromoteVersion) -> Response:
    """Promote a version."""

    def act(session: Session, owner: Owner, model: UUID) -> dict[str, Any]:
        if owner.organization_id is not None:
            require_passed(session, owner.organization_id, model, body.version)
        return model_to_wire(
            service.promote(session, owner, model, body.version, reason=body.reason, expected=body.champion)
        )

    return await _change(request, model_id, act)


@router.post(
    "/{model_id}/rollback",
    response_model=Model,
    summary="Roll back to the previous champion",
    description=(
        "Undoes the last promotion that was not undone yet, skipping retired versions. A second rollback"
        " goes back further and never returns to the version that was rolled back. Name the current champion,"
        " so that two simultaneous rollbacks do not go back twice."
    ),
    responses={200: {"description": "The updated model.", "headers": REPLAYED}, **_REFUSED},
    openapi_extra=_KEYED,
)
@requires("models:promote", organization_wide=True)
async def rollback(request: Request, model_id: ModelId, body: Rollback) -> Response:
    """Roll back."""

    def act(session: Session, owner: Owner, model: UUID) -> dict[str, Any]:
        return model_to_wire(service.rollback(session, owner, model, reason=body.reason, expected=body.champion))

    return await _change(request, model_id, act)


@router.post(
    "/{model_id}/retire",
    response_model=ModelVersion,
    summary="Retire a version",
    description="The version cannot be promoted, pinned by an alias or rolled back to until it is restored.",
    responses={200: {"description": "The updated version.", "headers": REPLAYED}, **_REFUSED},
    openapi_extra=_KEYED,
)
@requires("models:promote", organization_wide=True)
async def retire(request: Request, model_id: ModelId, body: ChangeVersion) -> Response:
    """Retire a version."""

    def act(session: Session, owner: Owner, model: UUID) -> dict[str, Any]:
        return version_to_wire(service.retire(session, owner, model, body.version, reason=body.reason))

    return await _change(request, model_id, act)


@router.post(
    "/{model_id}/restore",
    response_model=ModelVersion,
    summary="Restore a version",
    responses={200: {"description": "The version, a candidate again.", "headers": REPLAYED}, **_REFUSED},
    openapi_extra=_KEYED,
)
@requires("models:promote", organization_wide=True)
async def restore(request: Request, model_id: ModelId, body: ChangeVersion) -> Response:
    """Restore a version."""

    def act(session: Session, owner: Owner, model: UUID) -> dict[str, Any]:
        return version_to_wire(service.restore(session, owner, model, body.version, reason=body.reason))

    return await _change(request, model_id, act)


@router.get(
    "/{model_id}/history",
    response_model=StageHistory,
    summary="Read a model's history",
    responses={200: {"description": "Lists every stage change, latest first."}, **problems(404)},
)
@requires("models:read", organization_wide=True)
async def read_model_history(
    request: Request,
    model_id: ModelId,
    limit: Annotated[int, per_page("Changes")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of a model's history."""
    model = parse_id(MODEL, model_id, "model")
    found = await change(
        request,
        lambda session, principal: service.history(
            session, principal.organization_id, model, before=number_cursor(cursor), limit=limit + 1
        ),
    )
    return respond_page(found, limit, change_to_wire, cursor_number)


async def _change(request: Request, model_id: str, act: _Act) -> Response:
    model = parse_id(MODEL, model_id, "model")
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_carry_out, request, model, act, identity))


def _carry_out(request: Request, model_id: UUID, act: _Act, identity: IdempotentRequest | None) -> Answer:
    owner = Owner.of(caller(request))
    answer = carry_out(request, identity, lambda session: Answer(200, dumps(act(session, owner, model_id))))
    get_runtime(request).catalogue.evict()
    return answer
