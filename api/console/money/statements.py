"""``/console/money/statement``: what a project owes for a month, to read, to print and to download."""

from typing import Annotated, Any

from fastapi import Query, Request, Response

from api.console.rendering import render
from api.console.routing import new_router, requires
from api.console.work import change
from api.costs.parameters import MONTH, parse_month, parse_reach
from api.costs.routes import read_statement
from api.deps import Runtime
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.money import ZERO
from core.ledger.reports.records import Statement
from core.ledger.reports.statement import make_statement, sum_by

router = new_router("/money/statement")

_Month = Annotated[str, Query(pattern=rf"^$|{MONTH}", max_length=7, description="A calendar month in UTC.")]
_Project = Annotated[str, Query(max_length=100, description="Default: the session's project.")]
_PARTS = (("capability",), ("provider", "model"), ("key",), ("day",))


@router.get("")
@requires("costs:read")
async def statement(request: Request, month: _Month = "", project: _Project = "") -> Response:
    """The statement as a page that prints well."""
    month = month or f"{utc_now():%Y-%m}"
    window = parse_month(month)

    def make(_runtime: Runtime, session: Any, principal: Principal) -> Statement:
        project_id = parse_reach(principal, project.strip() or None).project_id or principal.project_id
        assert project_id is not None
        return make_statement(session, principal.organization_id, project_id, window)

    found = await change(request, make)
    return render(
        request,
        "money/statement.html",
        statement=found,
        month=month,
        project=project,
        parts={columns: _ranked(found, columns) for columns in _PARTS},
        calls=sum(line.calls for line in found.lines),
        estimated=sum((line.estimated_usd for line in found.lines), start=ZERO),
        corrections=sum((line.corrections_usd for line in found.lines), start=ZERO),
    )


@router.get(".csv")
@requires("costs:read")
async def statement_file(request: Request, month: _Month = "", project: _Project = "") -> Response:
    """The same lines as `GET /v1/costs/statement` gives as CSV."""
    answer: Response = await read_statement(request, month or f"{utc_now():%Y-%m}", project.strip() or None, "csv")
    return answer


def _ranked(found: Statement, columns: tuple[str, ...]) -> list[tuple[str, Any, bool]]:
    """The amount of each value of `columns`, and whether all of it has a price: days in order, others largest first."""
    sums = sum_by(found.lines, *columns)
    lines = [
        (" / ".join("" if part is None else str(part) for part in group), amount, priced)
        for group, (amount, priced) in sums.items()
    ]
    return sorted(lines) if columns == ("day",) else sorted(lines, key=lambda line: (-line[1], line[0]))
