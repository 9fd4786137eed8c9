"""``/console/admin/installation``: its health as the API sees it, its capabilities, and the settings that callers meet.

Addresses and keys are not shown.
"""

from datetime import timedelta
from typing import Any

from fastapi import Request, Response

from api.console.rendering import render
from api.console.routing import current, new_router, requires
from api.console.work import read
from api.deps import Runtime, get_runtime
from api.health import dependencies_of
from api.metrics.routes import parse_span
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.kit.settings import Settings
from core.ledger.reports.costs import reach_of
from core.rollups import repository
from core.rollups.repository import Dimension, Figures, Selection
from pipelines.registry import manifests

router = new_router("/admin/installation")

_LAST = timedelta(hours=24)
_REMOTE = "pipelines.remote"
# What limits or explains an answer of the API. Anything else is the operator's, who reads it on the machine.
_SHOWN = (
    "api_body_max_bytes",
    "document_max_bytes",
    "file_max_bytes",
    "file_part_max_bytes",
    "idempotency_ttl_hours",
    "guard_template",
    "retention_payload_days",
    "retention_event_days",
    "retention_job_days",
    "retention_ledger_days",
    "retention_audit_days",
    "four_eyes",
)


@router.get("")
@requires("organization:read", organization_wide=True)
async def installation(request: Request) -> Response:
    """What this installation offers, its limits, and how its capabilities did in the last day."""
    runtime = get_runtime(request)
    settings = runtime.settings
    may_see_figures = "costs:read" in current(request).principal.scopes
    return render(
        request,
        "admin/installation.html",
        dependencies=await dependencies_of(runtime),
        figures=await read(request, _last_day) if may_see_figures else {},
        capabilities=[(each, each.entry.startswith(_REMOTE)) for _name, each in sorted(manifests().items())],
        settings=[_shown(settings, name) for name in _SHOWN],
    )


def _last_day(_runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Figures]:
    """The jobs of the last day by capability, from roll-ups. What a remote service does shows only in its jobs."""
    now = utc_now()
    grain, begins, ends = parse_span(now - _LAST, now, None)
    selection = Selection(reach_of(principal, None), grain, begins, ends)
    groups = repository.by_group(repository.read(session, selection, Dimension.CAPABILITY))
    return {str(group[0]): figures for group, figures in groups.items()}


def _shown(settings: Settings, name: str) -> tuple[str, Any, str]:
    return f"WAYBILL_{name.upper()}", getattr(settings, name), Settings.model_fields[name].description or ""
