"""``/console/admin``: the organization and its caller, projects and members."""

from typing import Annotated

from fastapi import Path, Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.console.fields import body_of, field
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import new_router, redirect, requires
from api.console.work import read
from api.deps import get_runtime
from api.members.routes import delete_member, store_member
from api.members.routes import store_changes as store_member_changes
from api.members.schemas import AddMember, ChangeMember
from api.projects.routes import make_project, store_archived, store_changes
from api.projects.schemas import CreateProject, UpdateProject
from core.keys.roles import ROLES, Role
from core.kit.data_classes import DataClass
from core.kit.ids import MEMBER, PROJECT

router = new_router("/admin")

ADMIN = "/console/admin"
PROJECTS, MEMBERS = f"{ADMIN}/projects", f"{ADMIN}/members"
PAGE = 50
Cursor = Annotated[str | None, Query(max_length=100)]
ProjectId = Annotated[str, Path(max_length=100)]
MemberId = Annotated[str, Path(max_length=100)]


@router.get("")
@requires("organization:read", organization_wide=True)
async def organization(request: Request) -> Response:
    """The caller's organization, and what the caller may do in it."""
    found = await read(request, lambda runtime, session, principal: runtime.projects.organization(session, principal))
    return render(request, "admin/organization.html", organization=found, roles=ROLES)


@router.get("/projects")
@requires("projects:read", organization_wide=True)
async def projects(
    request: Request, cursor: Cursor = None, archived: Annotated[bool, Query(description="Also archived ones.")] = False
) -> Response:
    """All projects of the organization."""
    before = None if cursor is None else cursors.decode(cursor)
    found = await read(
        request,
        lambda runtime, session, principal: runtime.projects.list(
            session, principal, cursor=before, limit=PAGE + 1, with_archived=archived
        ),
    )
    older = cursors.encode(found[PAGE - 1].id) if len(found) > PAGE else None
    return render(
        request, "admin/projects.html", projects=found[:PAGE], older=older, archived=archived, classes=list(DataClass)
    )


@router.post("/projects")
@requires("projects:write", organization_wide=True)
async def create_project(request: Request) -> Response:
    """Create a project."""
    names = ("name", "cost_centre", "owner", "data_class")
    given = {name: value for name in names if (value := field(request, name)) is not None}
    body = body_of(CreateProject, given)
    await get_runtime(request).in_thread(make_project, request, body, None)
    return flash(redirect(request, PROJECTS), _("%(name)s was created.", name=body.name))


@router.post("/projects/{project_id}")
@requires("projects:write", organization_wide=True)
async def change_project(request: Request, project_id: ProjectId) -> Response:
    """Change what the form holds; an empty owner or cost center is removed."""
    found = parse_id(PROJECT, project_id, "project")
    given = {"cost_centre": field(request, "cost_centre"), "owner": field(request, "owner")}
    always = {name: value for name in ("name", "data_class") if (value := field(request, name)) is not None}
    changes = body_of(UpdateProject, {**given, **always}).model_dump(exclude_unset=True)
    await get_runtime(request).in_thread(store_changes, request, found, changes)
    return flash(redirect(request, PROJECTS), _("The project was changed."))


@router.post("/projects/{project_id}/archive")
@requires("projects:write", organization_wide=True)
async def archive_project(request: Request, project_id: ProjectId) -> Response:
    """Make a project read-only."""
    found = parse_id(PROJECT, project_id, "project")
    await get_runtime(request).in_thread(store_archived, request, found, True, None)
    return flash(redirect(request, PROJECTS), _("The project is archived: its keys can only read."))


@router.post("/projects/{project_id}/restore")
@requires("projects:write", organization_wide=True)
async def restore_project(request: Request, project_id: ProjectId) -> Response:
    """Undo archiving it."""
    found = parse_id(PROJECT, project_id, "project")
    await get_runtime(request).in_thread(store_archived, request, found, False, None)
    return flash(redirect(request, PROJECTS), _("The project works again."))


@router.get("/members")
@requires("members:read", organization_wide=True)
async def members(request: Request, cursor: Cursor = None) -> Response:
    """The people of the organization and their roles."""
    before = None if cursor is None else cursors.decode(cursor)
    found = await read(
        request,
        lambda runtime, session, principal: runtime.members.list(
            session, principal, cursor=before, limit=PAGE + 1, role=None
        ),
    )
    older = cursors.encode(found[PAGE - 1].id) if len(found) > PAGE else None
    return render(request, "admin/members.html", members=found[:PAGE], older=older, roles=list(Role))


@router.post("/members")
@requires("members:write", organization_wide=True)
async def add_member(request: Request) -> Response:
    """Add a person."""
    body = body_of(AddMember, {name: field(request, name) or None for name in ("subject", "role", "email", "issuer")})
    await get_runtime(request).in_thread(store_member, request, body, None)
    return flash(redirect(request, MEMBERS), _("The member was added."))


@router.post("/members/{member_id}")
@requires("members:write", organization_wide=True)
async def change_member(request: Request, member_id: MemberId) -> Response:
    """Give a member another role."""
    found = parse_id(MEMBER, member_id, "member")
    changes = body_of(ChangeMember, {"role": field(request, "role")}).model_dump(exclude_unset=True)
    await get_runtime(request).in_thread(store_member_changes, request, found, changes)
    return flash(redirect(request, MEMBERS), _("The role was changed; it takes effect within two seconds."))


@router.post("/members/{member_id}/remove")
@requires("members:write", organization_wide=True)
async def remove_member(request: Request, member_id: MemberId) -> Response:
    """Remove a member."""
    await get_runtime(request).in_thread(delete_member, request, parse_id(MEMBER, member_id, "member"))
    return flash(redirect(request, MEMBERS), _("The member was removed."))
