"""``/v1/keys``: create, read, list, rotate, revoke."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Body, Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.keys.schemas import CreateKey, Key, KeyPage, NewKey, RotateKey, new_to_wire, to_wire
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.problem import invalid
from api.routing import caller, new_router, requires
from api.work import Cursor, per_page, read, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.keys.service import IssuedKey
from core.kit.ids import KEY, PROJECT, encode
from core.kit.json_values import dumps
from pipelines.registry import manifests

router = new_router("/v1/keys", "tenancy")

_CAPABILITY = "capability:"
_NEW = {
    "headers": {"Location": {"description": "The key.", "schema": {"type": "string"}}, **REPLAYED},
}
KeyId = Annotated[str, Path(description="The key's id.", examples=["key_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.post(
    "",
    status_code=201,
    response_model=NewKey,
    summary="Create a key",
    description=(
        "Returns the key itself once; only a keyed hash is stored. Repeating the request with the same"
        " `Idempotency-Key` returns the same key's record without the key. Rotate the key if you lost it."
    ),
    responses={201: {"description": "Created.", **_NEW}, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("keys:write", organization_wide=True)
async def create_key(request: Request, body: CreateKey) -> Response:
    """Create a key with at most the caller's own scopes."""
    require_known_capabilities(body.scopes)
    project_id = None if body.project_id is None else parse_id(PROJECT, body.project_id, "project")
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(issue_key, request, body, project_id, identity))


def require_known_capabilities(scopes: Sequence[str]) -> None:
    """Refuse to limit a key to unknown capabilities, which would make it useless."""
    for at, scope in enumerate(scopes):
        if scope.startswith(_CAPABILITY) and scope.removeprefix(_CAPABILITY) not in manifests():
            known = ", ".join(sorted(manifests()))
            message = f"there is no such capability; available: {known}"
            raise invalid([{"path": f"body.scopes.{at}", "code": "capability_unknown", "message": message}])


def issue_key(request: Request, body: CreateKey, project_id: UUID | None, identity: IdempotentRequest | None) -> Answer:
    """Make a key; the answer holds it unless it is a replay. Blocks."""
    runtime, principal = get_runtime(request), caller(request)

    def issue(session: Session) -> IssuedKey:
        return runtime.keys.issue(
            session,
            principal,
            name=body.name,
            scopes=[*body.scopes, *(body.role.scopes if body.role else ())],
            project_id=project_id,
            clearance=body.clearance,
            expires_in=None if body.expires_in_seconds is None else timedelta(seconds=body.expires_in_seconds),
        )

    return _issue_once(request, identity, issue)


def _issue_once(request: Request, identity: IdempotentRequest | None, issue: Callable[[Session], IssuedKey]) -> Answer:
    """Run `issue`, and respond with the key itself. The stored response does not contain it.

    A repeat is sent to any caller with the same request, who may hold fewer scopes than the first.
    """
    issued: list[IssuedKey] = []

    def produce(session: Session) -> Answer:
        issued.append(issue(session))
        body = dumps(new_to_wire(issued[-1], with_key=False))
        return Answer(201, body, f"/v1/keys/{encode(KEY, issued[-1].id)}")

    answer = carry_out(request, identity, produce)
    if answer.is_replayed:
        return answer
    return replace(answer, body=dumps(new_to_wire(issued[-1], with_key=True)))


@router.get(
    "",
    response_model=KeyPage,
    summary="List keys",
    description=(
        "Lists the keys of your project, newest first. With `projects:read`, `project_id` selects another"
        " project. A person who names no project gets the keys of the whole organization."
    ),
    responses={200: {"description": "A page of results."}, **problems(404)},
)
@requires("keys:read", organization_wide=True)
async def list_keys(
    request: Request,
    project_id: Annotated[str | None, Query(max_length=100, description="Filter by project.")] = None,
    ended: Annotated[bool, Query(description="Include revoked and expired keys.")] = False,
    limit: Annotated[int, per_page("Keys")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of keys."""
    where = None if project_id is None else parse_id(PROJECT, project_id, "project")
    before = cursors.decode_given(cursor)
    found = await read(
        request, get_runtime(request).keys.list, project_id=where, cursor=before, limit=limit + 1, with_ended=ended
    )
    return respond_page(found, limit, to_wire)


@router.get(
    "/{key_id}",
    response_model=Key,
    summary="Read a key",
    responses={200: {"description": "Returns the key's record, without the key itself."}, **problems(404)},
)
@requires("keys:read", organization_wide=True)
async def read_key(request: Request, key_id: KeyId) -> Response:
    """Read a key."""
    found = parse_id(KEY, key_id, "key")
    shown = await read(request, get_runtime(request).keys.get, found)
    return respond_json(to_wire(shown))


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    response_model=NewKey,
    summary="Rotate a key",
    description=(
        "Issues a new key with the same scopes and lifetime. The old key remains valid for"
        " `overlap_seconds`, so that you can roll out the new one."
    ),
    responses={201: {"description": "The new key.", **_NEW}, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("keys:write", organization_wide=True)
async def rotate_key(request: Request, key_id: KeyId, body: Annotated[RotateKey | None, Body()] = None) -> Response:
    """Rotate a key."""
    found = parse_id(KEY, key_id, "key")
    overlap = timedelta(seconds=(body or RotateKey()).overlap_seconds)
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(issue_successor, request, found, overlap, identity))


def issue_successor(request: Request, key_id: UUID, overlap: timedelta, identity: IdempotentRequest | None) -> Answer:
    """Rotate a key; the answer holds the new one unless it is a replay. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    return _issue_once(request, identity, lambda session: runtime.keys.rotate(session, principal, key_id, overlap))


@router.post(
    "/{key_id}/revoke",
    response_model=Key,
    summary="Revoke a key",
    description="Revokes the key permanently. Takes effect within two seconds.",
    responses={200: {"description": "The updated key.", "headers": REPLAYED}, **problems(400, 404, 409)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("keys:write", organization_wide=True)
async def revoke_key(request: Request, key_id: KeyId) -> Response:
    """Revoke a key. Takes effect within two seconds."""
    found = parse_id(KEY, key_id, "key")
    identity = identify_request(request, b"")
    return respond_answer(await get_runtime(request).in_thread(store_revoked, request, found, identity))


def store_revoked(request: Request, key_id: UUID, identity: IdempotentRequest | None) -> Answer:
    """Revoke a key. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        return Answer(200, dumps(to_wire(runtime.keys.revoke(session, principal, key_id))))

    return carry_out(request, identity, produce)
