"""Exports a process's spans: sampled, each with or after its parent, in batches of OpenTelemetry's SDK.

The SDK samples, batches and sends as its own variables specify. Spans and their encoding are ours
(`core.kit.recorded_span`, `core.kit.otlp`). Importing this loads the SDK, which takes a quarter of a second, so only
exporting processes do.
"""

import os
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, cast

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, set_span_in_context

from core.kit import semconv
from core.kit.otlp import spans_request
from core.kit.recorded_span import RecordedSpan
from core.kit.trace_context import span_below

# The maximum held below one parent; later spans are sent immediately.
_HELD_MAX = 1000
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
_EXPORT_TIMEOUT_SECONDS = 2.0
# Unsent spans are lost when a process is killed: fewer than with the SDK's five seconds.
_EXPORT_EVERY_MILLISECONDS = 1000
# With these samplers a span follows its parent's decision, so there is no need to call the sampler.
_FOLLOWS_PARENT = ("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")


class Recorder:
    """The spans of a process, from their start until they are handed to `processor`, each with or after its parent.

    If this process is killed, no span that it sent has a parent that it did not send, except parents with given ids,
    which another process can write.
    """

    def __init__(self, processor: SpanProcessor, sampler: Sampler, *, follows_parent: bool) -> None:
        self._processor = processor
        self._sampler = sampler
        self._follows_parent = follows_parent
        # The ended spans below each open span that no other process could write.
        self._held: dict[int, list[RecordedSpan]] = {}
        self._lock = Lock()

    def start(
        self,
        name: str,
        above: SpanContext,
        identity: SpanContext | None,
        *,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[SpanContext],
        start_nanoseconds: int | None,
    ) -> Span:
        """A started span below `above`, with the ids of `identity` if given; not recorded if not sampled."""
        parent = above if above.is_valid else None
        trace_id = above.trace_id if parent is not None else None if identity is None else identity.trace_id
        context = span_below(above, trace_id, None if identity is None else identity.span_id)
        if parent is None or not self._follows_parent:
            context = self._sampled(parent, context, name, kind=kind, attributes=attributes, links=links)
        if not context.trace_flags.sampled:
            return NonRecordingSpan(context)
        if identity is None:
            self._held[context.span_id] = []
        return RecordedSpan(
            name,
            context,
            parent,
            kind=kind,
            attributes=attributes,
            links=links,
            start_nanoseconds=start_nanoseconds,
            ended=self._end,
        )

    def shutdown(self) -> None:
        """Hand on spans that wait for their parent, and shut the processor down."""
        with self._lock:
            left = [span for held in self._held.values() for span in held]
            self._held.clear()
        self._hand_on(left)
        self._processor.shutdown()

    def flush(self) -> None:
        """Send ended spans. Those that wait for their parent keep waiting."""
        self._processor.force_flush()

    def _sampled(
        self,
        parent: SpanContext | None,
        own: SpanContext,
        name: str,
        *,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[SpanContext],
    ) -> SpanContext:
        """`own` with the sampler's decision."""
        above = None if parent is None else set_span_in_context(NonRecordingSpan(parent))
        linked = [Link(each) for each in links]
        decision = self._sampler.should_sample(above, own.trace_id, name, kind, attributes, linked).decision
        flags = TraceFlags(TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        return SpanContext(own.trace_id, own.span_id, is_remote=False, trace_flags=flags)

    def _end(self, span: RecordedSpan) -> None:
        with self._lock:
            ended = [span, *self._held.pop(span.context.span_id, ())]
            above = None if span.parent is None else self._held.get(span.parent.span_id)
            if above is not None and len(above) < _HELD_MAX:
                above += ended
                return
        self._hand_on(ended)

    def _hand_on(self, spans: Sequence[RecordedSpan]) -> None:
        for each in spans:
            # It batches them, and reads only a span's context.
            self._processor.on_end(cast("ReadableSpan", each))


class OtlpExporter(SpanExporter):
    """Sends our spans through the client of the SDK's exporter, with the target and timeout from its variables."""

    def __init__(self, resource: Resource) -> None:
        is_bounded = any(name in os.environ for name in _TIMEOUTS)
        self._resource = resource.attributes
        self._limits = SpanLimits()
        self._sdk = OTLPSpanExporter(timeout=None if is_bounded else _EXPORT_TIMEOUT_SECONDS)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        ours = cast("Sequence[RecordedSpan]", spans)
        request = spans_request(self._resource, semconv.SCHEMA_URL, ours, self._limits)
        sent = self._sdk._client.export(request)  # noqa: SLF001 - its public method encodes, which is what costs
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self._sdk.shutdown()  # type: ignore[no-untyped-call]


def recorder(service: str, environment: str) -> Recorder:
    """A recorder that sends the spans of ``waybill-<service>``."""
    resource = Resource.create({"service.name": f"waybill-{service}", "deployment.environment.name": environment})
    every = None if "OTEL_BSP_SCHEDULE_DELAY" in os.environ else _EXPORT_EVERY_MILLISECONDS
    # It reads the sampler from the environment. Its exit hook may block for 30 seconds; ours is bounded.
    sampler = TracerProvider(shutdown_on_exit=False).sampler
    wanted = os.environ.get("OTEL_TRACES_SAMPLER", _FOLLOWS_PARENT[0]).strip().lower()
    return Recorder(
        BatchSpanProcessor(OtlpExporter(resource), schedule_delay_millis=every),
        sampler,
        follows_parent=wanted in _FOLLOWS_PARENT,
    )
