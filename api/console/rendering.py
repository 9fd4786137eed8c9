"""Turns templates into responses. Every value is escaped, and a name that does not exist is an error."""

import json
from datetime import datetime
from gettext import NullTranslations
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import QueryParams

from api.console import formats
from api.console.assets import asset_url
from api.console.navigation import sections_of
from api.console.security import CSRF_FIELD, PAGE_HEADERS
from api.deps import get_runtime
from core.keys.sessions.service import SignedIn
from core.kit.clock import utc_now
from core.kit.ids import encode, encode_field
from core.kit.json_values import dumps, pretty

# Parameters with which a page asks for a part of itself again: they are in no link.
OF_REFRESHING = frozenset({"top", "seen"})
_FLASH_COOKIE = "__Host-waybill_flash"
_FLASH_SECONDS = 60
_FLASH_MAX = 500


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    # English is written in the templates; another language is a catalogue of gettext in place of this one.
    environment.install_gettext_translations(NullTranslations(), newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "absolute": formats.absolute,
        "duration": formats.duration,
        "size": formats.size,
        "typeid": lambda value, prefix: encode(prefix, value),
        "id_of": lambda value, name: encode_field(name, value),
        "usd": formats.usd,
        "pretty": pretty,
    }
    environment.globals |= {"asset": asset_url, "csrf_field": CSRF_FIELD}
    return environment


_ENVIRONMENT = _environment()


def render(
    request: Request, template: str, *, status: int = 200, fragment: str | None = None, **values: Any
) -> Response:
    """The page `template` with `values`; `fragment` instead when htmx asks for a part of the page."""
    is_part = fragment is not None and is_partial(request)
    name = fragment if is_part and fragment is not None else template
    response = Response(
        _ENVIRONMENT.get_template(name).render(**_context(request), **values),
        status,
        dict(PAGE_HEADERS),
        "text/html; charset=utf-8",
    )
    if not is_part and _FLASH_COOKIE in request.cookies:
        response.delete_cookie(_FLASH_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def is_partial(request: Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-request-type") != "full"


def flash(response: Response, text: str, kind: str = "done") -> Response:
    """Show `text` once, on the next page that this browser opens. `kind` is done, or failed."""
    value = quote(dumps([kind, text[:_FLASH_MAX]]), safe="")
    response.set_cookie(
        _FLASH_COOKIE, value, max_age=_FLASH_SECONDS, path="/", secure=True, httponly=True, samesite="lax"
    )
    return response


def gettext(message: str, **values: Any) -> str:
    """A text of the catalogue, for those that Python writes."""
    return message % values if values else message


def _context(request: Request) -> dict[str, Any]:
    signed_in: SignedIn | None = getattr(request.state, "console", None)
    now = utc_now()
    principal = None if signed_in is None else signed_in.principal

    def here(**changes: str | None) -> str:
        """The address of this page with some query parameters changed, or removed with None."""
        return _address(request.url.path, request.query_params, changes)

    def may(scope: str) -> bool:
        """Whether the caller holds `scope`: for showing what would be allowed; the route decides."""
        return principal is not None and scope in principal.scopes

    def relative(moment: datetime) -> str:
        return formats.relative(moment, now)

    def trace_url(trace_id: str) -> str | None:
        """The trace in the operator's tracing backend; None when the settings name none."""
        template = get_runtime(request).settings.trace_url
        return None if template is None else template.replace("{trace_id}", trace_id)

    return {
        "signed_in": signed_in,
        "csrf_token": "" if signed_in is None else signed_in.csrf_token,
        "sections": [] if principal is None else sections_of(request.app, principal),
        "path": request.url.path,
        "query": request.query_params,
        "here": here,
        "may": may,
        "relative": relative,
        "trace_url": trace_url,
        "now": now,
        "flash": _flash(request),
    }


def _address(path: str, query: QueryParams, changes: dict[str, str | None]) -> str:
    kept = [(name, value) for name, value in query.multi_items() if name not in changes and name not in OF_REFRESHING]
    changed = [(name, value) for name, value in changes.items() if value is not None]
    found = urlencode([*kept, *changed])
    return f"{path}?{found}" if found else path


def _flash(request: Request) -> tuple[str, str] | None:
    try:
        kind, text = json.loads(unquote(request.cookies.get(_FLASH_COOKIE, "")))
    except (ValueError, TypeError):
        return None
    return ("failed" if kind == "failed" else "done", str(text)[:_FLASH_MAX])
