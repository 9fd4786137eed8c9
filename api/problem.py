"""Every error as one kind of document: RFC 9457 problem details with a stable ``code`` beside the status.

`install` covers our own errors, FastAPI's validation errors, the framework's 404, 405 and 413, an unavailable database,
and unexpected exceptions: those get 500 with the trace id and no further details.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
import psycopg
import psycopg_pool
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import exc as sqlalchemy_exc
from starlette.exceptions import HTTPException

from core.kit.db import is_unavailable
from core.kit.errors import Unauthenticated, Unprocessable, WaybillError
from core.kit.logging import get_logger
from core.kit.telemetry import current_trace_id

MEDIA_TYPE = "application/problem+json"
DATABASE_RETRY_SECONDS = 2
_CHALLENGE = 'Bearer realm="waybill"'
_HTTP_CODES = {
    400: ("bad_request", "Bad request"),
    404: ("route_not_found", "Not found"),
    405: ("method_not_allowed", "Method not allowed"),
    413: ("payload_too_large", "Payload too large"),
    415: ("unsupported_media_type", "Unsupported media type"),
}
_log = get_logger(__name__)


class FieldProblem(BaseModel):
    """A field that is not valid: its location, the problem, and what would be valid."""

    path: str = Field(description="Location of the field: `body.input.question`, `query.limit`, `path.job_id`.")
    code: str = Field(description="A stable code for the rule that was broken.")
    message: str = Field(description="What is wrong, and what would be valid.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A URI that identifies the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="An explanation for people.")
    code: str = Field(description="A stable code to branch on.")
    trace_id: str | None = Field(None, description="Include this when you report the problem.")
    errors: list[FieldProblem] | None = Field(None, description="Present when fields are not valid.")


def render(error: WaybillError) -> Response:
    """The response for `error`."""
    return _document(
        error.status,
        error.code,
        error.title,
        error.detail,
        retry_after_seconds=error.retry_after_seconds,
        headers={"www-authenticate": _challenge(error)} if isinstance(error, Unauthenticated) else None,
        extra=error.extra,
    )


def unexpected() -> Response:
    """The response to an internal error: only the trace id, which identifies the details in the log."""
    detail = "an internal error occurred; you can send the same request again"
    return _document(500, "internal_error", "Internal error", detail)


def database_unavailable() -> Response:
    """The response while Postgres is unavailable or too busy."""
    detail = "The response while Postgres is unavailable or too busy."
    return _document(
        503,
        "database_unavailable",
        (
            "the database does not answer; nothing was changed unless it had just been confirmed, so send the"
            " request again"
        ),
        detail,
        retry_after_seconds=DATABASE_RETRY_SECONDS,
    )


def field_problems(errors: Sequence[Mapping[str, Any]], root: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The errors of pydantic as `FieldProblem` members. `root` is prefixed to each path. Never quotes the input."""
    found = []
    for error in errors[:50]:
        location = (*root, *(str(part) for part in error["loc"]))
        found.append({"path": ".".join(location), "code": str(error["type"]), "message": str(error["msg"])})
    return found


def invalid(errors: list[dict[str, str]]) -> Unprocessable:
    """The error for a request with invalid fields."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Unprocessable(f"{first['path']}: {first['message']}{more}", errors=errors)


def install(app: FastAPI) -> None:
    """Make `app` respond to every error with a problem document."""
    app.add_exception_handler(WaybillError, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, on_http_exception)
    for kind in (
        sqlalchemy_exc.DBAPIError,
        sqlalchemy_exc.TimeoutError,
        psycopg.Error,
        psycopg_pool.PoolTimeout,
        psycopg_pool.TooManyRequests,
    ):
        app.add_exception_handler(kind, _on_database_error)


async def _on_refusal(_request: Request, error: Exception) -> Response:
    return render(cast("WaybillError", error))


async def _on_invalid(_request: Request, error: Exception) -> Response:
    return render(invalid(field_problems(cast("RequestValidationError", error).errors())))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """The response to the framework's errors: no such route, no such method."""
    refused = cast("HTTPException", error)
    code, title = _HTTP_CODES.get(refused.status_code, (f"http_{refused.status_code}", "Refused"))
    detail = {
        404: f"there is no route {request.url.path}; see /docs for the list of routes",
        405: f"{request.method} is not supported here; see the Allow header",
    }.get(refused.status_code, str(refused.detail))
    return _document(refused.status_code, code, title, detail, headers=refused.headers)


async def _on_database_error(_request: Request, error: Exception) -> Response:
    if not is_unavailable(error) and not isinstance(error, psycopg_pool.PoolTimeout | psycopg_pool.TooManyRequests):
        raise error
    _log.warning("database_unavailable", error=type(error).__name__)
    return database_unavailable()


def _document(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    retry_after_seconds: int | None = None,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    members: dict[str, Any] = {
        "type": f"urn:waybill:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    trace_id = current_trace_id()
    if trace_id is not None:
        members["trace_id"] = trace_id
    sent = dict(headers or {})
    if retry_after_seconds is not None:
        sent["retry-after"] = str(retry_after_seconds)
    body = orjson.dumps({**members, **(extra or {})}, default=str)
    return Response(body, status, sent, MEDIA_TYPE)


def _challenge(error: Unauthenticated) -> str:
    # RFC 6750, section 3: no error code when the request carried no credentials at all.
    if error.code == "key_missing":
        return _CHALLENGE
    return f'{_CHALLENGE}, error="invalid_token", error_description="{error.code}"'
