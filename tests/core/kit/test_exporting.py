from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from core.kit.exporting import Recorder
from core.kit.recorded_span import RecordedSpan

GIVEN = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=True, trace_flags=TraceFlags(1))
UNSAMPLED = SpanContext(GIVEN.trace_id, GIVEN.span_id, is_remote=True, trace_flags=TraceFlags(0))


class Tracing:
    """A recorder, and what it has let go of."""

    def __init__(self, sampler: Sampler = ALWAYS_ON, *, follows_parent: bool = True) -> None:
        self._exporter = InMemorySpanExporter()
        self.recorder = Recorder(SimpleSpanProcessor(self._exporter), sampler, follows_parent=follows_parent)
        self._current = INVALID_SPAN_CONTEXT

    def start(self, name: str, above: SpanContext | None = None, identity: SpanContext | None = None) -> Span:
        return self.recorder.start(
            name,
            above or self._current,
            identity,
            kind=SpanKind.INTERNAL,
            attributes={},
            links=[],
            start_nanoseconds=None,
        )

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        span, outer = self.start(name), self._current
        self._current = span.get_span_context()
        yield
        self._current = outer
        span.end()

    @property
    def sent(self) -> list[str]:
        return [span.name for span in self._exporter.get_finished_spans()]


@pytest.fixture
def tracing() -> Tracing:
    return Tracing()


def test_a_span_leaves_with_its_parent_and_not_before(tracing: Tracing) -> None:
    with tracing.inside("agent"):
        with tracing.inside("call"):
            with tracing.inside("retrieval"):
                pass
            assert tracing.sent == []
        assert tracing.sent == []
    assert tracing.sent == ["agent", "call", "retrieval"]


def test_below_a_span_that_others_can_write_a_span_leaves_at_once(tracing: Tracing) -> None:
    step = tracing.start("step", identity=GIVEN)
    assert (step.get_span_context().trace_id, step.get_span_context().span_id) == (GIVEN.trace_id, GIVEN.span_id)
    tracing.start("call", step.get_span_context()).end()
    tracing.start("remote", GIVEN).end()
    assert tracing.sent == ["call", "remote"]
    step.end()
    assert tracing.sent == ["call", "remote", "step"]


def test_a_parent_holds_so_many_and_the_end_of_the_process_all(tracing: Tracing) -> None:
    with tracing.inside("agent"):
        for number in range(1002):
            with tracing.inside(f"call {number}"):
                pass
        assert tracing.sent == ["call 1000", "call 1001"]
        tracing.recorder.shutdown()
        assert len(tracing.sent) == 1002


def test_the_decision_of_the_parent_holds_and_the_first_of_a_trace_asks_the_sampler() -> None:
    tracing = Tracing(ParentBased(ALWAYS_OFF))
    root, below, unsampled = tracing.start("root"), tracing.start("below", GIVEN), tracing.start("not", UNSAMPLED)
    assert [each.is_recording() for each in (root, below, unsampled)] == [False, True, False]
    assert not root.get_span_context().trace_flags.sampled
    assert unsampled.get_span_context().trace_id == GIVEN.trace_id


def test_a_sampler_that_does_not_follow_the_parent_is_asked_each_time() -> None:
    assert not Tracing(ALWAYS_OFF, follows_parent=False).start("below", GIVEN).is_recording()
    span = Tracing(ALWAYS_ON, follows_parent=False).start("below", UNSAMPLED)
    assert span.is_recording()
    assert span.get_span_context().trace_flags.sampled


def test_a_span_that_has_ended_stays_as_it_is(tracing: Tracing) -> None:
    span = tracing.start("done")
    span.set_status(StatusCode.OK)
    span.set_status(Status(StatusCode.ERROR, "hunter2"))
    span.end(9)
    span.end(10)
    span.set_attribute("late", 1)
    span.add_event("late")
    span.update_name("late")
    assert tracing.sent == ["done"]
    assert isinstance(span, RecordedSpan)
    assert (span.end_nanoseconds, span.attributes, span.events, span.status) == (9, {}, [], StatusCode.OK)


def test_an_exception_leaves_its_type_and_not_its_words(tracing: Tracing) -> None:
    span = tracing.start("work")
    span.record_exception(ValueError("hunter2"))
    with pytest.raises(ValueError, match="hunter2"), span:
        raise ValueError("hunter2")
    assert isinstance(span, RecordedSpan)
    assert span.status is StatusCode.ERROR
    assert "hunter2" not in str((span.attributes, span.events))
