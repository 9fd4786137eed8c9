"""``POST /v1/jobs/{job_id}/cost/corrections``: a ledger line that adjusts the cost of a settled call."""

import re
from decimal import Decimal
from typing import Annotated

from fastapi import Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from api.answers import parse_id
from api.deps import get_runtime
from api.jobs.cost import JobCost, JobId, to_wire
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.work import answer_once
from core.keys.idempotency import Answer
from core.kit.ids import JOB
from core.kit.json_values import dumps
from core.ledger.records import CallIdentity
from core.ledger.service import correct_for, entries_of

router = new_router("/v1/jobs", "jobs")

_PATTERN = r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$"
_FORM = re.compile(_PATTERN, re.ASCII)
_NUMBER_MAX = 2**31 - 1


def _parse(value: object) -> object:
    if isinstance(value, str) and _FORM.fullmatch(value) and Decimal(value) != 0:
        return Decimal(value)
    raise PydanticCustomError(
        "money", 'must be US dollars as a string with at most nine decimals, and not zero, for example "-0.25"'
    )


Amount = Annotated[
    Decimal,
    BeforeValidator(_parse),
    WithJsonSchema({"type": "string", "pattern": _PATTERN.replace("^", "^(?=.*[1-9])", 1)}),
]
Number = Annotated[int, Field(strict=True, ge=1, le=_NUMBER_MAX)]


class CorrectCost(BaseModel):
    """An adjustment to the cost of one call."""

    model_config = ConfigDict(extra="forbid")

    attempt: Number = Field(description="The attempt that made the call.")
    call: Number = Field(description="The number of the call within its attempt.")
    amount_usd: Amount = Field(description="Amount to add. A negative amount reduces the cost.", examples=["-0.25"])
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] = Field(
        description="The reason, for readers of the ledger.", examples=["invoice 2026-11 says 0.10"]
    )


@router.post(
    "/{job_id}/cost/corrections",
    status_code=201,
    response_model=JobCost,
    summary="Correct the cost of a call",
    description=(
        "Adds a correction line. Existing ledger lines never change. The job's cost, its budgets and all"
        " reports are updated immediately, in the period in which the job was accepted."
    ),
    responses={
        201: {"description": "All ledger lines, including the correction.", "headers": REPLAYED},
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("costs:write")
async def correct_cost(request: Request, job_id: JobId, body: CorrectCost) -> Response:
    """Correct the cost of a call."""
    found = parse_id(JOB, job_id, "job")
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        runtime.jobs.get(session, principal, found)
        call = CallIdentity(found, body.attempt, body.call)
        correct_for(session, principal, call, body.amount_usd, body.reason)
        job = runtime.jobs.get(session, principal, found)
        return Answer(201, dumps(to_wire(job, entries_of(session, principal, found))))

    return await answer_once(request, produce, await request.body())
