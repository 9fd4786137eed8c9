"""``/openai/v1/models``: the valid values of ``model``: gateway models, their aliases, and capabilities."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response

from api.answers import respond_json
from api.deps import get_runtime
from api.openai.document import OpenAIModel, OpenAIModelList, answers, dialect_router
from api.openai.errors import Failure, Refused
from api.openai.jobs import resolve_model
from api.routing import caller, requires
from core.keys.principal import Principal
from pipelines.registry import manifests

router = dialect_router("/models")
_CHAT = "models.chat"
# Capabilities and names have no date of their own, but clients expect one.
_SINCE = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


@router.get("", responses=answers(OpenAIModelList))
@requires("jobs:read")
async def list_models(request: Request) -> Response:
    """Every valid value of ``model``, by name."""
    runtime, principal = get_runtime(request), caller(request)
    names = await runtime.in_thread(
        runtime.catalogue.known,
        runtime.database.single_tenant(principal.organization_id),
        organization_id=principal.organization_id,
        project_id=principal.project_id,
        capability=_CHAT,
    )
    data = [_model(name, "waybill") for name in names]
    data += [_model(name, "capability") for name in sorted(manifests()) if _offers(principal, name)]
    return respond_json({"object": "list", "data": data})


@router.get("/{name:path}", responses=answers(OpenAIModel))
@requires("jobs:read")
async def read_model(request: Request, name: str) -> Response:
    """Read a model."""
    if _offers(caller(request), name):
        return respond_json(_model(name, "capability"))
    if name in manifests():
        raise Refused(Failure(404, "model_unknown", f"this key may not use the capability {name}", "model"))
    await resolve_model(request, _CHAT, name)
    return respond_json(_model(name, "waybill"))


def _offers(principal: Principal, name: str) -> bool:
    return name in manifests() and principal.may_use(name)


def _model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _SINCE, "owned_by": owner}
