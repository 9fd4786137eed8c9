"""``GET /v1/jobs/{job_id}/cost``: the ledger's lines of one job."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.jobs.schemas import costs_with_children
from api.openapi import problems
from api.routing import caller, new_router, requires
from core.jobs.records import JobRecord
from core.kit.clock import isoformat
from core.kit.ids import JOB, encode
from core.kit.money import ZERO, format_cost, format_money
from core.ledger.records import Entry
from core.ledger.service import entries_of

router = new_router("/v1/jobs", "jobs")

JobId = Annotated[str, Path(description="The job's id.", examples=["job_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


class JobCostLine(BaseModel):
    """One line of the ledger: what a model call was expected to cost at most, what it cost, or a correction of that."""

    attempt: int = Field(description="The attempt that made the call.")
    call: int = Field(description="The number of the call within its attempt.")
    entry: int = Field(description="0 for the intent, 1 for the settlement, higher for corrections.")
    kind: Literal["intent", "settlement", "correction"]
    recorded_at: datetime
    provider: str
    model: str
    model_version: str | None
    step: str | None = Field(description="The step of the graph that made the call.")
    quantities: dict[str, int] = Field(description="What was used, by unit; every token counts in one unit.")
    amounts: dict[str, str] = Field(description="What each unit cost, in US dollars.")
    bound_usd: str = Field(description="The most that the call could cost, set aside before it was made.")
    amount_usd: str | None = Field(
        description="What this line adds to the job's cost; an intent adds nothing. Null when there is no price for it."
    )
    priced: bool = Field(description="Whether all that was used had a price; what had none adds nothing.")
    estimated: bool = Field(description="Nobody reported what was used, so it was counted or taken at its bound.")
    reason: str | None = Field(description="Why a line is not what the provider reported, for example `worker_lost`.")


class JobCost(BaseModel):
    """What a job has cost, line by line. The amounts of the lines add up to `cost_usd`, to the last digit."""

    job_id: str
    cost_usd: str | None = Field(description="What is known of it; null when nothing is, for want of a price.")
    priced: bool = Field(description="Whether every line is; false: the job cost more than is known.")
    children_cost_usd: str | None = Field(
        description="What all jobs below this one have cost; their lines are their own. Null when nothing is known."
    )
    children_priced: bool = Field(description="Whether each of their model calls had a price.")
    total_cost_usd: str | None
    total_priced: bool = Field(description="Whether both are all that was used; false: it cost more than is known.")
    max_cost_usd: str | None
    lines: list[JobCostLine]


@router.get(
    "/{job_id}/cost",
    response_model=JobCost,
    summary="Read a job's ledger lines",
    description="The model calls of every attempt: intent, settlement and corrections, in the order they were made.",
    responses={200: {"description": "The lines."}, **problems(404)},
)
@requires("jobs:read")
async def read_cost(request: Request, job_id: JobId) -> Response:
    """What the job has cost."""
    found = parse_id(JOB, job_id, "job")
    job, lines = await get_runtime(request).in_thread(_read, request, found)
    return respond_json(to_wire(job, lines))


def _read(request: Request, job_id: UUID) -> tuple[JobRecord, list[Entry]]:
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    return runtime.jobs.get(single, principal, job_id), entries_of(single, principal, job_id)


def to_wire(job: JobRecord, lines: list[Entry]) -> dict[str, Any]:
    """The members of `JobCost`."""
    cost_usd = sum((line.amount_usd for line in lines), start=ZERO)
    priced = all(line.is_priced for line in lines)
    return {
        "job_id": encode(JOB, job.id),
        "cost_usd": format_cost(cost_usd, priced=priced),
        "priced": priced,
        **costs_with_children(job, cost_usd, priced=priced),
        "max_cost_usd": _money(job.max_cost_usd),
        "lines": [_line(line) for line in lines],
    }


def _line(line: Entry) -> dict[str, Any]:
    return {
        "attempt": line.attempt,
        "call": line.call,
        "entry": line.entry,
        "kind": line.kind,
        "recorded_at": isoformat(line.recorded_at),
        "provider": line.provider,
        "model": line.model,
        "model_version": line.model_version,
        "step": line.step,
        "quantities": line.quantities,
        "amounts": line.amounts,
        "bound_usd": format_money(line.bound_usd),
        "amount_usd": format_cost(line.amount_usd, priced=line.is_priced),
        "priced": line.is_priced,
        "estimated": line.estimated,
        "reason": line.reason,
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else format_money(amount)
