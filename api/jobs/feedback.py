"""``POST /v1/jobs/{job_id}/feedback``: rate a result."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.answers import carry_out, identify_request, parse_id, respond_answer
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from core.jobs import feedback
from core.jobs.traces import write_feedback
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.clock import isoformat
from core.kit.ids import JOB, encode
from core.kit.json_values import dumps

router = new_router("/v1/jobs", "jobs")

JobId = Annotated[str, Path(description="The job's id.", examples=["job_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


class GiveFeedback(BaseModel):
    """Your rating of a job's result."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"score": 0.8}]})

    score: float = Field(ge=0, le=1, description="From 0 (useless) to 1 (perfect).")
    comment: str | None = Field(
        None,
        max_length=feedback.COMMENT_MAX_CHARACTERS,
        description="Your comment. Stored with the rating, never in the audit trail.",
    )


class Feedback(BaseModel):
    """A recorded rating."""

    job_id: str
    score: float
    comment: str | None
    given_at: datetime


@router.post(
    "/{job_id}/feedback",
    response_model=Feedback,
    summary="Rate a result",
    description=(
        "Rates the result of a job that has ended. A later rating by the same key or person replaces the earlier one."
    ),
    responses={200: {"description": "Recorded.", "headers": REPLAYED}, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("jobs:write")
async def give_feedback(request: Request, job_id: JobId, body: GiveFeedback) -> Response:
    """Record a rating."""
    found = parse_id(JOB, job_id, "job")
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_give, request, found, body, identity))


def _give(request: Request, job_id: UUID, body: GiveFeedback, identity: IdempotentRequest | None) -> Answer:
    principal = caller(request)

    def produce(session: Session) -> Answer:
        given = feedback.give(session, principal, job_id, Decimal(repr(body.score)), body.comment)
        wire = {
            "job_id": encode(JOB, given.job_id),
            "score": float(given.score),
            "comment": given.comment,
            "given_at": isoformat(given.given_at),
        }
        return Answer(200, dumps(wire))

    answer = carry_out(request, identity, produce)
    if not answer.is_replayed:
        write_feedback(get_runtime(request).database.single_tenant(principal.organization_id), job_id, body.score)
    return answer
