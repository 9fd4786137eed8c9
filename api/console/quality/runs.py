"""``/console/quality/runs``: recorded runs of data sets, each compared with the one before, and gates."""

from typing import Annotated, Any

from fastapi import Query, Request, Response

from api import cursors
from api.console.rendering import render
from api.console.routing import new_router, requires
from api.console.work import read
from api.deps import Runtime
from core.keys.principal import Principal
from core.kit.db import SingleStatement
from core.quality.gates import repository
from core.quality.gates.records import Run
from core.quality.statistics.intervals import wilson

router = new_router("/quality/runs")

_PAGE = 50


@router.get("")
@requires("quality:read")
async def runs(
    request: Request,
    model_version: Annotated[str, Query(max_length=200, description="Only this version.")] = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Runs, newest first."""
    before = None if cursor is None else cursors.decode(cursor)

    def find(_runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        return {
            "found": repository.list_runs(
                session, principal, model_version=model_version or None, cursor=before, limit=_PAGE + 1
            ),
            "gates": repository.list_gates(session, principal.organization_id),
        }

    values = await read(request, find)
    found: list[Run] = values.pop("found")
    return render(
        request,
        "quality/runs.html",
        runs=[
            (each, wilson(each.passed, each.checked) if each.checked else None, _before(found, number))
            for number, each in enumerate(found[:_PAGE])
        ],
        older=cursors.encode(found[_PAGE - 1].id) if len(found) > _PAGE else None,
        model_version=model_version,
        **values,
    )


def _before(found: list[Run], number: int) -> Run | None:
    """The last earlier run of the same file: another file's cases are not comparable."""
    run = found[number]
    return next((each for each in found[number + 1 :] if each.dataset_digest == run.dataset_digest), None)
