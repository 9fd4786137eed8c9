"""Traces: W3C trace context from the HTTP request to the last step of a job, exported over OTLP when configured.

Exporting is configured by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its kin). Without them ids
are still made and handed on, at a few microseconds a span and with no SDK loaded, so that the logs of one job can be
joined and a downstream process that does export continues the same trace.
"""

import atexit
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
)

from core.kit import semconv
from core.kit.job_traces import current_baggage, current_scope
from core.kit.settings import Settings
from core.kit.trace_context import format_traceparent, parse_traceparent

Value = str | bool | int | float
Attributes = Mapping[str, Value]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
_EXPORT_TIMEOUT_SECONDS = 2.0
# What a killed process has not sent is lost: less than with the five seconds of the SDK.
_EXPORT_EVERY_MILLISECONDS = 1000
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
ROOT = INVALID_SPAN_CONTEXT
# The ids of the span that is being started, where they are not to be random.
_identity: ContextVar[SpanContext | None] = ContextVar("identity", default=None)


class _Tracing:
    """The exporting tracer of this process, if one is configured."""

    tracer: trace.Tracer | None = None
    provider: Any = None


def configure_tracing(settings: Settings, service: str) -> None:
    """Start exporting spans as ``waybill-<service>`` when an OTLP endpoint is configured; otherwise do nothing.

    Export happens in batches on a thread of its own and survives a fork. At exit what is left is sent, for at most
    about two seconds.
    """
    if _Tracing.tracer is not None or not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    # Loaded only where spans are exported: the SDK costs a quarter of a second at start.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from core.kit.exporting import GivenIds, ParentsFirst

    resource = Resource.create(
        {"service.name": f"waybill-{service}", "deployment.environment.name": settings.environment}
    )
    # The provider's own exit hook may block for 30 seconds on a collector that is away; ours is bounded.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=GivenIds(_identity.get))
    every = None if "OTEL_BSP_SCHEDULE_DELAY" in os.environ else _EXPORT_EVERY_MILLISECONDS
    is_bounded = any(name in os.environ for name in _TIMEOUTS)
    exporter = OTLPSpanExporter(timeout=None if is_bounded else _EXPORT_TIMEOUT_SECONDS)
    batches = BatchSpanProcessor(exporter, schedule_delay_millis=every)
    provider.add_span_processor(ParentsFirst(batches, _identity.get))
    _Tracing.provider = provider
    _Tracing.tracer = provider.get_tracer("waybill", schema_url=semconv.SCHEMA_URL)
    atexit.register(shutdown_tracing)


def shutdown_tracing() -> None:
    """Send what is buffered, for at most the exporter's own timeout of two seconds, and stop exporting."""
    provider, _Tracing.provider, _Tracing.tracer = _Tracing.provider, None, None
    if provider is not None:
        atexit.unregister(shutdown_tracing)
        provider.shutdown()


def current_traceparent() -> str | None:
    """The ``traceparent`` of the span this code runs in, or None outside any span."""
    context = trace.get_current_span().get_span_context()
    return format_traceparent(context) if context.is_valid else None


def trace_headers(*, baggage: bool) -> dict[str, str]:
    """The headers by which a server continues the present trace; with `baggage`, it learns whose work it does.

    For servers of the operator's own. Model providers and other servers outside get neither.
    """
    found = {"traceparent": current_traceparent(), "baggage": current_baggage() if baggage else None}
    return {name: value for name, value in found.items() if value}


def current_trace_id() -> str | None:
    """The trace id in hexadecimal of the span this code runs in, or None outside any span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def is_exporting() -> bool:
    """Whether this process exports spans: whether work is worth doing that only a span shows."""
    return _Tracing.tracer is not None


def nanoseconds(moment: datetime) -> int:
    """A time as spans have it."""
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

    Below `ROOT` it is the first of its trace. `identity` gives the span its ids. The span says whose work it is
    (`core.kit.job_traces.traced_for`). One that is not `is_recorded` has ids, and is not exported.
    """
    above = parent or parse_traceparent(traceparent)
    if _Tracing.tracer is None or not is_recorded:
        return NonRecordingSpan(identity or _below(above or trace.get_current_span().get_span_context()))
    scope = current_scope()
    if scope is not None:
        attributes = {**scope.attributes, **(attributes or {})}
    context = None if above is None else trace.set_span_in_context(NonRecordingSpan(above), otel_context.Context())
    token = _identity.set(identity)
    try:
        return _Tracing.tracer.start_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=[Link(each) for each in links],
            start_time=start_nanoseconds,
        )
    finally:
        _identity.reset(token)


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
    """A span of something that is over, by `ended` or by now; `error` is the type of what it ended with."""
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
    # Clocks of two machines differ.
    end = max(start, time.time_ns() if ended is None else nanoseconds(ended))
    for event, shown in events:
        span.add_event(event, shown, timestamp=end)
    if error is not None:
        mark_failed(span, error)
    span.end(end)


def mark_failed(span: Span, error: str) -> None:
    """`span` ended with an error of this type. Never the text of one, which may quote a payload."""
    span.set_attribute(semconv.ERROR_TYPE, error)
    span.set_status(StatusCode.ERROR)


def annotate(attributes: Attributes) -> None:
    """Say more of the span that this code runs in."""
    trace.get_current_span().set_attributes(attributes)


@contextmanager
def inside(span: Span) -> Iterator[None]:
    """Make `span` current for the block. It is not ended."""
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

    An exception marks the span with the exception's type; never with its text, which may quote a payload.
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


def _below(above: SpanContext) -> SpanContext:
    # Ids are not secrets; the module's generator is seeded anew after a fork.
    span_id = random.getrandbits(64) or 1
    if above.is_valid:
        return SpanContext(above.trace_id, span_id, is_remote=False, trace_flags=above.trace_flags)
    return SpanContext(random.getrandbits(128) or 1, span_id, is_remote=False, trace_flags=_SAMPLED)
