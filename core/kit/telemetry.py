"""Traces: W3C trace context from the HTTP request to the last step of a job, exported over OTLP when configured.

Exporting is configured by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and related). Without them ids
are still created and passed on, at a few microseconds per span and without loading the SDK, so that the logs of one job
can be joined and a downstream process that does export continues the same trace.
"""

import atexit
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
)

from core.kit import semconv
from core.kit.job_traces import current_baggage, current_scope
from core.kit.settings import Settings
from core.kit.trace_context import format_traceparent, parse_traceparent, span_below

if TYPE_CHECKING:
    from core.kit.exporting import Recorder

Value = str | bool | int | float
Attributes = Mapping[str, Value]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
ROOT = INVALID_SPAN_CONTEXT


class _Tracing:
    """Records and exports the spans of this process, if a collector is configured."""

    recorder: "Recorder | None" = None


def configure_tracing(settings: Settings, service: str) -> None:
    """Start exporting spans as ``waybill-<service>`` when an OTLP endpoint is configured; otherwise do nothing.

    Export happens in batches on its own thread and survives a fork. At exit remaining spans are sent, for at most
    about two seconds.
    """
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if _Tracing.recorder is not None or is_disabled or not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    # Loaded only where spans are exported: the SDK costs a quarter of a second at start.
    from core.kit.exporting import recorder

    _Tracing.recorder = recorder(service, settings.environment)
    atexit.register(shutdown_tracing)


def shutdown_tracing() -> None:
    """Send buffered spans, for at most the exporter's own timeout of two seconds, and stop exporting."""
    recorder, _Tracing.recorder = _Tracing.recorder, None
    if recorder is not None:
        atexit.unregister(shutdown_tracing)
        recorder.shutdown()


def current_traceparent() -> str | None:
    """The ``traceparent`` of the span this code runs in, or None outside any span."""
    context = trace.get_current_span().get_span_context()
    return format_traceparent(context) if context.is_valid else None


def trace_headers(*, baggage: bool) -> dict[str, str]:
    """The headers with which a server continues the current trace; `baggage` also names the owner of the work.

    For the operator's own servers. Model providers and other external servers get neither.
    """
    found = {"traceparent": current_traceparent(), "baggage": current_baggage() if baggage else None}
    return {name: value for name, value in found.items() if value}


def current_trace_id() -> str | None:
    """The trace id in hexadecimal of the span this code runs in, or None outside any span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def is_exporting() -> bool:
    """Whether this process exports spans, so that work for the sake of spans is worthwhile."""
    return _Tracing.recorder is not None


def nanoseconds(moment: datetime) -> int:
    """A time in the unit of spans."""
    return int(moment.timestamp() * 1_000_000) * 1000


def start_span(
    name: str,
    *,
    traceparent: str | None = None,
    parent: SpanContext | None = None,
    identity: SpanContext | None = None,
    attributes: Attributes | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[SpanContext] = (),
    start_nanoseconds: int | None = None,
    is_recorded: bool = True,
) -> Span:
    """A started span below `parent` or `traceparent`, else below the current one, *not* made current; the caller ends.

    Below `ROOT` it is the first of its trace. `identity` gives the span its ids. The span carries the owner of its work
    (`core.kit.job_traces.traced_for`). One that is not `is_recorded` has ids, but is not exported.
    """
    above = parent or parse_traceparent(traceparent) or trace.get_current_span().get_span_context()
    recorder = _Tracing.recorder
    if recorder is None or not is_recorded:
        return NonRecordingSpan(identity or span_below(above))
    scope = current_scope()
    said = attributes or {}
    return recorder.start(
        name,
        above,
        identity,
        kind=kind,
        attributes=said if scope is None else {**scope.attributes, **said},
        links=links,
        start_nanoseconds=start_nanoseconds,
    )


def record_span(
    name: str,
    *,
    parent: SpanContext,
    identity: SpanContext | None = None,
    attributes: Attributes,
    began: datetime,
    ended: datetime | None = None,
    error: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[SpanContext] = (),
    events: Sequence[tuple[str, Attributes]] = (),
) -> None:
    """A span of completed work that ended at `ended` or now; `error` is the type of the error that ended it."""
    start = nanoseconds(began)
    span = start_span(
        name,
        parent=parent,
        identity=identity,
        attributes=attributes,
        kind=kind,
        links=links,
        start_nanoseconds=start,
    )
    # The clocks of two machines differ.
    end = max(start, time.time_ns() if ended is None else nanoseconds(ended))
    for event, shown in events:
        span.add_event(event, shown, timestamp=end)
    if error is not None:
        mark_failed(span, error)
    span.end(end)


def mark_failed(span: Span, error: str) -> None:
    """Mark that `span` ended with an error of this type. Never its text, which may quote job content."""
    span.set_attribute(semconv.ERROR_TYPE, error)
    span.set_status(StatusCode.ERROR)


def annotate(attributes: Attributes) -> None:
    """Add attributes to the current span."""
    trace.get_current_span().set_attributes(attributes)


@contextmanager
def inside(span: Span) -> Iterator[None]:
    """Make `span` current for the block without ending it."""
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        otel_context.detach(token)


@contextmanager
def span(
    name: str,
    traceparent: str | None = None,
    attributes: Attributes | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Iterator[Span]:
    """Run the block inside a span below `traceparent`, or below the current span when None.

    An exception marks the span with the exception's type; never with its text, which may quote job content.
    """
    opened = start_span(name, traceparent=traceparent, attributes=attributes, kind=kind)
    try:
        with inside(opened):
            yield opened
    except BaseException as error:
        mark_failed(opened, type(error).__qualname__)
        raise
    finally:
        opened.end()
