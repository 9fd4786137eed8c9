import time
from collections.abc import Iterator

import pytest

from core.kit import telemetry
from core.kit.settings import Settings
from core.kit.telemetry import current_trace_id, current_traceparent, span
from core.kit.trace_context import parse_traceparent
from tests.factories.trace_collector import Collector, collecting

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        yield server
        telemetry.shutdown_tracing()


def test_outside_a_span_there_is_no_trace() -> None:
    assert current_traceparent() is None
    assert current_trace_id() is None


def test_ids_are_made_and_handed_on_without_an_exporter() -> None:
    with span("outer"):
        outer = current_traceparent()
        assert outer is not None
        with span("inner"):
            inner = current_traceparent()
            assert inner is not None
            assert inner.split("-")[1] == outer.split("-")[1]
            assert inner.split("-")[2] != outer.split("-")[2]
        assert current_traceparent() == outer
    assert current_traceparent() is None


def test_a_remote_parent_is_continued() -> None:
    with span("work", PARENT):
        continued = current_traceparent()
    assert continued is not None
    assert continued.split("-")[1] == PARENT.split("-")[1]
    assert continued.endswith("-01")
    with span("work", PARENT[:-2] + "00"):
        assert (current_traceparent() or "").endswith("-00")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        PARENT.upper(),
        PARENT + "-extra",
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        PARENT[:-1],
    ],
)
def test_a_malformed_traceparent_begins_a_new_trace(header: str | None) -> None:
    assert parse_traceparent(header) is None
    with span("work", header):
        assert current_trace_id() not in {None, PARENT.split("-")[1]}


def test_a_later_version_is_read_as_ours() -> None:
    assert parse_traceparent("01" + PARENT[2:] + "-future") is not None


def test_an_exception_passes_through() -> None:
    with pytest.raises(RuntimeError, match="boom"), span("work"):
        raise RuntimeError("boom")
    assert current_traceparent() is None


def test_spans_reach_a_collector_with_their_parents_and_without_error_texts(collector: Collector) -> None:
    telemetry.configure_tracing(Settings(), "test")
    with pytest.raises(RuntimeError), span("outer", PARENT, {"waybill.step": "s"}), span("inner"):
        raise RuntimeError("hunter2")
    telemetry.shutdown_tracing()
    spans = {found.name: found for found in collector.spans}
    assert spans["outer"].trace_id.hex() == PARENT.split("-")[1]
    assert spans["outer"].parent_span_id.hex() == PARENT.split("-")[2]
    assert spans["inner"].parent_span_id == spans["outer"].span_id
    attributes = {entry.key: entry.value.string_value for entry in spans["inner"].attributes}
    assert attributes["error.type"] == "RuntimeError"
    assert "hunter2" not in collector.text
    resource = collector.requests[0].resource_spans[0].resource
    names = {entry.key: entry.value.string_value for entry in resource.attributes}
    assert names["service.name"] == "waybill-test"


def test_an_unavailable_collector_does_not_hold_up_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    telemetry.configure_tracing(Settings(), "test")
    for _ in range(100):
        with span("work"):
            pass
    began = time.monotonic()
    telemetry.shutdown_tracing()
    assert time.monotonic() - began < 5
