"""The outermost layer: trace, access log and metrics of every request, and the response to unexpected errors.

Pure ASGI, one object per application and one call per request: it costs microseconds, and streams pass unbuffered.
"""

from time import perf_counter
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problem
from core.kit import semconv
from core.kit.job_traces import TraceScope
from core.kit.logging import get_logger
from core.kit.metrics import HTTP_DURATION, HTTP_REQUESTS
from core.kit.metrics.families import exemplar
from core.kit.telemetry import is_exporting, start_span

_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_SERVER_ERROR = 500
_EVENT_STREAM = b"text/event-stream"
_log = get_logger(__name__)


class Observed:
    """Wraps an application; see the module."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass a lifespan on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(scope, send).run(self._app, receive)


class _Exchange:
    """One request and its outcome."""

    __slots__ = ("_is_stream", "_scope", "_send", "_status", "_trace_id")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._status = 0
        self._is_stream = False
        self._trace_id = b""

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        """Serve, then record."""
        began = perf_counter()
        scope = self._scope
        span = start_span(
            scope["method"],
            traceparent=_header(scope, b"traceparent"),
            attributes={semconv.HTTP_METHOD: scope["method"], semconv.URL_PATH: scope["path"]},
            kind=SpanKind.SERVER,
            # Probes and scrapes come every few seconds and belong to no trace.
            is_recorded=scope["path"] not in _QUIET,
        )
        self._trace_id = trace.format_trace_id(span.get_span_context().trace_id).encode()
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            await self._serve(app, receive)
        finally:
            route = _route(scope)
            seconds = perf_counter() - began
            span.update_name(f"{scope['method']} {route}")
            span.set_attribute(semconv.HTTP_ROUTE, route)
            span.set_attribute(semconv.HTTP_STATUS, self._status)
            if (scope_of_caller := self._scope_of_caller()) is not None:
                # The key identifies the caller, whatever baggage the request carries.
                span.set_attributes(scope_of_caller.attributes)
            if self._status >= _SERVER_ERROR:
                span.set_status(StatusCode.ERROR)
            self._record(route, seconds)
            otel_context.detach(token)
            span.end()

    def _scope_of_caller(self) -> TraceScope | None:
        principal = self._scope.get("state", {}).get("principal")
        if principal is None or not is_exporting():
            return None
        return TraceScope(principal.organization_id, principal.project_id if principal.has_project else None)

    async def _serve(self, app: ASGIApp, receive: Receive) -> None:
        try:
            await app(self._scope, receive, self._observe)
        except Exception:
            _log.exception("request_failed", method=self._scope["method"], path=self._scope["path"])
            if self._status:
                # The response has started: close the connection, so that no client takes a part for the whole.
                raise
            await problem.unexpected()(self._scope, receive, self._observe)

    async def _observe(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message.get("headers", ()))
            self._is_stream = any(value.startswith(_EVENT_STREAM) for name, value in headers if name == b"content-type")
            headers.append((b"x-request-id", self._trace_id))
            rates = self._scope.get("state", {}).get("rates")
            if rates is not None:
                headers.append((b"ratelimit-policy", rates.policy_header().encode()))
                headers.append((b"ratelimit", rates.state_header().encode()))
            message["headers"] = headers
        await self._send(message)

    def _record(self, route: str, seconds: float) -> None:
        method = self._scope["method"] if self._scope["method"] in _METHODS else "OTHER"
        HTTP_REQUESTS.labels(method, route, f"{self._status // 100}xx").inc()
        if not self._is_stream:
            HTTP_DURATION.labels(method, route).observe(seconds, exemplar())
        log = _log.debug if route in _QUIET else _log.info
        fields: dict[str, Any] = {}
        principal = self._scope.get("state", {}).get("principal")
        if principal is not None and principal.has_project:
            fields["project_id"] = str(principal.project_id)
        log(
            "http_request",
            method=method,
            route=route,
            path=self._scope["path"],
            status=self._status,
            duration_ms=round(seconds * 1000, 2),
            **fields,
        )


def _route(scope: Scope) -> str:
    """The template of the route that answered: a bounded label, unlike the path."""
    found = scope.get("route")
    return getattr(found, "path", None) or "unmatched"


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            text: str = value.decode("latin-1")
            return text
    return None
