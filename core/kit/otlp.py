"""Spans and log records as OTLP's protobuf messages, written field by field.

Every span of an installation is encoded here, and most attributes repeat: each is encoded once and its bytes cached.
Field numbers are those of opentelemetry-proto 1.x (``trace/v1/trace.proto``, ``logs/v1/logs.proto``,
``common/v1/common.proto``); the wire format is https://protobuf.dev/programming-guides/encoding/.
"""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from opentelemetry.trace import SpanContext

from core.kit.recorded_span import RecordedSpan

_SCOPE = "waybill"
_SEVEN_BITS = 0x7F
_CACHED_MAX = 8192
_CACHED_LENGTH_MAX = 200
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_fixed64 = struct.Struct("<Q").pack
_times = struct.Struct("<BQBQ").pack
_double = struct.Struct("<d").pack
_flags = struct.Struct("<I").pack


class Limits(Protocol):
    """Limits on a span's content, as the SDK's ``SpanLimits`` reads them from the environment; None for no limit."""

    max_span_attributes: int | None
    max_span_attribute_length: int | None
    max_events: int | None
    max_links: int | None


def spans_request(resource: Mapping[str, Any], schema_url: str, spans: Iterable[RecordedSpan], limits: Limits) -> bytes:
    """An ``ExportTraceServiceRequest`` with `spans` of one process, in their order."""
    encoded = b"".join([_field(0x12, _span(span, limits)) for span in spans])
    return _request(resource, _field(0x0A, _text(0x0A, _SCOPE)) + encoded + _text(0x1A, schema_url))


def logs_request(resource: Mapping[str, Any], records: Iterable[bytes]) -> bytes:
    """An ``ExportLogsServiceRequest`` with `records`, each as `log_record` makes it."""
    return _request(resource, b"".join([_field(0x12, record) for record in records]))


def log_record(
    nanoseconds: int,
    severity: tuple[int, str],
    body: str,
    attributes: Mapping[str, Any],
    ids: tuple[bytes, bytes] | None,
) -> bytes:
    """A ``LogRecord``; `severity` is its number, below 128, and its text, `ids` those of its trace and its span."""
    parts = [
        _times(0x09, nanoseconds, 0x59, nanoseconds),
        b"\x10" + bytes((severity[0],)) + _text(0x1A, severity[1]),
        _field(0x2A, _text(0x0A, body)),
        *_attributes(0x32, attributes),
    ]
    if ids is not None:
        parts.append(b"\x45\x01\x00\x00\x00" + _field(0x4A, ids[0]) + _field(0x52, ids[1]))
    return b"".join(parts)


def _request(resource: Mapping[str, Any], scoped: bytes) -> bytes:
    described = _field(0x0A, b"".join(_attributes(0x0A, resource)))
    return _field(0x0A, described + _field(0x12, scoped))


def _span(span: RecordedSpan, limits: Limits) -> bytes:
    context, parent = span.context, span.parent
    end = span.end_nanoseconds or span.start_nanoseconds
    parts = [
        b"\x0a\x10%b\x12\x08%b" % (context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")),
        b"" if parent is None else b"\x22\x08" + parent.span_id.to_bytes(8, "big"),
        _text(0x2A, span.name),
        b"\x30" + bytes((span.kind.value + 1,)),
        _times(0x39, span.start_nanoseconds, 0x41, end),
        *_attributes(0x4A, span.attributes, limits.max_span_attributes, limits.max_span_attribute_length),
        *[_field(0x5A, _event(*each)) for each in span.events[: limits.max_events]],
        *[_field(0x6A, _link(each)) for each in span.links[: limits.max_links]],
        b"\x7a\x02\x18" + bytes((span.status.value,)) if span.status.value else b"\x7a\x00",
        b"\x85\x01" + _flags(_remoteness(parent)),
    ]
    return b"".join(parts)


def _event(name: str, nanoseconds: int, attributes: Mapping[str, Any]) -> bytes:
    return b"".join([b"\x09" + _fixed64(nanoseconds), _text(0x12, name), *_attributes(0x1A, attributes)])


def _link(context: SpanContext) -> bytes:
    ids = (context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big"))
    return b"\x0a\x10%b\x12\x08%b\x35%b" % (*ids, _flags(_remoteness(context)))


def _remoteness(context: SpanContext | None) -> int:
    return _HAS_IS_REMOTE | (_IS_REMOTE if context is not None and context.is_remote else 0)


def _attributes(
    tag: int, attributes: Mapping[str, Any], most: int | None = None, length_max: int | None = None
) -> list[bytes]:
    encoded = []
    # Running code may still add to them.
    for key, value in list(attributes.items())[:most]:
        kind = type(value)
        shown = value[:length_max] if kind is str else value
        is_short = len(shown) <= _CACHED_LENGTH_MAX if kind is str else kind in {int, bool}
        encoded.append(_cached(tag, key, shown) if is_short else _attribute(tag, key, shown))
    return encoded


def _attribute(tag: int, key: str, value: Any) -> bytes:
    return _field(tag, _text(0x0A, key) + _field(0x12, _value(value)))


_cached = lru_cache(_CACHED_MAX, typed=True)(_attribute)


def _value(value: Any) -> bytes:
    """An ``AnyValue``; a value of any other type becomes text."""
    match value:
        case bool():
            found = b"\x10\x01" if value else b"\x10\x00"
        case int() if -(2**63) <= value < 2**63:
            found = b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        case float():
            found = b"\x21" + _double(value)
        case Mapping():
            found = _field(0x32, b"".join([_attribute(0x0A, str(key), each) for key, each in value.items()]))
        case list() | tuple():
            found = _field(0x2A, b"".join([_field(0x0A, _value(each)) for each in value]))
        case _:
            found = _text(0x0A, str(value))
    return found


def _text(tag: int, text: str) -> bytes:
    # Protobuf cannot encode a lone surrogate.
    return _field(tag, text.encode("utf-8", "replace"))


def _field(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size <= _SEVEN_BITS:
        return bytes((tag, size)) + content
    return bytes((tag,)) + _varint(size) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > _SEVEN_BITS:
        found.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
