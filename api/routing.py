"""Guards routes: each names its scope or declares itself public, or the application does not start.

A guard runs before the framework reads parameters, so that a caller without a key learns nothing about them, and costs
no dependency resolution on the hot path.
"""

from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api.bodies import read_json, require_clean_text
from api.deps import Runtime, get_runtime
from api.parameters import QueryParameters
from core.keys.errors import KeyMissing, ProjectArchived, ProjectMismatch, ProjectRequired, ScopeMissing
from core.keys.principal import Principal
from core.kit.errors import Unauthenticated
from core.kit.ids import PROJECT, encode
from core.limits.errors import rate_limited

PUBLIC = ""
PROJECT_HEADER = "waybill-project"
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def requires(scope: str, *, organization_wide: bool = False) -> Callable[[_Endpoint], _Endpoint]:
    """Mark an endpoint as open to callers that hold `scope`.

    `organization_wide` is for resources that belong to no single project: a person need not name a project there, and
    an archived project does not prevent the request.
    """

    def mark(endpoint: _Endpoint) -> _Endpoint:
        endpoint.required_scope = scope  # type: ignore[attr-defined]
        endpoint.is_organization_wide = organization_wide  # type: ignore[attr-defined]
        return endpoint

    return mark


def public(endpoint: _Endpoint) -> _Endpoint:
    """Mark an endpoint as public."""
    endpoint.required_scope = PUBLIC  # type: ignore[attr-defined]
    return endpoint


def required_scope(endpoint: Callable[..., Any]) -> str:
    """The scope an endpoint was marked with.

    Nothing is public by default: RuntimeError for an unmarked endpoint.
    """
    scope: str | None = getattr(endpoint, "required_scope", None)
    if scope is None:
        raise RuntimeError(f"{endpoint.__qualname__} declares neither a scope nor that it is public")
    return scope


class GuardedRoute(APIRoute):
    """Authenticates, refuses unknown query parameters, and reads a JSON body, before the endpoint's own parameters."""

    def get_route_handler(self) -> _Handler:
        """The route's handler, behind its guard."""
        inner = super().get_route_handler()
        scope = required_scope(self.endpoint)
        organization_wide = bool(getattr(self.endpoint, "is_organization_wide", False))
        reads_json = self.body_field is not None
        parameters = QueryParameters(self)

        async def guarded(request: Request) -> Response:
            if scope:
                request.state.principal = await authenticate(request, scope, organization_wide=organization_wide)
            if b"%00" in request.scope["query_string"]:
                for name, value in request.query_params.multi_items():
                    require_clean_text(name, "query")
                    require_clean_text(value, f"query.{name}")
            parameters.require_known(request)
            if reads_json:
                request = await read_json(request, get_runtime(request).settings.api_body_max_bytes)
            return await inner(request)

        return guarded


def new_router(prefix: str, tag: str) -> APIRouter:
    """A router of guarded routes below `prefix`, shown under `tag` in the documentation."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=GuardedRoute,
        # Client generators use an endpoint's Python name.
        generate_unique_id_function=attrgetter("name"),
    )


def caller(request: Request) -> Principal:
    """The caller, as authenticated by the guard."""
    principal: Principal = request.state.principal
    return principal


async def authenticate(request: Request, scope: str, *, organization_wide: bool = False) -> Principal:
    """The principal of the request's bearer key or token.

    Raises `Unauthenticated`, `RateLimited` above the caller's rates or after too many failures from its address,
    `ScopeMissing` without `scope`, and, unless the route is `organization_wide`, `ProjectRequired` for a person who
    names no project and `ProjectArchived` for a change in an archived one.
    """
    kind, _, credential = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not credential:
        raise KeyMissing("send an API key: Authorization: Bearer wb_live_…")
    runtime = get_runtime(request)
    credential = credential.strip()
    project = request.headers.get(PROJECT_HEADER)
    principal = await _identify(request, runtime, credential, project)
    await _check_rates(request, runtime, principal)
    require_scope(principal, scope)
    if project is not None and project != encode(PROJECT, principal.project_id):
        raise ProjectMismatch("this key belongs to one project; leave the Waybill-Project header out, or send its id")
    if not organization_wide:
        _require_project(principal, scope)
    return principal


async def _identify(request: Request, runtime: Runtime, credential: str, project: str | None) -> Principal:
    authenticator, failures = runtime.authenticator, runtime.failed_authentications
    address = runtime.proxies.of_request(request.scope)
    try:
        principal = authenticator.recall(credential, project)
        if principal is not None:
            return principal
    except Unauthenticated:
        failures.require_room(address)
        failures.charge(address)
        raise
    if not authenticator.has_recognized(credential, project):
        failures.require_room(address)
    # Attempts in progress count, so that many at once are not checked before the first has failed.
    failures.charge(address)
    try:
        principal = await runtime.look_up_key(credential, project)
    except Exception as error:
        if not isinstance(error, Unauthenticated):
            failures.refund(address)
        raise
    failures.refund(address)
    return principal


async def _check_rates(request: Request, runtime: Runtime, principal: Principal) -> None:
    limits = runtime.limit_cache.recall(principal) or await runtime.look_up_limits(principal)
    if not limits.buckets:
        return
    verdict = await runtime.rates.decide(limits.buckets)
    # `api.middleware` adds it to the response headers, whatever the response will be.
    request.state.rates = verdict
    if not verdict.passes:
        bucket, wait_seconds = verdict.empty
        raise rate_limited(bucket.scope, bucket.shown_id, bucket.per_minute, wait_seconds)


def _require_project(principal: Principal, scope: str) -> None:
    if not principal.has_project:
        message = "name the project with the header Waybill-Project: prj_…"
        problem = {"path": "header.waybill-project", "code": "project_required", "message": message}
        raise ProjectRequired(message, errors=[problem])
    if principal.is_project_archived and not scope.endswith(":read"):
        raise ProjectArchived("this project is archived and read-only")


def require_scope(principal: Principal, scope: str) -> None:
    """Raise `ScopeMissing` unless the caller holds `scope`: for what a request needs in addition to its route."""
    if scope not in principal.scopes:
        raise ScopeMissing(f"this key or role lacks the scope {scope}", scope=scope)
