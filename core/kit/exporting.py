"""Our additions to OpenTelemetry's SDK: ids that follow from a job, and no span that leaves before its parent.

Importing this loads the SDK, a quarter of a second: only a process that exports does.
"""

from collections.abc import Callable
from threading import Lock

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext

# A parent holds no more than this; what comes after leaves at once.
_HELD_MAX = 1000
Identity = Callable[[], SpanContext | None]


class GivenIds(RandomIdGenerator):
    """The ids that `identity` says for the span that is being started, and random ones where it says none."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def generate_span_id(self) -> int:
        """See `RandomIdGenerator`."""
        given = self._identity()
        return super().generate_span_id() if given is None else given.span_id

    def generate_trace_id(self) -> int:
        """See `RandomIdGenerator`."""
        given = self._identity()
        return super().generate_trace_id() if given is None else given.trace_id


class ParentsFirst(SpanProcessor):
    """Hands ended spans on, each with or after its parent.

    Where this process is killed, nothing of what it has sent hangs below a span that it has not: except below spans
    with given ids, which another process can write.
    """

    def __init__(self, inner: SpanProcessor, identity: Identity) -> None:
        self._inner = inner
        self._identity = identity
        # Of each open span that no other process could write: what ended below it.
        self._held: dict[int, list[ReadableSpan]] = {}
        self._lock = Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See `SpanProcessor`."""
        if self._identity() is None:
            with self._lock:
                self._held[_id_of(span)] = []
        self._inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """See `SpanProcessor`."""
        with self._lock:
            ended = [span, *self._held.pop(_id_of(span), ())]
            above = None if span.parent is None else self._held.get(span.parent.span_id)
            if above is not None and len(above) < _HELD_MAX:
                above += ended
                return
        for each in ended:
            self._inner.on_end(each)

    def shutdown(self) -> None:
        """See `SpanProcessor`."""
        with self._lock:
            left = [span for held in self._held.values() for span in held]
            self._held.clear()
        for each in left:
            self._inner.on_end(each)
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanProcessor`. What waits for its parent goes on waiting."""
        return self._inner.force_flush(timeout_millis)


def _id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id
