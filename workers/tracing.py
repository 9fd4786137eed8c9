"""The spans of a running attempt: its own, those of its steps, and its job's once the job has ended."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from opentelemetry.trace import Span, SpanKind

from core.capability import JobSuspended, LeaseLost
from core.jobs.records import Ended, Event, JobRecord
from core.jobs.traces import write_end
from core.kit import semconv
from core.kit.job_traces import JobTrace, TraceScope, traced_for
from core.kit.telemetry import Attributes, Value, inside, mark_failed, start_span
from pipelines.registry import version_of


class AttemptTrace:
    """The spans of one attempt.

    An attempt that lost its lease writes none of its open spans: the process that took the lease does
    (`core.jobs.traces.write_swept`).
    """

    def __init__(self, job: JobRecord) -> None:
        self._job = job
        self._place = JobTrace(job.id, job.traceparent)
        self._evaluations: list[tuple[str, Attributes]] = []
        self._span: Span | None = None
        # The job's state, once the attempt's end is stored.
        self.ended: Ended | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """The attempt, from its claim. `end` reports how it ended; without that, its span is not written."""
        job = self._job
        scope = TraceScope(job.organization_id, job.project_id, job.capability, job.id, job.attempt)
        with traced_for(scope):
            self._span = start_span(
                f"attempt {job.attempt}",
                parent=self._place.context,
                identity=self._place.attempt(job.attempt),
                kind=SpanKind.CONSUMER,
                # A retry links to the attempt that it repeats, and a resumed one to the attempt that it continues.
                links=[self._place.attempt(job.attempt - 1)] if job.attempt > 1 else [],
            )
            with inside(self._span):
                yield

    def join(self, child_id: UUID) -> None:
        """Link to the child job whose result the attempt continues with."""
        if self._span is not None:
            self._span.add_link(self._place.of(child_id))

    def evaluate(self, name: str, score: float, label: str | None = None) -> None:
        """Add scores to the job's span."""
        shown: dict[str, Value] = {semconv.EVALUATION_NAME: name, semconv.EVALUATION_SCORE: score}
        if label is not None:
            shown[semconv.EVALUATION_LABEL] = label
        self._evaluations.append((semconv.EVALUATION_EVENT, shown))

    def end(self, event: Event) -> None:
        """The attempt ended with `event`; if its job has too, write the job's span."""
        span = self._span
        if span is None:
            return
        span.set_attribute(semconv.OUTCOME, event.type)
        error = event.data.get("error")
        if isinstance(error, Mapping) and event.type != "job.waiting":
            mark_failed(span, str(error.get("code", event.type)))
        span.end()
        if self.ended is not None and event.is_final:
            write_end(self._job, self.ended, version_of, self._evaluations)

    @contextmanager
    def step(self, name: str, event_id: int) -> Iterator[None]:
        """A step that began with the event `event_id`."""
        span = start_span(
            f"step {name}",
            identity=self._place.step(self._job.attempt, event_id),
            attributes={semconv.STEP: name},
        )
        try:
            with inside(span):
                yield
        except LeaseLost:
            raise
        except JobSuspended:
            # Suspended, to start again later: no error.
            span.end()
            raise
        except BaseException as error:
            mark_failed(span, type(error).__qualname__)
            span.end()
            raise
        else:
            span.end()
