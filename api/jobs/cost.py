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
    """A ledger line of a model call: its maximum cost (intent), its actual cost (settlement), or a correction."""

    attempt: int = Field(description="The attempt that made the call.")
    call: int = Field(description="The number of the call within its attempt.")
    entry: int = Field(description="0 for the intent, 1 for the settlement, higher for corrections.")
    kind: Literal["intent", "settlement", "correction"]
    recorded_at: datetime
    provider: str
    model: str
    model_version: str | None
    step: str | None = Field(description="The graph step that made the call.")
    quantities: dict[str, int] = Field(description="Usage by unit. Every token counts in exactly one unit.")
    amounts: dict[str, str] = Field(description="Price of each unit, in US dollars.")
    bound_usd: str = Field(description="The most that the call could cost, reserved before it was made.")
    amount_usd: str | None = Field(
        description="What this line adds to the job's cost. An intent adds nothing. Null when there is no price."
    )
    priced: bool = Field(description="Whether all usage had a price. Usage without a price adds nothing.")
    estimated: bool = Field(
        description="True if the usage was not reported by the provider, so it was counted or taken at its maximum."
    )
    reason: str | None = Field(
        description="Why the line differs from the provider's report, for example `worker_lost`."
    )


class JobCost(BaseModel):
    """The cost of a job, line by line. The amounts add up exactly to `cost_usd`."""

    job_id: str
    cost_usd: str | None = Field(description="The known cost. Null when no part of it had a price.")
    priced: bool = Field(description="Whether every line had a price. If false, the actual cost is higher than shown.")
    children_cost_usd: str | None = Field(
        description="Cost of all descendant jobs, whose lines are not included here. Null when no part of it is known."
    )
    children_priced: bool = Field(description="Whether every model call of the descendant jobs had a price.")
    total_cost_usd: str | None
    total_priced: bool = Field(
        description="Whether both amounts are complete. If false, the actual cost is higher than shown."
    )
    max_cost_usd: str | None
    lines: list[JobCostLine]


@router.get(
    "/{job_id}/cost",
    response_model=JobCost,
    summary="Read a job's ledger lines",
    description=(
        "Returns the ledger lines of all attempts in the order of the calls: intent, settlement and corrections."
    ),
    responses={200: {"description": "The ledger lines."}, **problems(404)},
)
@requires("jobs:read")
async def read_cost(request: Request, job_id: JobId) -> Response:
    """Read a job's ledger lines."""
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
