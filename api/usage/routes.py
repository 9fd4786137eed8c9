"""``/v1/usage``: usage in tokens and other units."""

from typing import Annotated

from fastapi import Query, Request, Response

from api.answers import respond_file, respond_json
from api.costs.parameters import Format, From, GroupBy, Project, To, prefers, read_lines
from api.costs.schemas import UsageReport, to_usage_csv, to_usage_report
from api.openapi import problems
from api.routing import new_router, requires
from core.ledger.reports.delimited import MEDIA_TYPE as CSV_TYPE

router = new_router("/v1/usage", "costs")


@router.get(
    "",
    response_model=UsageReport,
    summary="Report usage",
    description="Returns quantities by kind and by any combination of groups, for the same charges as `GET /v1/costs`.",
    responses={
        200: {"description": "The usage report.", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **problems(),
    },
)
@requires("costs:read")
async def report_usage(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    group_by: GroupBy = None,
    begins: From = None,
    ends: To = None,
    project: Project = None,
    form: Annotated[Format, Query(alias="format")] = None,
) -> Response:
    """Report usage."""
    window, groupings, lines = await read_lines(request, group_by, begins, ends, project, with_quantities=True)
    if prefers(request, form, ("json", "application/json"), ("csv", "text/csv")) == "csv":
        return respond_file(to_usage_csv(groupings, lines).encode(), CSV_TYPE, "usage.csv")
    return respond_json(to_usage_report(window, groupings, lines), headers={"vary": "accept"})
