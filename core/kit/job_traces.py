"""The position of a job's spans in its trace: their ids are derived from what Postgres stores about the job.

The spans of a job, its attempts and their steps have ids that any process can compute. So each process can write spans
below them, and another process writes what a killed worker could not
(``docs/adr/0037-trace-ids-from-the-job.md``).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from types import MappingProxyType
from urllib.parse import quote
from uuid import UUID

from opentelemetry import context as otel_context
from opentelemetry.trace import SpanContext, TraceFlags

from core.kit import semconv
from core.kit.ids import JOB, ORGANIZATION, PROJECT, encode
from core.kit.trace_context import parse_traceparent

_SCOPE = otel_context.create_key("waybill-scope")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# Leaves a process as W3C baggage (https://www.w3.org/TR/baggage/). The job's id is sent wherever the job goes anyway.
_IN_BAGGAGE = (semconv.ORGANIZATION_ID, semconv.PROJECT_ID, semconv.CAPABILITY)

# The same few tenants recur constantly.
_known = lru_cache(4096)(encode)


@dataclass(frozen=True)
class TraceScope:
    """The owner of the work: attributes for every span of it, and the baggage that may be sent with it."""

    organization_id: UUID
    project_id: UUID | None = None
    capability: str | None = None
    job_id: UUID | None = None
    attempt: int | None = None

    @cached_property
    def attributes(self) -> Mapping[str, str | int]:
        """Span attributes, with prefixed ids."""
        known: dict[str, str | int | None] = {
            semconv.ORGANIZATION_ID: _known(ORGANIZATION, self.organization_id),
            semconv.PROJECT_ID: None if self.project_id is None else _known(PROJECT, self.project_id),
            semconv.CAPABILITY: self.capability,
            semconv.JOB_ID: None if self.job_id is None else encode(JOB, self.job_id),
            semconv.JOB_ATTEMPT: self.attempt,
        }
        return MappingProxyType({name: value for name, value in known.items() if value is not None})

    @property
    def baggage(self) -> str:
        """The value of a ``baggage`` header."""
        present = [(name, self.attributes[name]) for name in _IN_BAGGAGE if name in self.attributes]
        return ",".join(f"{name}={quote(str(value), safe='')}" for name, value in present)


@dataclass(frozen=True)
class JobTrace:
    """A job's position in its trace. `traceparent` is the span that submitted it, None for a trace of its own."""

    job_id: UUID
    traceparent: str | None

    @cached_property
    def parent(self) -> SpanContext | None:
        """The span that submitted the job."""
        return parse_traceparent(self.traceparent)

    @cached_property
    def context(self) -> SpanContext:
        """The job's own span."""
        above = self.parent
        trace_id = above.trace_id if above is not None else _number(16, "trace", self.job_id)
        flags = above.trace_flags if above is not None else _SAMPLED
        return SpanContext(trace_id, _number(8, "job", self.job_id), is_remote=True, trace_flags=flags)

    def attempt(self, number: int) -> SpanContext:
        """The span of attempt `number`, which counts from 1."""
        return self._below("attempt", number)

    def step(self, number: int, event_id: int) -> SpanContext:
        """The span of a step of attempt `number` that started with the event `event_id`."""
        return self._below("step", number, event_id)

    def of(self, job_id: UUID) -> SpanContext:
        """The span of another job of the same trace."""
        return replace(self, job_id=job_id, traceparent=self._any_below).context

    @property
    def _any_below(self) -> str:
        found = self.context
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"

    def _below(self, kind: str, *numbers: int) -> SpanContext:
        own = self.context
        span_id = _number(8, kind, self.job_id, *numbers)
        return SpanContext(own.trace_id, span_id, is_remote=True, trace_flags=own.trace_flags)


@contextmanager
def traced_for(scope: TraceScope) -> Iterator[None]:
    """In the block, and in threads that get its context, every span carries the attributes of `scope`."""
    token = otel_context.attach(otel_context.set_value(_SCOPE, scope))
    try:
        yield
    finally:
        otel_context.detach(token)


def current_scope() -> TraceScope | None:
    """The owner of the work that this code does."""
    found = otel_context.get_value(_SCOPE)
    return found if isinstance(found, TraceScope) else None


def current_baggage() -> str | None:
    """The ``baggage`` header for a server that the operator allows to know the work's owner; None outside any."""
    scope = current_scope()
    return None if scope is None else scope.baggage or None


def _number(size: int, kind: str, job_id: UUID, *numbers: int) -> int:
    name = f"{kind}:{job_id.hex}:{':'.join(map(str, numbers))}".encode()
    # Zero is not a valid id (https://www.w3.org/TR/trace-context/#trace-id).
    return int.from_bytes(blake2b(name, digest_size=size, person=b"waybill-trace").digest()) or 1
