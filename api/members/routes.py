"""``/v1/members``: add, read, list, change, remove."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.members.schemas import AddMember, ChangeMember, Member, MemberPage, to_wire
from api.openapi import IDEMPOTENCY_KEY, created, problems
from api.routing import caller, new_router, requires
from api.work import Cursor, per_page, read, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.keys.members.repository import Member as MemberRecord
from core.keys.roles import Role
from core.kit.ids import MEMBER, encode
from core.kit.json_values import dumps

router = new_router("/v1/members", "tenancy")

MemberId = Annotated[str, Path(description="The member's id.", examples=["mem_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.post(
    "",
    status_code=201,
    response_model=Member,
    summary="Add a member",
    responses={
        **created("Added.", "The member."),
        **problems(400, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("members:write", organization_wide=True)
async def add_member(request: Request, body: AddMember) -> Response:
    """Add a member."""
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(store_member, request, body, identity))


def store_member(request: Request, body: AddMember, identity: IdempotentRequest | None) -> Answer:
    """Add a member. Blocks."""
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        member = runtime.members.add(
            session, principal, subject=body.subject, role=body.role, email=body.email, issuer=body.issuer
        )
        return Answer(201, dumps(to_wire(member)), f"/v1/members/{encode(MEMBER, member.id)}")

    return carry_out(request, identity, produce)


@router.get(
    "",
    response_model=MemberPage,
    summary="List members",
    responses={200: {"description": "A page of results, newest first."}, **problems()},
)
@requires("members:read", organization_wide=True)
async def list_members(
    request: Request,
    role: Annotated[Role | None, Query(description="Filter by role.")] = None,
    limit: Annotated[int, per_page("Members")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the organization's members."""
    before = cursors.decode_given(cursor)
    found = await read(request, get_runtime(request).members.list, cursor=before, limit=limit + 1, role=role)
    return respond_page(found, limit, to_wire)


@router.get(
    "/{member_id}",
    response_model=Member,
    summary="Read a member",
    responses={200: {"description": "The member."}, **problems(404)},
)
@requires("members:read", organization_wide=True)
async def read_member(request: Request, member_id: MemberId) -> Response:
    """Read a member."""
    found = parse_id(MEMBER, member_id, "member")
    shown = await read(request, get_runtime(request).members.get, found)
    return respond_json(to_wire(shown))


@router.patch(
    "/{member_id}",
    response_model=Member,
    summary="Change a member",
    description="Takes effect within two seconds. The last owner's role cannot be changed.",
    responses={200: {"description": "The updated member."}, **problems(400, 404, 408, 409, 413, 415)},
)
@requires("members:write", organization_wide=True)
async def change_member(request: Request, member_id: MemberId, body: ChangeMember) -> Response:
    """Update the fields in the body."""
    found = parse_id(MEMBER, member_id, "member")
    changes = body.model_dump(exclude_unset=True)
    return respond_json(to_wire(await get_runtime(request).in_thread(store_changes, request, found, changes)))


def store_changes(request: Request, member_id: UUID, changes: dict[str, Any]) -> MemberRecord:
    """Change a member. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return runtime.members.change(session, principal, member_id, changes)


@router.delete(
    "/{member_id}",
    status_code=204,
    response_class=Response,
    summary="Remove a member",
    description=(
        "The member's tokens are refused within two seconds. Keys issued by the member remain valid. The last"
        " owner cannot be removed."
    ),
    responses={204: {"description": "Removed."}, **problems(404, 409)},
)
@requires("members:write", organization_wide=True)
async def remove_member(request: Request, member_id: MemberId) -> Response:
    """Remove a member."""
    found = parse_id(MEMBER, member_id, "member")
    await get_runtime(request).in_thread(delete_member, request, found)
    return Response(status_code=204)


def delete_member(request: Request, member_id: UUID) -> None:
    """Remove a member. Raises `NotFound`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        runtime.members.remove(session, principal, member_id)
