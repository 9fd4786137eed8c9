"""``/console/admin/installation``: the capabilities, and the settings that callers meet. Addresses and keys are not."""

from typing import Any

from fastapi import Request, Response

from api.console.rendering import render
from api.console.routing import new_router, requires
from api.deps import get_runtime
from core.kit.settings import Settings
from pipelines.registry import manifests

router = new_router("/admin/installation")

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
    """What this installation offers, and its limits."""
    settings = get_runtime(request).settings
    return render(
        request,
        "admin/installation.html",
        capabilities=[(each, each.entry.startswith(_REMOTE)) for _name, each in sorted(manifests().items())],
        settings=[_shown(settings, name) for name in _SHOWN],
    )


def _shown(settings: Settings, name: str) -> tuple[str, Any, str]:
    return f"WAYBILL_{name.upper()}", getattr(settings, name), Settings.model_fields[name].description or ""
