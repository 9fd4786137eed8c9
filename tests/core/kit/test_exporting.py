from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, set_span_in_context

from core.kit.exporting import GivenIds, ParentsFirst

GIVEN = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=True, trace_flags=TraceFlags(1))
Start = Callable[[str], AbstractContextManager[Span]]


class Tracing:
    """A provider with our additions, and what it has let go of."""

    def __init__(self) -> None:
        self.identity: SpanContext | None = None
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(id_generator=GivenIds(lambda: self.identity), shutdown_on_exit=False)
        self.processor = ParentsFirst(SimpleSpanProcessor(self._exporter), lambda: self.identity)
        self.provider.add_span_processor(self.processor)
        self.start: Start = self.provider.get_tracer("test").start_as_current_span

    @property
    def sent(self) -> list[str]:
        return [span.name for span in self._exporter.get_finished_spans()]


@pytest.fixture
def tracing() -> Tracing:
    return Tracing()


def test_a_span_leaves_with_its_parent_and_not_before(tracing: Tracing) -> None:
    with tracing.start("agent"):
        with tracing.start("call"):
            with tracing.start("retrieval"):
                pass
            assert tracing.sent == []
        assert tracing.sent == []
    assert tracing.sent == ["agent", "call", "retrieval"]


def test_below_a_span_that_others_can_write_a_span_leaves_at_once(tracing: Tracing) -> None:
    tracing.identity = GIVEN
    step = tracing.provider.get_tracer("test").start_span("step")
    tracing.identity = None
    assert (step.get_span_context().trace_id, step.get_span_context().span_id) == (GIVEN.trace_id, GIVEN.span_id)
    tracer = tracing.provider.get_tracer("test")
    tracer.start_span("call", set_span_in_context(step)).end()
    tracer.start_span("remote", set_span_in_context(NonRecordingSpan(GIVEN))).end()
    assert tracing.sent == ["call", "remote"]
    step.end()
    assert tracing.sent == ["call", "remote", "step"]


def test_a_parent_holds_so_many_and_the_end_of_the_process_all(tracing: Tracing) -> None:
    with tracing.start("agent"):
        for number in range(1002):
            with tracing.start(f"call {number}"):
                pass
        assert tracing.sent == ["call 1000", "call 1001"]
        tracing.provider.shutdown()
        assert len(tracing.sent) == 1002
