"""``GET /v1/costs/anomalies``: hours in which a key spent far more than usual, and on what."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from api.answers import respond_json
from api.costs.parameters import Bound, Project, parse_reach
from api.deps import get_runtime
from api.openapi import problems
from api.problem import invalid
from api.routing import caller, new_router, requires
from core.forecasts.anomalies import Anomaly, Part, anomalies
from core.kit.clock import isoformat, utc_now
from core.kit.ids import KEY, PROJECT, encode
from core.kit.money import format_money
from core.ledger.reports.records import Window

router = new_router("/v1/costs", "costs")
_DEFAULT = timedelta(days=1)
_LONGEST = timedelta(days=31)


class SpendingPart(BaseModel):
    """What caused an hour's spending."""

    project_id: str
    capability: str
    provider: str
    model: str
    amount_usd: str
    expected_usd: str = Field(description="Median of the key's hours with spending in the previous two weeks.")


class CostAnomaly(BaseModel):
    """An anomalous hour of a key."""

    at: datetime = Field(description="Start of the hour.")
    key_id: str | None = Field(description="Null for a person or the platform itself.")
    amount_usd: str
    expected_usd: str
    highest_usd: str = Field(description="The most expensive hour of the previous two weeks.")
    score: float | None = Field(
        description=(
            "Deviations above the median (modified z-score). Null when the key had little earlier spending"
            " and its hour was the most expensive of all keys."
        )
    )
    causes: list[SpendingPart] = Field(description="What caused the excess, largest first.")


class CostAnomalies(BaseModel):
    """Anomalous hours, largest excess first. At most 200."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    data: list[CostAnomaly]


@router.get(
    "/anomalies",
    response_model=CostAnomalies,
    summary="Find cost anomalies",
    description=(
        "Finds hours in which a key spent far more than in the previous two weeks, and the capability, model"
        " and project that caused it. An hour is reported if its score is at least 6, its cost at least 0.10"
        " USD, and its cost at least 1.5 times that of any earlier hour."
    ),
    responses={200: {"description": "The anomalies."}, **problems()},
)
@requires("costs:read")
async def find_anomalies(
    request: Request,
    begins: Annotated[
        Bound | None, Query(alias="from", description="Hours at or after this time. Default: one day ago.")
    ] = None,
    ends: Annotated[Bound | None, Query(alias="to", description="Hours before this time. Default: now.")] = None,
    project: Project = None,
) -> Response:
    """Find cost anomalies."""
    runtime, principal = get_runtime(request), caller(request)
    reach = parse_reach(principal, project)
    ends = ends or utc_now()
    begins = begins or ends - _DEFAULT
    if not timedelta(0) < ends - begins <= _LONGEST:
        message = f"must be earlier than `to`, by at most {_LONGEST.days} days"
        raise invalid([{"path": "query.from", "code": "window_invalid", "message": message}])
    window = Window(begins, ends)
    single = runtime.database.single_tenant(reach.organization_id)
    found = await runtime.in_thread(anomalies, single, reach, window)
    return respond_json(
        {"from": isoformat(window.begins), "to": isoformat(window.ends), "data": [_to_wire(each) for each in found]}
    )


def _to_wire(found: Anomaly) -> dict[str, Any]:
    return {
        "at": isoformat(found.at),
        "key_id": None if found.key_id is None else encode(KEY, found.key_id),
        "amount_usd": format_money(found.amount_usd),
        "expected_usd": format_money(found.expected_usd),
        "highest_usd": format_money(found.highest_usd),
        "score": found.score,
        "causes": [
            {
                **_part(cause.part),
                "amount_usd": format_money(cause.amount_usd),
                "expected_usd": format_money(cause.expected_usd),
            }
            for cause in found.causes
        ],
    }


def _part(part: Part) -> dict[str, str]:
    return {
        "project_id": encode(PROJECT, part.project_id),
        "capability": part.capability,
        "provider": part.provider,
        "model": part.model,
    }
