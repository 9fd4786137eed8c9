"""``GET /v1/metrics``: counts, latency and cost of jobs, from roll-ups."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query, Request, Response

from api.answers import respond_json
from api.costs.parameters import Bound, Project, parse_reach
from api.deps import Runtime, get_runtime
from api.metrics.schemas import Metrics, to_metrics
from api.openapi import problems
from api.problem import invalid
from api.routing import caller, new_router, requires
from core.kit.clock import utc_now
from core.rollups import repository
from core.rollups.collect import RETENTION_DAYS, floor_to
from core.rollups.records import Grain
from core.rollups.repository import Dimension, Selection

router = new_router("/v1/metrics", "metrics")

_DEFAULT = timedelta(hours=24)
_LENGTHS = {Grain.MINUTE: timedelta(minutes=1), Grain.HOUR: timedelta(hours=1), Grain.DAY: timedelta(days=1)}
_POINTS_MAX = 1500


@router.get(
    "",
    response_model=Metrics,
    summary="Read metrics",
    description=(
        "Returns jobs, error rates, latencies, tokens and costs in total, by group and over time, and the"
        " number of unfinished jobs. Metrics come from roll-ups, so reading a million jobs takes as long as"
        " reading ten. A job counts when it ends and a model call when it is settled; budgets and `GET"
        " /v1/costs` count by time of acceptance."
    ),
    responses={200: {"description": "The metrics."}, **problems()},
)
@requires("costs:read")
async def read_metrics(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    begins: Annotated[
        Bound | None, Query(alias="from", description="Ended at or after this time. Default: 24 hours before `to`.")
    ] = None,
    ends: Annotated[Bound | None, Query(alias="to", description="Ended before this time. Default: now.")] = None,
    interval: Annotated[
        Grain | None,
        Query(
            description=(
                "Length of an interval of the series. Default: minutes up to 3 hours, hours up to 8 days, then days."
            )
        ),
    ] = None,
    group_by: Annotated[Dimension | None, Query(description="Groups. Default: none.")] = None,
    project: Project = None,
) -> Response:
    """Read metrics."""
    runtime, principal = get_runtime(request), caller(request)
    reach = parse_reach(principal, project)
    selection = Selection(reach, *_parse_window(begins, ends, interval))
    return respond_json(await runtime.in_thread(_read, runtime, selection, group_by))


def _read(runtime: Runtime, selection: Selection, dimension: Dimension | None) -> dict[str, Any]:
    single = runtime.database.single_tenant(selection.reach.organization_id)
    series = repository.read(single, selection, dimension)
    # Calls by model or key do not determine jobs.
    whole = repository.read(single, selection, None) if dimension in repository.OF_CALLS_ONLY else series
    return to_metrics(
        selection,
        dimension,
        as_of=repository.as_of(single),
        total=repository.total(whole),
        groups=repository.by_group(series) if dimension else {},
        series=series,
        backlog=repository.backlog(single, selection.reach),
    )


def _parse_window(
    begins: datetime | None, ends: datetime | None, interval: Grain | None
) -> tuple[Grain, datetime, datetime]:
    now = utc_now()
    earliest = now - timedelta(days=RETENTION_DAYS)
    ends = min(max((ends or now).astimezone(UTC), earliest), now + _LENGTHS[Grain.DAY])
    begins = max((begins or ends - _DEFAULT).astimezone(UTC), earliest)
    if begins >= ends:
        message = f"must be earlier than `to`, which is not included; roll-ups reach back {RETENTION_DAYS} days"
        raise invalid([{"path": "query.from", "code": "window_empty", "message": message}])
    grain = interval or _grain_for(ends - begins)
    if (ends - begins) / _LENGTHS[grain] > _POINTS_MAX:
        message = f"too many points, more than {_POINTS_MAX:,}; use a longer interval or a shorter time range"
        raise invalid([{"path": "query.interval", "code": "too_many_points", "message": message}])
    return grain, floor_to(grain, begins), ends


def _grain_for(length: timedelta) -> Grain:
    if length <= timedelta(hours=3):
        return Grain.MINUTE
    return Grain.HOUR if length <= timedelta(days=8) else Grain.DAY
