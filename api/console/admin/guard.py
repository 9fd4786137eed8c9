"""``/console/admin/guard``: the policy in force, its versions, and trying one on a text."""

import json
from typing import Annotated, Any

from fastapi import Query, Request, Response

from api.answers import parse_id
from api.console.admin.organization import ADMIN
from api.console.fields import body_of, field, number
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import form, new_router, redirect, requires
from api.deps import Runtime, get_runtime
from api.guard.routes import store_policy
from api.guard.schemas import VERSION_MAX, PutPolicy, ScreenTexts, policy_to_wire, summary_to_wire
from api.guard.screening import screening_of
from api.problem import invalid
from api.routing import caller
from core.guard.policy import TEMPLATES
from core.guard.records import Direction
from core.kit.errors import WaybillError
from core.kit.ids import PROJECT

router = new_router("/admin/guard")

GUARD = f"{ADMIN}/guard"
_VERSIONS = 10
_TEXT_MAX = 20_000
ProjectId = Annotated[str | None, Query(max_length=100)]


@router.get("")
@requires("guard:read", organization_wide=True)
async def guard(
    request: Request, project: ProjectId = None, version: Annotated[int | None, Query(ge=1, le=VERSION_MAX)] = None
) -> Response:
    """The policy in force, or an earlier version."""
    return await _page(request, project, version)


@router.post("")
@requires("guard:write", organization_wide=True)
async def put_policy(request: Request) -> Response:
    """Put a new version in force."""
    project = field(request, "project")
    given = {"version": number(request, "version"), **_chosen(request)}
    project_id = None if project is None else parse_id(PROJECT, project, "project")
    body = body_of(PutPolicy, given)
    found = await get_runtime(request).in_thread(store_policy, request, project_id, body)
    to = GUARD if project is None else f"{GUARD}?project={project}"
    return flash(redirect(request, to), _("Version %(version)s is in force within two seconds.", version=found.version))


@router.post("/try")
@requires("guard:screen", organization_wide=True)
async def try_policy(request: Request) -> Response:
    """What a policy would do to a text: nothing is stored, and nothing leaves."""
    words = str(form(request).get("text", ""))[:_TEXT_MAX]
    given: dict[str, Any] = {"text": words or " ", "direction": field(request, "direction"), **_chosen(request)}
    tried = body_of(ScreenTexts, {name: value for name, value in given.items() if value is not None})
    refused, screened = None, None
    try:
        screened = await get_runtime(request).in_thread(screening_of, request, tried)
    except WaybillError as error:
        refused = error.detail
    return await _page(
        request,
        field(request, "project"),
        None,
        words=words,
        tried=_chosen(request),
        screened=screened,
        refused=refused,
    )


def _chosen(request: Request) -> dict[str, Any]:
    """The template, or the document, in the form; neither means what is in force."""
    template, written = field(request, "template"), field(request, "policy")
    if template is not None:
        return {"template": template}
    if written is None:
        return {}
    try:
        return {"policy": json.loads(written)}
    except (ValueError, RecursionError):
        message = "write the policy as a JSON object"
        raise invalid([{"path": "form.policy", "code": "field_invalid", "message": message}]) from None


async def _page(request: Request, project: str | None, version: int | None, **values: Any) -> Response:
    project_id = None if project is None else parse_id(PROJECT, project, "project")
    runtime, principal = get_runtime(request), caller(request)

    def find(runtime: Runtime) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        with runtime.database.tenant(principal.organization_id) as session:
            found = runtime.guard.get(session, principal, project_id, version)
            versions = runtime.guard.versions(session, principal, project_id, before=None, limit=_VERSIONS)
        shown = policy_to_wire(found, runtime.settings.guard_template)
        return shown, [summary_to_wire(each) for each in versions]

    policy, versions = await runtime.in_thread(find, runtime)
    defaults: dict[str, Any] = {"words": "", "tried": {}, "direction": "", "screened": None, "refused": None}
    return render(
        request,
        "admin/guard.html",
        policy=policy,
        versions=versions,
        project=project,
        own_project=principal.project_id if principal.has_project else None,
        templates=list(TEMPLATES),
        directions=[each.value for each in Direction],
        **{**defaults, **values},
    )
