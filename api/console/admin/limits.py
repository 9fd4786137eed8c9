"""``/console/admin/limits`` and ``/console/admin/retention``: how much may be used, and how long data is kept."""

from fastapi import Request, Response

from api import cursors
from api.console.admin.organization import ADMIN, PAGE, Cursor
from api.console.fields import body_of, field, number
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, new_router, redirect, requires
from api.console.work import read
from api.deps import Runtime, get_runtime
from api.limits.routes import delete_limit, store_limit
from api.limits.schemas import SetLimit, to_wire
from api.problem import invalid
from api.retention.routes import delete_retention, store_retention
from api.retention.schemas import SetRetention
from core.jobs.retention.records import Kind
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import SingleStatement
from core.limits.records import LimitKind, LimitRecord

router = new_router("/admin")

LIMITS, RETENTION = f"{ADMIN}/limits", f"{ADMIN}/retention"
_OWN = "organization"


@router.get("/limits")
@requires("limits:read", organization_wide=True)
async def limits(request: Request, cursor: Cursor = None) -> Response:
    """The limits that apply to the caller with their use, and all that are set."""
    before = None if cursor is None else cursors.decode(cursor)

    def find(
        runtime: Runtime, session: SingleStatement, principal: Principal
    ) -> tuple[list[LimitRecord], list[LimitRecord]]:
        return (
            runtime.limits.effective(session, principal),
            runtime.limits.list(session, principal, cursor=before, limit=PAGE + 1),
        )

    mine, stored = await read(request, find)
    last = stored[PAGE - 1].id if len(stored) > PAGE else None
    return render(
        request,
        "admin/limits.html",
        mine=[(each, to_wire(each)) for each in mine],
        stored=[(each, to_wire(each)) for each in stored[:PAGE]],
        older=None if last is None else cursors.encode(last),
        kinds=[each.value for each in LimitKind],
        project_id=current(request).row.project_id,
    )


@router.post("/limits")
@requires("limits:write", organization_wide=True)
async def set_limit(request: Request) -> Response:
    """Set or change a limit."""
    kind, given = _kind(request), field(request, "value") or ""
    is_count = not kind.is_money and given.isascii() and given.isdigit() and len(given) <= 18  # noqa: PLR2004
    body = body_of(SetLimit, {"value": int(given) if is_count else given})
    await get_runtime(request).in_thread(store_limit, request, field(request, "scope") or _OWN, kind, body.value)
    return flash(redirect(request, LIMITS), _("The limit is set; it takes effect within two seconds."))


@router.post("/limits/remove")
@requires("limits:write", organization_wide=True)
async def remove_limit(request: Request) -> Response:
    """Remove a limit."""
    await get_runtime(request).in_thread(delete_limit, request, field(request, "scope") or _OWN, _kind(request))
    return flash(redirect(request, LIMITS), _("The limit was removed."))


def _kind(request: Request) -> LimitKind:
    try:
        return LimitKind(field(request, "kind") or "")
    except ValueError:
        message = f"choose one of {', '.join(each.value for each in LimitKind)}"
        raise invalid([{"path": "form.kind", "code": "field_invalid", "message": message}]) from None


@router.get("/retention")
@requires("retention:read")
async def retention(request: Request) -> Response:
    """How long the project keeps each kind of data, and who decided it."""
    found = await read(request, lambda runtime, session, principal: runtime.retention.periods(session, principal))
    return render(
        request, "admin/retention.html", periods=found, kinds=[each.value for each in Kind], classes=list(DataClass)
    )


@router.post("/retention")
@requires("retention:write")
async def set_retention(request: Request) -> Response:
    """Set a period; no number of days means forever."""
    await get_runtime(request).in_thread(store_retention, request, _period(request, number(request, "days")))
    return flash(redirect(request, RETENTION), _("The period is set. What is past it is deleted within the hour."))


@router.post("/retention/remove")
@requires("retention:write")
async def remove_retention(request: Request) -> Response:
    """Remove a period of the project or the organization."""
    where = _period(request, 1)
    await get_runtime(request).in_thread(delete_retention, request, where.kind, where.scope, where.data_class)
    return flash(redirect(request, RETENTION), _("The period was removed; the wider one applies."))


def _period(request: Request, days: int | None) -> SetRetention:
    scope = field(request, "scope") or "project"
    given = {"kind": field(request, "kind"), "days": days, "scope": scope, "data_class": field(request, "data_class")}
    return body_of(SetRetention, given)
