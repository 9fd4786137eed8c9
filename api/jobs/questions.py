"""``POST /v1/jobs/{job_id}/input``: the answer to a waiting job's question."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.answers import carry_out, identify_request, parse_id, respond_answer
from api.deps import get_runtime
from api.jobs.schemas import Job, to_wire
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from core.jobs.records import JobRecord
from core.jobs.suspension import questions
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import JOB
from core.kit.json_values import dumps

router = new_router("/v1/jobs", "jobs")

JobId = Annotated[str, Path(description="The job's id.", examples=["job_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


class GiveInput(BaseModel):
    """An answer to a job's question."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": {"approved": True}}]})

    key: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="The key of the question. Required only when more than one is open.",
    )
    value: Any = Field(description="The answer, matching the question's JSON Schema.")


@router.post(
    "/{job_id}/input",
    response_model=Job,
    summary="Answer a waiting job",
    description=(
        "Checks the answer against the question's JSON Schema and puts the job back in its queue. Repeating"
        " the same answer has no further effect and gets the same response; a different answer is refused."
        " The caller's identity is stored and audited."
    ),
    responses={
        200: {"description": "The job, which resumes.", "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("jobs:answer")
async def give_input(request: Request, job_id: JobId, body: GiveInput) -> Response:
    """Record an answer."""
    found = parse_id(JOB, job_id, "job")
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(give_answer, request, found, body, identity))


def give_answer(request: Request, job_id: UUID, body: GiveInput, identity: IdempotentRequest | None) -> Answer:
    """Record an answer, and announce the job that resumes. Blocks. Raises what `questions.answer` raises."""
    runtime, principal = get_runtime(request), caller(request)
    resumed: list[JobRecord] = []

    def produce(session: Session) -> Answer:
        job, goes_on = questions.answer(session, principal, job_id, body.key, body.value, runtime.settings.four_eyes)
        if goes_on:
            resumed.append(job)
        return Answer(200, dumps(to_wire(job)))

    answer = carry_out(request, identity, produce)
    single = runtime.database.single_tenant(principal.organization_id)
    for job in resumed:
        for event in runtime.jobs.events(single, principal.organization_id, job.id, after=job.event_last - 1):
            runtime.announcer.event(event, hint=job.pool)
    return answer
