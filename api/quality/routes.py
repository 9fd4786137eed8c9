"""``/v1/quality``: quality signals by version, and over time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query, Request, Response

from api.answers import respond_json
from api.costs.parameters import Bound, Project, parse_project, parse_window
from api.deps import Runtime, get_runtime
from api.openapi import problems
from api.quality.schemas import QualityReport, QualitySeries, to_report, to_series
from api.routing import caller, new_router, requires
from core.keys.principal import Principal
from core.ledger.reports.costs import reach_of
from core.ledger.reports.records import Window
from core.quality import series
from core.quality.series import Group, Point, Selection, Step
from core.quality.signals import Signal

router = new_router("/v1/quality", "quality")

_DEFAULT_DAYS = 7
From = Annotated[
    Bound | None, Query(alias="from", description="Jobs that ended in this hour or later. Default: 7 days before `to`.")
]
To = Annotated[
    Bound | None, Query(alias="to", description="Jobs that ended before this time. Default: the end of today.")
]
Capability = Annotated[
    str | None, Query(max_length=200, description="Filter by capability.", examples=["knowledge.search"])
]
Signals = Annotated[list[Signal] | None, Query(alias="signal", description="Filter by signal. Repeat it for several.")]
ModelVersion = Annotated[
    str | None, Query(max_length=200, description="Filter by version: its id, or the name of a model without one.")
]
PromptVersion = Annotated[str | None, Query(max_length=200, description="Filter by the digest of the prompt.")]
GroupBy = Annotated[
    list[Group] | None,
    Query(description="Dimensions of the lines, in addition to capability and signal. Default: `model_version`."),
]


@router.get(
    "",
    response_model=QualityReport,
    summary="Summarize quality",
    description=(
        "Returns each signal by capability and version, with a 95 % interval, over the jobs that ended in the window."
    ),
    responses={200: {"description": "The summary."}, **problems()},
)
@requires("quality:read")
async def summarize_quality(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    capability: Capability = None,
    signals: Signals = None,
    model_version: ModelVersion = None,
    prompt_version: PromptVersion = None,
    group_by: GroupBy = None,
    begins: From = None,
    ends: To = None,
    project: Project = None,
) -> Response:
    """Summarize quality."""
    runtime, principal = get_runtime(request), caller(request)
    selection = select(principal, capability, signals, model_version, prompt_version, _window(begins, ends), project)
    groups = [Group.MODEL_VERSION] if group_by is None else group_by
    points = await runtime.in_thread(_summarize, runtime, selection, groups)
    return respond_json(to_report(selection.window, points))


@router.get(
    "/series",
    response_model=QualitySeries,
    summary="Read quality over time",
    description="Returns the same signals by hour or day.",
    responses={200: {"description": "The series."}, **problems()},
)
@requires("quality:read")
async def read_quality_series(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    capability: Capability = None,
    signals: Signals = None,
    model_version: ModelVersion = None,
    prompt_version: PromptVersion = None,
    group_by: GroupBy = None,
    step: Annotated[Step, Query(description="Length of an interval.")] = Step.DAY,
    begins: From = None,
    ends: To = None,
    project: Project = None,
) -> Response:
    """Read quality over time."""
    runtime, principal = get_runtime(request), caller(request)
    selection = select(principal, capability, signals, model_version, prompt_version, _window(begins, ends), project)
    groups = [Group.MODEL_VERSION] if group_by is None else group_by
    points = await runtime.in_thread(_series, runtime, selection, groups, step)
    return respond_json(to_series(selection.window, step, points))


def _window(begins: datetime | None, ends: datetime | None) -> Window:
    if begins is None:
        last = parse_window(None, ends).ends
        begins = max(last - timedelta(days=_DEFAULT_DAYS), datetime(1970, 1, 2, tzinfo=UTC))
    return parse_window(begins, ends)


def select(  # noqa: PLR0917 - a request's filters
    principal: Principal,
    capability: str | None,
    signals: Sequence[Signal] | None,
    model_version: str | None,
    prompt_version: str | None,
    window: Window,
    project: str | None,
) -> Selection:
    """The jobs of a request that the caller may see."""
    reach = reach_of(principal, parse_project(project))
    seen = None if principal.capabilities is None else sorted(principal.capabilities)
    if capability is not None:
        seen = [capability] if principal.may_use(capability) else []
    return Selection(reach, window, seen, signals or (), model_version, prompt_version)


def _summarize(runtime: Runtime, selection: Selection, groups: Sequence[Group]) -> list[Point]:
    return series.summarize(runtime.database.single_tenant(selection.reach.organization_id), selection, groups)


def _series(runtime: Runtime, selection: Selection, groups: Sequence[Group], step: Step) -> list[Point]:
    session = runtime.database.single_tenant(selection.reach.organization_id)
    return series.series(session, selection, groups, step)
