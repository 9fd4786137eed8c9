"""Guards pages: as `api.routing` for the API, with a session's cookie in place of a key, and pages for errors.

A page declares its scope with `requires`, or that any session may see it with `signed_in`, or that it is `public`.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

import psycopg_pool
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException

from api.bodies import read_body, refuse_encoding, require_clean_text
from api.console.errors import on_error, on_unexpected
from api.console.security import CSRF_FIELD, HEADERS, SESSION_COOKIE, remove_session, require_same_origin, require_token
from api.deps import get_runtime
from api.parameters import QueryParameters
from api.routing import (
    PUBLIC,
    check_rates,
    count_failures,
    public,
    require_project,
    require_scope,
    required_scope,
    requires,
)
from core.keys.errors import ProjectRequired
from core.keys.sessions.errors import SessionEnded
from core.keys.sessions.service import SignedIn
from core.kit.db import is_unavailable
from core.kit.errors import BadRequest, Unauthenticated, UnsupportedMedia, WaybillError

__all__ = [
    "ConsoleRoute",
    "any_query",
    "current",
    "form",
    "new_router",
    "public",
    "requires",
    "signed_in",
    "takes_file",
]

SIGNED_IN = "signed-in"
SIGN_IN_PATH = "/console/sign-in"
PROJECTS_PATH = "/console/projects"
_TOKEN_HEADER = "x-csrf-token"  # noqa: S105 - the header's name
_FORM_TYPE = "application/x-www-form-urlencoded"
_FIELDS_MAX = 2000
Form = ImmutableMultiDict[str, str]
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def signed_in(endpoint: _Endpoint) -> _Endpoint:
    """Mark a page as open to every session, whatever its scopes: only for what concerns the session itself."""
    endpoint.required_scope = SIGNED_IN  # type: ignore[attr-defined]
    endpoint.is_organization_wide = True  # type: ignore[attr-defined]
    return endpoint


def takes_file(endpoint: _Endpoint) -> _Endpoint:
    """Mark a POST whose body is a file as it is, sent by the console's script with the token in a header."""
    endpoint.takes_file = True  # type: ignore[attr-defined]
    return endpoint


def any_query(endpoint: _Endpoint) -> _Endpoint:
    """Mark a page whose address others write: parameters that it does not know are ignored."""
    endpoint.takes_any_query = True  # type: ignore[attr-defined]
    return endpoint


class ConsoleRoute(APIRoute):
    """Resolves the session, refuses forged forms, and answers every error with a page."""

    def get_route_handler(self) -> _Handler:
        """The route's handler, behind its guard."""
        inner = super().get_route_handler()
        scope = required_scope(self.endpoint)
        organization_wide = bool(getattr(self.endpoint, "is_organization_wide", False))
        has_file = bool(getattr(self.endpoint, "takes_file", False))
        takes_any_query = bool(getattr(self.endpoint, "takes_any_query", False))
        parameters = QueryParameters(self)

        async def guarded(request: Request) -> Response:
            try:
                await _admit(request, scope, organization_wide=organization_wide, has_file=has_file)
                if b"%00" in request.scope["query_string"]:
                    for name, value in request.query_params.multi_items():
                        require_clean_text(name, "query")
                        require_clean_text(value, f"query.{name}")
                if not takes_any_query:
                    parameters.require_known(request)
                return _protected(await inner(request))
            except Unauthenticated as refused:
                return _sign_in_again(request, refused)
            except ProjectRequired:
                return redirect(request, f"{PROJECTS_PATH}?next={_here(request)}")
            except (WaybillError, RequestValidationError, HTTPException) as refused:
                return on_error(request, refused)
            except Exception as error:  # noqa: BLE001 - everything else becomes a page as well
                if is_unavailable(error) or isinstance(error, psycopg_pool.PoolTimeout | psycopg_pool.TooManyRequests):
                    return on_error(request, error)
                return on_unexpected(request)

        return guarded


def new_router(prefix: str = "") -> APIRouter:
    """A router of pages below ``/console`` and `prefix`. None of them is in the OpenAPI document."""
    return APIRouter(
        prefix=f"/console{prefix}",
        route_class=ConsoleRoute,
        include_in_schema=False,
        generate_unique_id_function=attrgetter("name"),
        default_response_class=Response,
    )


def current(request: Request) -> SignedIn:
    """The session of the request. Its principal is also what `api.routing.caller` returns."""
    found: SignedIn = request.state.console
    return found


def form(request: Request) -> Form:
    """The fields of a form that was sent, already checked to come from a page of the same session."""
    found: Form = request.state.form
    return found


def redirect(request: Request, to: str) -> Response:
    """Send the browser to another page of the console, also from a request of htmx."""
    # A line break in an address would begin another header.
    to = quote(to, safe="/%#?=@[]!$&'()*+,;:~")
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"hx-redirect": to, "cache-control": "no-store"})
    return Response(status_code=303, headers={"location": to, "cache-control": "no-store"})


async def _admit(request: Request, scope: str, *, organization_wide: bool, has_file: bool) -> None:
    sends_form = request.method not in {"GET", "HEAD"}
    if sends_form:
        require_same_origin(request)
    if scope == PUBLIC:
        if sends_form:
            request.state.form = await _read_form(request)
        return
    found = await resolve(request)
    request.state.console, request.state.principal = found, found.principal
    await check_rates(request, found.principal)
    if has_file:
        # Before the file is received.
        require_token(request.headers.get(_TOKEN_HEADER), found)
    elif sends_form:
        request.state.form = await _read_form(request)
        require_token(request.state.form.get(CSRF_FIELD), found)
    if scope != SIGNED_IN:
        require_scope(found.principal, scope)
        if not organization_wide:
            require_project(found.principal, scope)


async def resolve(request: Request) -> SignedIn:
    """The session of the request's cookie. Raises `Unauthenticated`, and `RateLimited` after too many failures."""
    token = request.cookies.get(SESSION_COOKIE)
    if token is None:
        raise SessionEnded("sign in to see this page", code="session_missing")
    runtime = get_runtime(request)
    sessions = runtime.console_sessions
    # What a page fetches by itself keeps no session alive: a browser left open ends idle.
    is_use = request.method == "POST" or request.headers.get("sec-fetch-mode", "navigate") == "navigate"
    return await count_failures(
        request,
        partial(sessions.recall, token, is_use=is_use),
        partial(sessions.has_recognized, token),
        partial(runtime.in_thread, sessions.resolve, token, is_use=is_use),
    )


async def _read_form(request: Request) -> Form:
    refuse_encoding(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise UnsupportedMedia(f"pages of the console accept {_FORM_TYPE}")
    body = await read_body(request, get_runtime(request).settings.api_body_max_bytes)
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise BadRequest(f"the form is not readable, or has more than {_FIELDS_MAX} fields") from None
    for name, value in fields:
        require_clean_text(name, "form")
        require_clean_text(value, f"form.{name}")
    return ImmutableMultiDict(fields)


def _protected(response: Response) -> Response:
    """With the headers of the console, where a download or a stream has none of its own."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _sign_in_again(request: Request, refused: Unauthenticated) -> Response:
    if request.url.path.startswith(SIGN_IN_PATH):
        return on_error(request, refused)
    response = redirect(request, f"{SIGN_IN_PATH}?next={_here(request)}")
    if SESSION_COOKIE in request.cookies:
        remove_session(response)
    return response


def _here(request: Request) -> str:
    """The page to come back to, as a query parameter."""
    if request.method != "GET" or request.headers.get("hx-request") == "true":
        return quote("/console", safe="")
    query = request.url.query
    return quote(f"{request.url.path}?{query}" if query else request.url.path, safe="")
