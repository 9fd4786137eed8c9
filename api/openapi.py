"""The OpenAPI 3.1 document: what FastAPI derives from the routes, completed by what it cannot know."""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api import problem
from api.routing import required_scope
from core.webhooks.events import EventType
from pipelines.registry import manifests

_SCHEME = "api_key"
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_PROBLEMS = {
    400: "The request cannot be read (`malformed_json`, `nesting_too_deep`, `idempotency_key_invalid`, …).",
    401: (
        "The API key is missing or not valid (`key_missing`, `key_unknown`, `key_expired`, `key_revoked`),"
        " or the token is not valid (`token_invalid`, `token_expired`)."
    ),
    402: "A budget is exhausted (`budget_exhausted`). Members of the problem name the budget and its amounts.",
    403: (
        "The key or role lacks a scope (`scope_missing`; the member `scope` names it) or may not do this"
        " (`capability_denied`, `scope_exceeded`, `not_a_member`, `project_archived`, `project_mismatch`)."
        " The data class is above the key's clearance (`clearance_exceeded`). A quota is used up"
        " (`quota_exceeded`; the member `limit` names it)."
    ),
    404: "The resource does not exist in the key's project.",
    405: "The path exists, but not with this method.",
    408: "The body did not arrive in time (`request_timeout`).",
    409: "The resource's state does not allow this (`idempotency_in_progress`, `conflict`, …).",
    410: "The resource existed, but its retention period has ended (`webhook_body_erased`, `history_expired`).",
    413: "The body is too large (`payload_too_large`).",
    415: "The route does not accept this media type (`unsupported_media_type`).",
    416: "The range starts after the end of the file.",
    422: (
        "The request is well-formed but not valid (`validation_error`, `idempotency_key_reused`,"
        " `project_required`). See `errors`."
    ),
    429: "Too many requests (`rate_limited`; the member `limit` names the rate). Try again after `Retry-After`.",
    500: "Internal error (`internal_error`). Include the member `trace_id` when you report it.",
    503: "A dependency is unavailable (`database_unavailable`). Try again after `Retry-After`.",
}
# The path suffix of one item of a collection.
_OF_ONE = re.compile(r"/\{(\w+)\}(/[^{}]*)?")
_MESSAGE = {
    "title": "WebhookMessage",
    "description": "What is sent to an endpoint, signed according to Standard Webhooks 1.0.0.",
    "type": "object",
    "required": ["type", "timestamp", "data"],
    "properties": {
        "type": {"type": "string", "description": "The event."},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": {"type": "object", "additionalProperties": True, "description": "See docs/reference/webhooks.md."},
    },
}
_RETRY_AFTER = {"description": "Seconds to wait before the next request.", "schema": {"type": "integer"}}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A request with the same key is carried out once; a repeat gets the first response.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true` when this response is replayed.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


def problems(*statuses: int, scope: bool = True) -> dict[int | str, dict[str, Any]]:
    """The documented errors of a route: `statuses`, and those that every guarded route may return."""
    common = (401, 403, 422, 429, 500, 503) if scope else (422, 500)
    return {status: _problem(status) for status in sorted({*statuses, *common})}


def install(app: FastAPI) -> None:
    """Make `app` produce the completed document, once."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]
    app.state.document = None
    app.state.making_document = asyncio.Lock()


def _problem(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {problem.MEDIA_TYPE: {"schema": _PROBLEM}},
    }
    if status in {429, 503}:
        found["headers"] = {"Retry-After": _RETRY_AFTER}
    if status == 401:  # noqa: PLR2004 - an HTTP status
        found["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        servers=[{"url": "/", "description": "This server."}],
        separate_input_output_schemas=False,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    model = problem.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(model.pop("$defs"))
    schemas["Problem"] = model
    schemas["SubmitJob"]["properties"]["capability"]["enum"] = sorted(manifests())
    components["securitySchemes"] = {
        _SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "wb_live_…",
            "description": "An API key from `waybill keys create`, or a token of a configured OpenID Connect issuer.",
        }
    }
    for operation, endpoint in _operations(document, app.routes):
        scope = required_scope(endpoint)
        operation["security"] = [{_SCHEME: [scope]}] if scope else []
    _link(document["paths"])
    document["webhooks"] = _webhooks()
    schemas["WebhookMessage"] = _MESSAGE
    return _renamed(document, _public_names(schemas))


def _link(paths: dict[str, Any]) -> None:
    """Links from an operation that creates a resource to every operation that takes only its id."""
    for path, item in paths.items():
        made = item.get("post", {}).get("responses", {})
        for answer in (made[status] for status in ("200", "201", "202") if status in made):
            links = {
                operation["operationId"]: {
                    "operationId": operation["operationId"],
                    "parameters": {found[1]: "$response.body#/id"},
                }
                for other, operations in paths.items()
                if other.startswith(path) and (found := _OF_ONE.fullmatch(other, len(path)))
                for operation in operations.values()
            }
            if links:
                answer["links"] = links


def _webhooks() -> dict[str, Any]:
    """What is sent to endpoints, by event type."""
    body = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WebhookMessage"}}},
    }
    return {
        event.value: {
            "post": {
                "operationId": f"on_{event.value.replace('.', '_')}",
                "summary": f"The event {event.value}",
                "tags": ["webhooks"],
                "parameters": [
                    {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
                    for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
                ],
                "requestBody": body,
                "responses": {"2XX": {"description": "The message is delivered. Any other status leads to a retry."}},
            }
        }
        for event in EventType
        # In OpenAI's format, as its documentation describes.
        if not event.startswith("response.")
    }


def _public_names(schemas: Iterable[str]) -> dict[str, str]:
    """Names for classes whose names occur twice, which FastAPI distinguishes by module: the package, then the class."""
    names: dict[str, str] = {}
    for name in schemas:
        *modules, own = name.split("__")
        if modules:
            package = next(each for each in reversed(modules) if each not in {"records", "schemas", "definition"})
            names[name] = f"{package.title().replace('_', '')}{own}"
    return names


def _renamed(document: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    assert not set(names.values()) & set(schemas), "a name is taken"
    # Some generators name a class by its schema's title.
    titled = {name: {**schema, "title": names.get(name, schema.get("title", name))} for name, schema in schemas.items()}
    document["components"]["schemas"] = {names.get(name, name): schema for name, schema in titled.items()}
    places = {f"#/components/schemas/{old}": f"#/components/schemas/{new}" for old, new in names.items()}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: walk(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return places.get(value, value) if isinstance(value, str) else value

    renamed: dict[str, Any] = walk(document)
    return renamed


def _operations(document: dict[str, Any], routes: Iterable[Any]) -> Iterable[tuple[dict[str, Any], Callable[..., Any]]]:
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                yield document["paths"][route.path_format][method.lower()], route.endpoint
