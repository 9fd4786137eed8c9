"""The application. Importing this module loads no agent framework and opens no connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from api import openapi, problem
from api.deps import Runtime
from api.heads import Heads
from api.middleware import Observed
from api.openai.dialect import Dialect, on_refused
from api.openai.errors import Refused
from api.routers import ROUTERS
from core.kit.logging import configure_logging, get_logger
from core.kit.settings import Settings, get_settings
from core.kit.telemetry import configure_tracing, shutdown_tracing

_DESCRIPTION = """\
A client asks for an AI *capability*; the request becomes a durable *job*; a worker runs it; the answer comes by polling
(`GET /v1/jobs/{id}?wait=30`) or by server-sent events (`GET /v1/jobs/{id}/events`).

Send `Authorization: Bearer wb_live_…`, or a token of your identity provider and `Waybill-Project: prj_…`.
Refusals are problem documents (RFC 9457) with a stable `code`.

What to call first: `GET /v1/capabilities` says what there is; `POST /v1/jobs` with `{"capability": …, "input": …}`
submits; `GET /v1/jobs/{id}?wait=30` answers as soon as its `state` changes, and has the `result` once that is
`succeeded`. To search your own documents: `POST /v1/knowledge-bases`, then `POST /v1/files` and a job of
`knowledge.ingest`, then jobs of `knowledge.search`.
Clients made for OpenAI have their own address, `/openai/v1`: its operations are under `openai`, and refuse in OpenAI's
shape.
"""
_TAGS = [
    {"name": "capabilities", "description": "What can be asked for, with the JSON Schemas of inputs and results."},
    {"name": "jobs", "description": "Submit, read, list, cancel and follow work."},
    {"name": "batches", "description": "Many jobs at once, from a file of lines; their results as a file."},
    {"name": "files", "description": "Documents, pictures and recordings that jobs read, uploaded whole or in parts."},
    {"name": "knowledge bases", "description": "Collections of documents that can be searched."},
    {"name": "webhooks", "description": "Endpoints that are told of events, what was sent to them, and its secrets."},
    {"name": "tenancy", "description": "The organization, its projects, its members and their keys."},
    {"name": "limits", "description": "Rates, quotas and jobs at once, for organizations, projects and keys."},
    {"name": "budgets", "description": "What may be spent, what was, and when that will be used up."},
    {"name": "costs", "description": "What work has cost, by any grouping; quotes, spikes and exports."},
    {"name": "prices", "description": "The price book of models, and its history."},
    {"name": "models", "description": "Models, their versions, aliases and prompts, and which version answers."},
    {"name": "experiments", "description": "Versions tried on a part of the work, and what came of it."},
    {"name": "quality", "description": "How good answers are, over time; labels, data sets, and gates of promotions."},
    {"name": "metrics", "description": "What happened, how fast and for how much, by group and over time."},
    {"name": "guard", "description": "Policies about personal data, injections and classes of text; trying them."},
    {"name": "audit", "description": "The sealed trail of every act, its verification, and the keys that signed it."},
    {"name": "retention", "description": "How long what is kept is kept."},
    {"name": "openai", "description": "The same models and capabilities, as clients made for OpenAI ask for them."},
    {"name": "operations", "description": "Probes and metrics."},
]
LOG_HOLD_SECONDS = 0.05
_log = get_logger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """An application with `settings`; connections are opened when it starts."""
    app = FastAPI(
        title="Waybill",
        version=_version(),
        summary="An enterprise AI job platform.",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    for router in ROUTERS:
        # The routes themselves, not the router: an included router matches every request twice.
        app.router.routes.extend(router.routes)
    problem.install(app)
    openapi.install(app)
    app.add_exception_handler(405, _method_not_allowed)
    app.add_exception_handler(Refused, on_refused)
    app.add_middleware(Observed)
    app.add_middleware(Dialect)
    app.add_middleware(Heads)
    return app


def app() -> FastAPI:
    """The application with the process's settings, for ``uvicorn --factory api.main:app``."""
    return create_app(get_settings())


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    configure_logging(settings, service="api", hold_seconds=LOG_HOLD_SECONDS)
    configure_tracing(settings, "api")
    runtime = Runtime(settings)
    await runtime.open()
    app.state.runtime = runtime
    _log.info("api_ready")
    try:
        yield
    finally:
        await runtime.close()
        shutdown_tracing()
        _log.info("api_stopped")


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    """A 405 whose ``Allow`` names the methods of every route at this path, not only of the first (RFC 9110, 15.5.6)."""
    allowed = sorted({method for route in request.app.routes for method in _methods(route, request)})
    refused = HTTPException(405, headers={"allow": ", ".join(allowed)})
    return await problem.on_http_exception(request, refused if allowed else error)


def _methods(route: BaseRoute, request: Request) -> set[str]:
    match, _ = route.matches(dict(request.scope))
    if match is Match.NONE:
        return set()
    methods = set(getattr(route, "methods", None) or ())
    return methods | {"HEAD"} if "GET" in methods else methods


def _version() -> str:
    try:
        return version("waybill")
    except PackageNotFoundError:
        return "0.0.0"
