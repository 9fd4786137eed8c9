"""Every refusal as one kind of document: RFC 9457 problem details with a stable ``code`` beside the status.

`install` covers our own errors, FastAPI's validation errors, the framework's 404, 405 and 413, an absent database, and
whatever nobody expected: that one answers 500 with the trace id and says nothing more.
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
    """One wrong field: where it is, what is wrong with it and what would be right."""

    path: str = Field(description="Where: `body.input.question`, `query.limit`, `path.job_id`.")
    code: str = Field(description="A stable word for the rule that was broken.")
    message: str = Field(description="What is wrong, and what would be right.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A URI that names the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="A sentence for a person.")
    code: str = Field(description="Stable; switch on this.")
    trace_id: str | None = Field(None, description="Quote this when you ask for help.")
    errors: list[FieldProblem] | None = Field(None, description="Present when fields are to blame.")


def render(error: WaybillError) -> Response:
    """The answer that tells a client about `error`."""
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
    """The answer to a failure of ours: the trace id, by which the log tells the rest, and nothing else."""
    detail = "something went wrong on our side; the same request may be sent again"
    return _document(500, "internal_error", "Internal error", detail)


def database_unavailable() -> Response:
    """The answer while Postgres is away or too busy."""
    detail = "the database does not answer; nothing was changed unless it had just been confirmed, so send it again"
    return _document(
        503,
        "database_unavailable",
        "Service unavailable",
        detail,
        retry_after_seconds=DATABASE_RETRY_SECONDS,
    )


def field_problems(errors: Sequence[Mapping[str, Any]], root: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The errors of pydantic as `FieldProblem` members; `root` is put in front of each path. Never quotes the input."""
    found = []
    for error in errors[:50]:
        location = (*root, *(str(part) for part in error["loc"]))
        found.append({"path": ".".join(location), "code": str(error["type"]), "message": str(error["msg"])})
    return found


def invalid(errors: list[dict[str, str]]) -> Unprocessable:
    """The refusal of a request whose fields are wrong."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Unprocessable(f"{first['path']}: {first['message']}{more}", errors=errors)


def install(app: FastAPI) -> None:
    """Make `app` answer every refusal with a problem document."""
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
    """The answer to what the framework refuses: no such route, no such method."""
    refused = cast("HTTPException", error)
    code, title = _HTTP_CODES.get(refused.status_code, (f"http_{refused.status_code}", "Refused"))
    detail = {
        404: f"there is nothing at {request.url.path}; the routes are listed at /docs",
        405: f"{request.method} is not offered here; see the Allow header",
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
