"""``/console/jobs``: the list, live, with its failures in groups, and what is done to several jobs at once."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from time import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.console.jobs.acts import cancel_job, run_again
from api.console.jobs.filters import SINCE, Chosen
from api.console.jobs.views import query_of
from api.console.rendering import flash, is_partial, render
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, redirect, requires
from api.console.work import read
from api.deps import Runtime
from api.problem import invalid
from api.routing import require_project
from core.jobs import failures
from core.jobs.records import JobFilter, JobRecord
from core.jobs.states import JobState, Reason
from core.keys.principal import Principal
from core.keys.scopes import WHOLE_ORGANIZATION
from core.keys.sessions import views
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.kit.errors import WaybillError
from core.kit.ids import JOB, PROJECT, encode
from pipelines.registry import manifests

router = new_router("/jobs")

LIST = "/console/jobs"
_PAGE = 50
_PROJECTS_MAX = 200
_ONCE_MAX = 200
_TICK_SECONDS = 10
_FAILED_SINCE = timedelta(hours=24)
_ACTS = ("cancel", "run_again")


@router.get("")
@requires("jobs:read", organization_wide=True)
async def jobs(
    request: Request,
    filters: Chosen,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    top: Annotated[str | None, Query(max_length=100, description="The first row that is shown.")] = None,
    seen: Annotated[str | None, Query(max_length=100, description="The version of the rows that are shown.")] = None,
) -> Response:
    """A page of jobs. The rows of a page that refreshes stay; it says how many are newer than `top`."""
    where = filters.parse()
    if where.project is None:
        require_project(current(request).principal, "jobs:read")
    before = None if cursor is None else cursors.decode(cursor)
    first = None if top is None else parse_id(JOB, top, "job")
    refreshes = first is not None and is_partial(request)
    owner = current(request).row.owner

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        start = before if first is None else UUID(int=first.int + 1)
        found = runtime.jobs.list(session, principal, where, cursor=start, limit=_PAGE + 1)
        newer = 0 if first is None or before is not None else failures.count_newer(session, principal, where, first)
        is_start = before is None and not refreshes
        of_project = JobFilter(project=where.project)
        groups = failures.groups(session, principal, of_project, utc_now() - _FAILED_SINCE) if is_start else []
        projects = {} if refreshes and where.project is None else _projects(runtime, session, principal)
        saved = views.list_views(session, owner) if not refreshes else []
        return {"found": found, "newer": newer, "groups": groups, "projects": projects, "views": saved}

    values = await read(request, find)
    found: list[JobRecord] = values.pop("found")
    version = _version(found, values["newer"])
    if refreshes and seen == version:
        return Response(status_code=204)
    return render(
        request,
        "jobs/list.html",
        fragment="jobs/_rows.html",
        jobs=found[:_PAGE],
        older=cursors.encode(found[_PAGE - 1].id) if len(found) > _PAGE else None,
        version=version,
        filters=filters,
        shown=query_of(filters),
        choices=_choices(current(request).principal),
        newer_max=failures.NEWER_MAX,
        once=secrets.token_urlsafe(16),
        **values,
    )


@router.post("/several")
@requires("jobs:write")
async def act_on_several(request: Request) -> Response:
    """Cancel the chosen jobs, or run them again; each as if it were alone."""
    fields = form(request)
    act, chosen = fields.get("act", ""), fields.getlist("job")
    if act not in _ACTS or not 0 < len(chosen) <= _PAGE:
        message = f"choose from 1 to {_PAGE} jobs, and what to do: {', '.join(_ACTS)}"
        raise invalid([{"path": "form.job", "code": "invalid_choice", "message": message}])
    refused: list[str] = []
    for each in chosen:
        try:
            job_id = parse_id(JOB, each, "job")
            if act == "cancel":
                await cancel_job(request, job_id)
            else:
                await run_again(request, job_id, f"{fields.get('once', '')[:_ONCE_MAX]}-{each}")
        except WaybillError as error:
            refused.append(error.detail)
    done = len(chosen) - len(refused)
    text = _("%(done)s cancelled.", done=done) if act == "cancel" else _("%(done)s submitted again.", done=done)
    if refused:
        text = f"{text} {_('%(refused)s refused: %(why)s', refused=len(refused), why=refused[0])}"
    back = fields.get("back", "")
    to = back if back.startswith(f"{LIST}?") else LIST
    return flash(redirect(request, to), text, "failed" if refused else "done")


def _projects(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, str]:
    """The names of the organization's newest projects by their ids, if the caller may list the jobs of all."""
    if not principal.scopes >= {WHOLE_ORGANIZATION, "projects:read"}:
        return {}
    found = runtime.projects.list(session, principal, cursor=None, limit=_PROJECTS_MAX)
    return {encode(PROJECT, each.id): each.name for each in sorted(found, key=lambda each: each.name)}


def _version(jobs: Sequence[JobRecord], newer: int) -> str:
    """What the rows show, in short. While a job runs, its duration is drawn again every ten seconds."""
    now = int(time() / _TICK_SECONDS)
    shown = [
        (job.id, job.state, job.reason, job.cost_usd, job.cancel_requested_at, now if job.state == "running" else 0)
        for job in jobs
    ]
    return hashlib.blake2b(repr((newer, shown)).encode(), digest_size=9).hexdigest()


def _choices(principal: Principal) -> dict[str, list[str]]:
    """What the fields of the filter complete to."""
    return {
        "states": [state.value for state in JobState],
        "capabilities": sorted(each for each in manifests() if principal.may_use(each)),
        "reasons": sorted(reason.value for reason in Reason),
        "since": list(SINCE),
    }
