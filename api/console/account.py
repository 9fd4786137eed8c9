"""``/console``: the way in, the caller's project and sessions, and the page for addresses that do not exist."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.console.navigation import sections_of
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, public, redirect, requires, signed_in
from api.console.security import SESSION_COOKIE
from api.console.sign_in import SESSIONS_PATH, Following, local
from api.console.work import read
from api.deps import get_runtime
from core.kit.errors import NotFound
from core.kit.ids import JOB, PROJECT, SESSION, decode

router = new_router()
fallback = new_router()

_PAGE = 50
Cursor = Annotated[str | None, Query(max_length=100)]


@router.get("")
@signed_in
async def home(request: Request) -> Response:
    """The first section that the caller may open."""
    sections = sections_of(request.app, current(request).principal)
    return redirect(request, sections[0].path if sections else SESSIONS_PATH)


@router.get("/find")
@signed_in
async def find(request: Request, job_id: Annotated[str, Query(alias="id", max_length=200)] = "") -> Response:
    """The page of the job with an id that was pasted."""
    try:
        decode(JOB, job_id.strip())
    except ValueError:
        raise NotFound("this is not the id of a job; ids of jobs have the form job_…", code="job_not_found") from None
    return redirect(request, f"/console/jobs/{job_id.strip()}")


@router.get("/projects")
@requires("projects:read", organization_wide=True)
async def projects(request: Request, following: Following = None, cursor: Cursor = None) -> Response:
    """The projects of the organization, to choose one from."""
    before = None if cursor is None else cursors.decode(cursor)
    found = await read(
        request,
        lambda runtime, session, principal: runtime.projects.list(session, principal, cursor=before, limit=_PAGE + 1),
    )
    older = cursors.encode(found[_PAGE - 1].id) if len(found) > _PAGE else None
    return render(request, "projects.html", projects=found[:_PAGE], older=older, next=local(following))


@router.post("/projects")
@requires("projects:read", organization_wide=True)
async def choose_project(request: Request) -> Response:
    """Work in a project from now on. Only people choose: a key has its project."""
    project_id = parse_id(PROJECT, form(request).get("project", ""), "project")
    found = await read(
        request, lambda runtime, session, principal: runtime.projects.get(session, principal, project_id)
    )
    runtime, session = get_runtime(request), current(request)
    if session.row.key_id is not None:
        raise NotFound("a key has one project; sign in with a key of the other", code="project_not_found")
    token = request.cookies[SESSION_COOKIE]
    await runtime.in_thread(runtime.console_sessions.choose_project, session, token, project_id)
    response = redirect(request, local(form(request).get("next", "")))
    return flash(response, _("You are working in %(project)s.", project=found.name))


@router.get("/sessions")
@signed_in
async def sessions(request: Request) -> Response:
    """The open sessions of the same key or person."""
    runtime, session = get_runtime(request), current(request)
    found = await runtime.in_thread(runtime.console_sessions.list, session)
    return render(request, "sessions.html", sessions=found)


@router.post("/sessions/{session_id}/end")
@signed_in
async def end_session(request: Request, session_id: str) -> Response:
    """End one of them."""
    runtime, session = get_runtime(request), current(request)
    found = parse_id(SESSION, session_id, "session")
    await runtime.in_thread(runtime.console_sessions.end, session, found)
    return flash(redirect(request, SESSIONS_PATH), _("The session has ended."))


@fallback.get("/{rest:path}")
@public
async def nowhere(request: Request, rest: str) -> Response:  # noqa: ARG001 - part of the path
    """The page for an address that does not exist."""
    raise NotFound("there is no such page of the console", code="route_not_found")
