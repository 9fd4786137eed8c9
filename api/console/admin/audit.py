"""``/console/admin/audit``: what was done and by whom, the proof of each record, and checking the whole trail."""

from datetime import timedelta
from typing import Annotated

from fastapi import Path, Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.audit.routes import find_records, inclusion_proof, scope_of, verification_report
from api.audit.schemas import proof_to_wire
from api.console.admin.organization import PAGE, Cursor
from api.console.rendering import render
from api.console.routing import current, new_router, requires
from api.deps import get_runtime
from api.problem import invalid
from api.routing import require_scope
from core.audit.actions import AuditAction
from core.audit.repository import RecordFilter
from core.kit.clock import utc_now
from core.kit.ids import AUDIT

router = new_router("/admin/audit")

_NAME_MAX = 200
_VERIFY_MAX = 100_000
SINCE = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_Name = Annotated[str, Query(max_length=_NAME_MAX)]


@router.get("")
@requires("audit:read", organization_wide=True)
async def trail(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    actor: _Name = "",
    subject: _Name = "",
    action: _Name = "",
    since: Annotated[str, Query(max_length=10)] = "",
    cursor: Cursor = None,
) -> Response:
    """Records of the caller's project, or of the organization with the scope for it; newest first."""
    if since and since not in SINCE:
        message = f"choose one of {', '.join(SINCE)}"
        raise invalid([{"path": "query.since", "code": "field_invalid", "message": message}])
    where = RecordFilter(
        project_id=scope_of(current(request).principal),
        actor_id=actor or None,
        subject_id=subject or None,
        actions=(action,) if action else (),
        recorded_after=utc_now() - SINCE[since] if since else None,
    )
    before = None if cursor is None else cursors.decode(cursor)
    found = await get_runtime(request).in_thread(find_records, request, where, before, PAGE + 1)
    return render(
        request,
        "admin/audit.html",
        records=[(record, record.document()["detail"], personal) for record, personal in found[:PAGE]],
        older=cursors.encode(found[PAGE - 1][0].id) if len(found) > PAGE else None,
        filters={"actor": actor, "subject": subject, "action": action, "since": since},
        actions=sorted(each.value for each in AuditAction),
        since=list(SINCE),
    )


@router.get("/verify")
@requires("audit:read", organization_wide=True)
async def verify(request: Request, after_seal: Annotated[int, Query(ge=0, le=10**15)] = 0) -> Response:
    """Check the trail: every record, every seal, the chain, and its anchors."""
    require_scope(current(request).principal, "organization:read")
    report = await get_runtime(request).in_thread(verification_report, request, after_seal, _VERIFY_MAX)
    return render(request, "admin/verification.html", report=report)


@router.get("/{record_id}/proof")
@requires("audit:read", organization_wide=True)
async def proof(request: Request, record_id: Annotated[str, Path(max_length=100)]) -> Response:
    """The path from a record to the root in its signed seal."""
    found = parse_id(AUDIT, record_id, "audit_record")
    seen = await get_runtime(request).in_thread(inclusion_proof, request, found)
    return render(request, "admin/proof.html", id=record_id, seen=seen, document=proof_to_wire(seen))
