"""Errors as pages: what happened, and what to do about it, in plain words."""

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import problem
from api.console.rendering import render
from core.kit.errors import WaybillError
from core.kit.logging import get_logger
from core.kit.telemetry import current_trace_id

_INTERNAL, _UNAVAILABLE = 500, 503
_log = get_logger(__name__)


def on_error(request: Request, error: Exception) -> Response:
    """The page for `error`; within a page, its message in place of the answer."""
    match error:
        case WaybillError():
            status, code, detail, retry = error.status, error.code, error.detail, error.retry_after_seconds
            fields = error.extra.get("errors") or []
        case RequestValidationError():
            return on_error(request, problem.invalid(problem.field_problems(error.errors())))
        case HTTPException():
            status, code, detail, retry, fields = error.status_code, "", "", None, []
        case _:
            status, code, retry, fields = _UNAVAILABLE, "database_unavailable", problem.DATABASE_RETRY_SECONDS, []
            detail = "The database does not answer. Nothing was changed unless it had just been confirmed."
    headers = {} if retry is None else {"retry-after": str(retry)}
    return _page(request, status, code, detail, fields=fields, headers=headers)


def on_unexpected(request: Request) -> Response:
    """The page for a fault of ours: only the trace id, which identifies the details in the log."""
    _log.exception("request_failed", method=request.method, path=request.url.path)
    return _page(request, _INTERNAL, "internal_error", "")


def _page(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    fields: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    response = render(
        request,
        "error.html",
        status=status,
        fragment="error_fragment.html",
        code=code,
        detail=detail,
        fields=fields or [],
        trace_id=current_trace_id(),
    )
    response.headers.update(headers or {})
    if request.headers.get("hx-request") == "true":
        # Shown above the page, whatever part of it asked.
        response.headers["hx-retarget"], response.headers["hx-reswap"] = "#notice", "innerHTML"
    return response
