"""``/v1/guard/reviews``: people's reviews of findings."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer
from api.deps import get_runtime
from api.guard.schemas import CreateReview, ReviewPage, ReviewShown, review_to_wire
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, require_scope, requires
from api.work import Cursor, per_page, respond_page
from core.guard.stored import NewReview, Review, Verdict
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import JOB
from core.kit.json_values import dumps

router = new_router("/v1/guard/reviews", "guard")

_WRITE = "guard:write"


@router.post(
    "",
    status_code=201,
    response_model=ReviewShown,
    summary="Review a finding",
    description="The response does not repeat the text.",
    responses={
        201: {"description": "Recorded.", "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("guard:screen", organization_wide=True)
async def create_review(request: Request, body: CreateReview) -> Response:
    """Record the caller's review of a finding."""
    if body.allow:
        require_scope(caller(request), _WRITE)
    job_id = None if body.job_id is None else parse_id(JOB, body.job_id, "job")
    identity = identify_request(request, await request.body())
    answer = await get_runtime(request).in_thread(_create, request, body, job_id, identity)
    return respond_answer(answer)


def _create(request: Request, body: CreateReview, job_id: UUID | None, identity: IdempotentRequest | None) -> Answer:
    runtime, principal = get_runtime(request), caller(request)
    new = NewReview(body.kind, body.value, body.verdict, job_id, allow=body.allow)

    def produce(session: Session) -> Answer:
        if job_id is not None:
            runtime.jobs.get(session, principal, job_id)
        made = runtime.guard.review(session, principal, new)
        return Answer(201, dumps(review_to_wire(made, None)))

    answer = carry_out(request, identity, produce)
    if body.allow:
        runtime.guard_policies.evict()
    return answer


@router.get(
    "",
    response_model=ReviewPage,
    summary="List reviews of findings",
    responses={200: {"description": "Lists the reviews of the whole organization, newest first."}, **problems()},
)
@requires("guard:read", organization_wide=True)
async def list_reviews(
    request: Request,
    verdict: Annotated[Verdict | None, Query(description="Filter by verdict.")] = None,
    limit: Annotated[int, per_page("Reviews")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of reviews."""
    before = cursors.decode_given(cursor)
    found = await get_runtime(request).in_thread(_list, request, verdict, before, limit + 1)
    return respond_page(found, limit, lambda each: review_to_wire(*each), lambda each: each[0].id)


def _list(
    request: Request, verdict: Verdict | None, before: UUID | None, limit: int
) -> list[tuple[Review, str | None]]:
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    found = runtime.guard.reviews(single, principal, verdict=verdict, cursor=before, limit=limit)
    shows_values = _WRITE in principal.scopes
    return [(each, runtime.guard.reveal(each) if shows_values else None) for each in found]
