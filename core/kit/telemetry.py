"""Traces: W3C trace context from the HTTP request to the last step of a job, exported over OTLP when configured.

Exporting is configured by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its kin). Without them ids
are still made and handed on, at a few microseconds a span and with no SDK loaded, so that the logs of one job can be
joined and a downstream process that does export continues the same trace.
"""

import atexit
import os
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from core.kit.settings import Settings

Attributes = Mapping[str, str | bool | int | float]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORT_TIMEOUT_SECONDS = 2.0
# https://www.w3.org/TR/trace-context/#traceparent-header-field-values: version 00, and later versions read as 00.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


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

    resource = Resource.create(
        {"service.name": f"waybill-{service}", "deployment.environment.name": settings.environment}
    )
    # The provider's own exit hook may block for 30 seconds on a collector that is away; ours is bounded.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_EXPORT_TIMEOUT_SECONDS)))
    _Tracing.provider = provider
    _Tracing.tracer = provider.get_tracer("waybill")
    atexit.register(shutdown_tracing)


def shutdown_tracing() -> None:
    """Send what is buffered, for at most the exporter's own timeout of two seconds, and stop exporting."""
    provider, _Tracing.provider, _Tracing.tracer = _Tracing.provider, None, None
    if provider is not None:
        atexit.unregister(shutdown_tracing)
        provider.shutdown()


def parse_traceparent(text: str | None) -> SpanContext | None:
    """The remote span named by a ``traceparent`` header; None when it is absent or malformed (W3C Trace Context)."""
    found = _TRACEPARENT.fullmatch(text) if text else None
    if found is None or (found[1] == "00" and found[5]):
        return None
    context = SpanContext(
        int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=TraceFlags(int(found[4], 16))
    )
    return context if context.is_valid else None


def format_traceparent(context: SpanContext) -> str:
    """The ``traceparent`` header of `context`."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & TraceFlags.SAMPLED:02x}"


def current_traceparent() -> str | None:
    """The ``traceparent`` of the span this code runs in, or None outside any span."""
    context = trace.get_current_span().get_span_context()
    return format_traceparent(context) if context.is_valid else None


def current_trace_id() -> str | None:
    """The trace id in hexadecimal of the span this code runs in, or None outside any span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def start_span(
    name: str,
    *,
    traceparent: str | None = None,
    attributes: Attributes | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Span:
    """A started span below `traceparent`, or below the current span, that is *not* made current; the caller ends it."""
    remote = parse_traceparent(traceparent)
    if _Tracing.tracer is not None:
        parent = trace.set_span_in_context(NonRecordingSpan(remote)) if remote is not None else None
        return _Tracing.tracer.start_span(name, context=parent, kind=kind, attributes=attributes)
    above = remote or trace.get_current_span().get_span_context()
    # Ids are not secrets; the module's generator is seeded anew after a fork.
    span_id = random.getrandbits(64) or 1
    if above.is_valid:
        return NonRecordingSpan(SpanContext(above.trace_id, span_id, is_remote=False, trace_flags=above.trace_flags))
    trace_id = random.getrandbits(128) or 1
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED))


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
    token = otel_context.attach(trace.set_span_in_context(opened))
    try:
        yield opened
    except BaseException as error:
        opened.set_attribute("error.type", type(error).__qualname__)
        opened.set_status(StatusCode.ERROR)
        raise
    finally:
        otel_context.detach(token)
        opened.end()
