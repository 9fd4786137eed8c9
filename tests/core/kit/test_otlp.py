"""Our bytes, read by the SDK's classes, say what the SDK's own encoder says of the same span."""

from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from core.kit.otlp import log_record, logs_request, spans_request
from core.kit.recorded_span import RecordedSpan

TRACE_ID, SPAN_ID, PARENT_ID = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, 0x00F067AA0BA902B7
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
RESOURCE: dict[str, Any] = {"service.name": "waybill-test", "process.pid": 7}
SCHEMA_URL = "https://example.com/schema"
ATTRIBUTES: dict[str, Any] = {
    "text": "grün",
    "empty": "",
    "long": "x" * 70_000,
    "yes": True,
    "no": False,
    "one": 1,
    "zero": 0,
    "negative": -3,
    "large": 2**63 - 1,
    "small": -(2**63),
    "one and a half": 1.5,
    "one as a float": 1.0,
    "texts": ("stop", "length"),
    "numbers": (1, 2, 300),
}


def context(span_id: int, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(TRACE_ID, span_id, is_remote=is_remote, trace_flags=SAMPLED)


def ours(name: str, parent: SpanContext | None, **given: Any) -> RecordedSpan:
    given = {"kind": SpanKind.INTERNAL, "attributes": {}, "links": (), "start_nanoseconds": 5, **given}
    return RecordedSpan(name, context(SPAN_ID), parent, ended=lambda _: None, **given)


def finish(span: Span) -> None:
    span.set_attributes({"later": "said"})
    span.add_event("evaluated", {"score": 0.5}, timestamp=2**63)
    span.set_status(StatusCode.ERROR)
    span.end(1_800_000_000_000_000_000)


@pytest.mark.parametrize("kind", list(SpanKind))
@pytest.mark.parametrize("parent", [None, context(PARENT_ID), context(PARENT_ID, is_remote=True)])
def test_a_span_is_encoded_as_the_sdk_would(kind: SpanKind, parent: SpanContext | None) -> None:
    link = context(PARENT_ID, is_remote=True)
    mine = ours("step plan", parent, kind=kind, attributes=ATTRIBUTES, links=[link])
    finish(mine)
    theirs = _sdk_span("step plan", parent, kind, link)
    encoded = spans_request(RESOURCE, SCHEMA_URL, [mine], SpanLimits())
    assert ExportTraceServiceRequest.FromString(encoded) == encode_spans([theirs])


def _sdk_span(name: str, parent: SpanContext | None, kind: SpanKind, link: SpanContext) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource(RESOURCE), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = provider.get_tracer("waybill", schema_url=SCHEMA_URL).start_span(
        name, kind=kind, attributes=ATTRIBUTES, links=[Link(link)], start_time=5
    )
    span._context, span._parent = context(SPAN_ID), parent  # type: ignore[attr-defined]
    finish(span)
    return exporter.get_finished_spans()[0]


def test_what_has_no_place_in_protobuf_is_shown_as_text() -> None:
    span = ours("odd", None, attributes={"huge": 2**70, "surrogate": "\ud800", "other": {"a": [object, None]}})
    read = ExportTraceServiceRequest.FromString(spans_request({}, "", [span], SpanLimits()))
    found = {each.key: each.value for each in read.resource_spans[0].scope_spans[0].spans[0].attributes}
    assert (found["huge"].string_value, found["surrogate"].string_value) == (str(2**70), "?")
    assert found["other"].kvlist_value.values[0].value.array_value.values[1].string_value == "None"


def test_a_span_says_no_more_than_the_limits_of_the_environment_allow() -> None:
    span = ours("full", None, attributes={f"a{number}": "x" * 9 for number in range(9)}, links=[context(1)] * 9)
    for _ in range(9):
        span.add_event("e")
    limits = SimpleNamespace(max_span_attributes=3, max_span_attribute_length=4, max_events=2, max_links=1)
    read = ExportTraceServiceRequest.FromString(spans_request({}, "", [span], limits))
    sent = read.resource_spans[0].scope_spans[0].spans[0]
    assert [each.value.string_value for each in sent.attributes] == ["xxxx"] * 3
    assert (len(sent.events), len(sent.links)) == (2, 1)


def test_one_one_point_zero_and_true_stay_different() -> None:
    spans = [ours("s", None, attributes={"same": value}) for value in (1, 1.0, True)]
    read = ExportTraceServiceRequest.FromString(spans_request({}, "", spans, SpanLimits()))
    kinds = [each.attributes[0].value.WhichOneof("value") for each in read.resource_spans[0].scope_spans[0].spans]
    assert kinds == ["int_value", "double_value", "bool_value"]


def test_a_log_record_keeps_its_trace_and_its_fields() -> None:
    ids = (TRACE_ID.to_bytes(16, "big"), SPAN_ID.to_bytes(8, "big"))
    encoded = logs_request(
        RESOURCE, [log_record(7, (9, "INFO"), "ran", {"n": 1}, ids), log_record(8, (17, "E"), "", {}, None)]
    )
    read = ExportLogsServiceRequest.FromString(encoded).resource_logs[0]
    first, second = read.scope_logs[0].log_records
    assert (first.time_unix_nano, first.observed_time_unix_nano, first.severity_number) == (7, 7, 9)
    assert (first.severity_text, first.body.string_value, first.flags) == ("INFO", "ran", 1)
    assert (first.trace_id, first.span_id, first.attributes[0].value.int_value) == (*ids, 1)
    assert (second.trace_id, second.severity_number) == (b"", 17)
    assert [each.key for each in read.resource.attributes] == list(RESOURCE)
