"""Marks in files: front matter in Markdown, XMP in PDF, PNG and JPEG. Pixels and pages stay unchanged, byte for byte.

A file of another type, one that does not match its type, and one that is too large stay unchanged; then only the
job itself carries a mark.
"""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from core.guard.disclosure import Mark
from core.kit.json_values import dumps
from core.kit.logging import get_logger

_MAX_BYTES = 64 * 1024 * 1024
_FENCE = b"---\n"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_XMP = b"XML:com.adobe.xmp\0"
_JPEG = b"\xff\xd8"
_JPEG_MARKER, _JPEG_SCAN, _JPEG_APP1 = 0xFF, 0xDA, 0xE1
_JPEG_APPLICATIONS = range(0xE0, 0xF0)
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_SEGMENT_MAX_BYTES = 0xFFFF - 2
_log = get_logger(__name__)


def marked(content: bytes | Path, content_type: str, mark: Mark) -> bytes | Path:
    """`content` with `mark` in it."""
    write = _WRITERS.get(content_type.partition(";")[0].strip().lower())
    size_bytes = len(content) if isinstance(content, bytes) else content.stat().st_size
    if write is None or size_bytes > _MAX_BYTES:
        return content
    try:
        return write(content if isinstance(content, bytes) else content.read_bytes(), mark) or content
    except Exception as error:  # noqa: BLE001 - a file that no parser reads is still what the capability made
        _log.warning("artifact_not_marked", content_type=content_type, error=type(error).__name__)
        return content


def _markdown(content: bytes, mark: Mark) -> bytes:
    # Every JSON value is also a YAML value.
    lines = [f"{name}: {dumps(value).decode()}\n" for name, value in mark.plain().items() if value is not None]
    matter = "".join(lines).encode()
    body = content.removeprefix(_FENCE)
    has_matter = body is not content and (body.startswith(_FENCE) or b"\n" + _FENCE in body)
    return _FENCE + matter + (body if has_matter else _FENCE + b"\n" + content)


def _pdf(content: bytes, mark: Mark) -> bytes | None:
    from pypdf import PdfWriter
    from pypdf.generic import NameObject, StreamObject

    writer = PdfWriter(BytesIO(content), incremental=True)
    known = writer.root_object.get("/Metadata")
    packet = mark.xmp(known.get_object().get_data() if known is not None else None)
    if packet is None:
        return None
    stream = StreamObject()
    stream.set_data(packet)
    stream.update({NameObject("/Type"): NameObject("/Metadata"), NameObject("/Subtype"): NameObject("/XML")})
    writer.root_object[NameObject("/Metadata")] = writer._add_object(stream)  # noqa: SLF001 - there is no other way
    sink = BytesIO()
    writer.write(sink)
    return sink.getvalue()


def _png(content: bytes, mark: Mark) -> bytes | None:
    """An iTXt chunk before the pixels (PNG, 11.3.3.4; XMP specification part 3, 1.1.5)."""
    if not content.startswith(_PNG):
        return None
    chunks, at = [], len(_PNG)
    existing = None
    while at + 12 <= len(content):
        size = struct.unpack_from(">I", content, at)[0]
        chunk = content[at : at + 12 + size]
        at += 12 + size
        if chunk[4:8] == b"iTXt" and chunk[8:-4].startswith(_PNG_XMP):
            if chunk[8 + len(_PNG_XMP)] != 0:
                return None
            existing = chunk[8 + len(_PNG_XMP) + 4 : -4]
        else:
            chunks.append(chunk)
    packet = mark.xmp(existing)
    if packet is None or not chunks:
        return None
    # Not compressed, without a language or a translated keyword.
    data = b"iTXt" + _PNG_XMP + b"\0\0\0\0" + packet
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"".join([_PNG, chunks[0], chunk, *chunks[1:], content[at:]])


def _jpeg(content: bytes, mark: Mark) -> bytes | None:
    """An APP1 segment after the leading ones (XMP specification part 3, 1.1.3)."""
    if not content.startswith(_JPEG):
        return None
    segments, at = [], len(_JPEG)
    existing = None
    while at + 4 <= len(content) and content[at] == _JPEG_MARKER and content[at + 1] != _JPEG_SCAN:
        size = 2 + struct.unpack_from(">H", content, at + 2)[0]
        segment = content[at : at + size]
        at += size
        if segment[1] == _JPEG_APP1 and segment[4:].startswith(_JPEG_XMP):
            existing = segment[4 + len(_JPEG_XMP) :]
        else:
            segments.append(segment)
    packet = mark.xmp(existing)
    size = 2 + len(_JPEG_XMP) + len(packet or b"")
    if packet is None or not segments or size > _JPEG_SEGMENT_MAX_BYTES:
        return None
    packed = b"\xff\xe1" + struct.pack(">H", size) + _JPEG_XMP + packet
    # JFIF and Exif come first.
    first = next((index for index, each in enumerate(segments) if each[1] not in _JPEG_APPLICATIONS), len(segments))
    return b"".join([_JPEG, *segments[:first], packed, *segments[first:], content[at:]])


_WRITERS: dict[str, Callable[[bytes, Mark], bytes | None]] = {
    "text/markdown": _markdown,
    "application/pdf": _pdf,
    "image/png": _png,
    "image/jpeg": _jpeg,
}
