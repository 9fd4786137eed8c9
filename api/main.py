"""The application. Importing this module loads no agent framework and opens no connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from api import openapi, problem
from api.console import routers as console
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
Submit work to an AI *capability*. Waybill turns the request into a durable *job*, and a worker runs it. To get the
result, poll (`GET /v1/jobs/{id}?wait=30`) or follow server-sent events (`GET /v1/jobs/{id}/events`).

Authenticate with `Authorization: Bearer wb_live_…`, or with a token of your identity provider and
`Waybill-Project: prj_…`. Errors are problem documents (RFC 9457) with a stable `code`.

To start:

1. `GET /v1/capabilities` lists the capabilities.
2. `POST /v1/jobs` with `{"capability": …, "input": …}` submits a job.
3. `GET /v1/jobs/{id}?wait=30` returns as soon as the job's `state` changes. Once the state is `succeeded`, the response
   contains the `result`.

To search your own documents, create a knowledge base (`POST /v1/knowledge-bases`), upload documents to it, run a
`knowledge.ingest` job, then run `knowledge.search` jobs.

Clients for OpenAI's API use the address `/openai/v1`. Its operations have the tag `openai` and return errors in
OpenAI's format.
"""
_TAGS = [
    {
        "name": "capabilities",
        "description": "Capabilities of this installation, with the JSON Schemas of inputs and results.",
    },
    {"name": "jobs", "description": "Submit, read, list, cancel and follow jobs."},
    {
        "name": "batches",
        "description": ("Submit many jobs at once from a file of lines, and download their results as a file."),
    },
    {"name": "files", "description": "Documents, images and recordings for jobs to read, uploaded whole or in parts."},
    {"name": "knowledge bases", "description": "Searchable collections of documents."},
    {"name": "webhooks", "description": "Endpoints that receive events, their deliveries, and their secrets."},
    {"name": "tenancy", "description": "The organization, its projects, members and keys."},
    {"name": "limits", "description": "Rates, quotas and concurrency of organizations, projects and keys."},
    {"name": "budgets", "description": "Spending limits, their balances, alerts and forecasts."},
    {"name": "costs", "description": "Costs by any grouping, quotes, anomalies and exports."},
    {"name": "prices", "description": "The prices of models, and their history."},
    {"name": "models", "description": "Models, their versions, aliases and prompts, and name resolution."},
    {"name": "experiments", "description": "Compare versions on part of the traffic, and read the results."},
    {"name": "quality", "description": "Quality of results over time, labels, data sets, and promotion gates."},
    {"name": "metrics", "description": "Jobs, errors, latency and cost, by group and over time."},
    {"name": "guard", "description": "Policies for personal data, injections and data classes, and tests of them."},
    {"name": "audit", "description": "The sealed audit trail, its verification, and the signing keys."},
    {"name": "retention", "description": "Retention periods by kind of data."},
    {"name": "openai", "description": "The same models and capabilities in the format of OpenAI's API."},
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
    for router in (*ROUTERS, *console.ROUTERS):
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
