"""``/console/admin/keys``: keys, each shown once when it is made or rotated."""

import json
import secrets
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.console.admin.organization import ADMIN, PAGE, Cursor
from api.console.fields import body_of, field, number
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, redirect, requires
from api.console.work import read
from api.deps import get_runtime
from api.keys.routes import issue_key, issue_successor, require_known_capabilities, store_revoked
from api.keys.schemas import CreateKey, RotateKey
from core.keys.idempotency import Answer, identify
from core.keys.roles import Role
from core.keys.scopes import SCOPES
from core.kit.ids import KEY, PROJECT
from pipelines.registry import manifests

router = new_router("/admin/keys")

KEYS = f"{ADMIN}/keys"
_DAY_SECONDS = 24 * 3600
_HOUR_SECONDS = 3600
KeyId = Annotated[str, Path(max_length=100)]


@router.get("")
@requires("keys:read", organization_wide=True)
async def keys(
    request: Request, cursor: Cursor = None, ended: Annotated[bool, Query(description="Also ended ones.")] = False
) -> Response:
    """The keys of the caller's project; a person without one sees those of the organization."""
    return await _page(request, cursor, with_ended=ended)


@router.post("")
@requires("keys:write", organization_wide=True)
async def create_key(request: Request) -> Response:
    """Make a key, and show it: now and never again."""
    days = number(request, "expires_in_days")
    scopes = [str(each) for each in form(request).getlist("scope")]
    capability = field(request, "capability")
    if capability is not None:
        scopes.append(f"capability:{capability}")
    given = {
        "name": field(request, "name") or "",
        "project_id": field(request, "project_id"),
        "scopes": scopes,
        "role": field(request, "role"),
        "clearance": field(request, "clearance"),
        "expires_in_seconds": None if days is None else days * _DAY_SECONDS,
    }
    body = body_of(CreateKey, given)
    require_known_capabilities(body.scopes)
    project_id = None if body.project_id is None else parse_id(PROJECT, body.project_id, "project")
    identity = identify(field(request, "once"), b"console", b"key", body.model_dump_json().encode())
    made = await get_runtime(request).in_thread(issue_key, request, body, project_id, identity)
    return await _page(request, None, made=made)


@router.post("/{key_id}/rotate")
@requires("keys:write", organization_wide=True)
async def rotate_key(request: Request, key_id: KeyId) -> Response:
    """Make a key's successor, and show it."""
    found = parse_id(KEY, key_id, "key")
    hours = number(request, "overlap_hours")
    body = body_of(RotateKey, {} if hours is None else {"overlap_seconds": hours * _HOUR_SECONDS})
    overlap = timedelta(seconds=body.overlap_seconds)
    identity = identify(field(request, "once"), b"console", b"rotate", found.bytes)
    made = await get_runtime(request).in_thread(issue_successor, request, found, overlap, identity)
    return await _page(request, None, made=made)


@router.post("/{key_id}/revoke")
@requires("keys:write", organization_wide=True)
async def revoke_key(request: Request, key_id: KeyId) -> Response:
    """End a key for good."""
    await get_runtime(request).in_thread(store_revoked, request, parse_id(KEY, key_id, "key"), None)
    return flash(redirect(request, KEYS), _("The key is revoked; it takes effect within two seconds."))


async def _page(
    request: Request, cursor: str | None, *, with_ended: bool = False, made: Answer | None = None
) -> Response:
    before = None if cursor is None else cursors.decode(cursor)
    found = await read(
        request,
        lambda runtime, session, principal: runtime.keys.list(
            session, principal, project_id=None, cursor=before, limit=PAGE + 1, with_ended=with_ended
        ),
    )
    document: dict[str, Any] | None = None if made is None else json.loads(made.body)
    principal = current(request).principal
    return render(
        request,
        "admin/keys.html",
        keys=found[:PAGE],
        older=cursors.encode(found[PAGE - 1].id) if len(found) > PAGE else None,
        ended=with_ended,
        made=document,
        roles=list(Role),
        # Others come with a role.
        scopes=[each for each in SCOPES if each in principal.scopes and each.endswith((":read", ":write"))],
        capabilities=sorted(name for name in manifests() if principal.may_use(name)),
        once=secrets.token_urlsafe(16),
    )
