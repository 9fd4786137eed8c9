"""The ``traceparent`` header of W3C Trace Context, read and written."""

import random
import re

from opentelemetry.trace import SpanContext, TraceFlags

# https://www.w3.org/TR/trace-context/#traceparent-header-field-values: version 00, and later versions read as 00.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


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


def span_below(above: SpanContext, trace_id: int | None = None, span_id: int | None = None) -> SpanContext:
    """The context of a span below `above`, or of the first of a trace below an invalid one; missing ids are random."""
    # Ids are not secrets; the module's generator is reseeded after a fork.
    span_id = span_id or random.getrandbits(64) or 1
    if above.is_valid:
        return SpanContext(trace_id or above.trace_id, span_id, is_remote=False, trace_flags=above.trace_flags)
    return SpanContext(trace_id or random.getrandbits(128) or 1, span_id, is_remote=False, trace_flags=_SAMPLED)
