"""``/v1/costs``: reports, chargeback statements and the FOCUS export."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from api.answers import respond_file, respond_json
from api.costs.parameters import (
    Format,
    From,
    GroupBy,
    Month,
    Project,
    To,
    parse_month,
    parse_reach,
    parse_window,
    prefers,
    read_lines,
)
from api.costs.schemas import CostReport, to_cost_csv, to_cost_report
from api.deps import Runtime, get_runtime
from api.openapi import problems
from api.routing import caller, new_router, requires
from core.ledger.reports import focus
from core.ledger.reports.delimited import MEDIA_TYPE as CSV_TYPE
from core.ledger.reports.records import Reach, Statement, Window
from core.ledger.reports.statement import make_statement
from core.ledger.reports.statement_files import to_statement_csv, to_statement_html

router = new_router("/v1/costs", "costs")

_JSON_OR_CSV = (("json", "application/json"), ("csv", "text/csv"))
_CSV_OR_HTML = (("csv", "text/csv"), ("html", "text/html"))
_CSV_CONTENT = {"text/csv": {"schema": {"type": "string"}}}
_HTML_TYPE = "text/html; charset=utf-8"
# The page may load nothing: no script, no address, not even when it is opened from this origin.
_HTML_POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}


@router.get(
    "",
    response_model=CostReport,
    summary="Report costs",
    description=(
        "Reports costs by any combination of groups, as JSON or CSV. The lines add up exactly to the ledger."
        " A charge belongs to the time at which its job was accepted, as for budgets."
    ),
    responses={200: {"description": "The cost report.", "content": _CSV_CONTENT}, **problems()},
)
@requires("costs:read")
async def report_costs(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    group_by: GroupBy = None,
    begins: From = None,
    ends: To = None,
    project: Project = None,
    form: Annotated[Format, Query(alias="format")] = None,
) -> Response:
    """Report costs."""
    window, groupings, lines = await read_lines(request, group_by, begins, ends, project)
    if prefers(request, form, *_JSON_OR_CSV) == "csv":
        return respond_file(to_cost_csv(groupings, lines).encode(), CSV_TYPE, "costs.csv")
    return respond_json(to_cost_report(window, groupings, lines), headers={"vary": "accept"})


@router.get(
    "/statement",
    summary="Create a chargeback statement",
    description=(
        "Returns what a project owes for a month: as CSV with one line per day, capability, model and key,"
        " or as a printable page. The statement of another project needs the scope `organization:read`."
    ),
    response_class=Response,
    responses={
        200: {
            "description": "The statement.",
            "content": {**_CSV_CONTENT, "text/html": {"schema": {"type": "string"}}},
        },
        **problems(404),
    },
)
@requires("costs:read")
async def read_statement(
    request: Request,
    month: Month,
    project: Project = None,
    form: Annotated[
        Literal["csv", "html"] | None,
        Query(alias="format", description="Response format. Overrides the `Accept` header. Default: CSV."),
    ] = None,
) -> Response:
    """Create a chargeback statement."""
    runtime, principal = get_runtime(request), caller(request)
    window = parse_month(month)
    project_id = parse_reach(principal, project).project_id or principal.project_id
    statement = await runtime.in_thread(_statement, runtime, Reach(principal.organization_id, project_id), window)
    name = f"statement-{month}"
    if prefers(request, form, *_CSV_OR_HTML) == "csv":
        return respond_file(to_statement_csv(statement).encode(), CSV_TYPE, f"{name}.csv")
    return respond_file(to_statement_html(statement).encode(), _HTML_TYPE, f"{name}.html", _HTML_POLICY)


def _statement(runtime: Runtime, reach: Reach, window: Window) -> Statement:
    assert reach.project_id is not None
    with runtime.database.tenant(reach.organization_id) as session:
        return make_statement(session, reach.organization_id, reach.project_id, window)


@router.get(
    "/focus",
    summary="Export costs in FOCUS 1.4 format",
    description=(
        "Exports every charge as CSV in the columns of FinOps FOCUS 1.4, dataset Cost and Usage: one line"
        " per kind of quantity of a call. The `BilledCost` values add up to the ledger."
    ),
    response_class=Response,
    responses={200: {"description": "The export.", "content": _CSV_CONTENT}, **problems()},
)
@requires("costs:read")
async def export_focus(request: Request, begins: From = None, ends: To = None, project: Project = None) -> Response:
    """Export costs, streamed as they are read."""
    runtime, principal = get_runtime(request), caller(request)
    window, reach = parse_window(begins, ends), parse_reach(principal, project)
    pages = focus.export_pages(runtime.database.single_tenant(reach.organization_id), reach, window)
    # Read the first page before the response starts, so that an error still becomes a problem document.
    first = [await runtime.in_thread(_next, pages) for _ in range(2)]

    async def body() -> AsyncIterator[bytes]:
        text: str | None
        for text in first:
            if text is not None:
                yield text.encode()
        while first[-1] is not None and (text := await runtime.in_thread(_next, pages)) is not None:
            yield text.encode()

    headers: dict[str, Any] = {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-disposition": 'attachment; filename="focus.csv"',
    }
    return StreamingResponse(body(), headers=headers, media_type=CSV_TYPE)


def _next(pages: Iterator[tuple[str, Any]]) -> str | None:
    page = next(pages, None)
    return None if page is None else page[0]
