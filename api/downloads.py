"""Sends stored files, whole or one byte range, and never as content that a browser would execute."""

import re
from collections.abc import Iterator
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from core.files.records import FileRecord
from core.jobs.artifacts import ArtifactRecord
from core.kit.blob import BlobStore
from core.kit.data_classes import DataClass
from core.kit.errors import WaybillError

# RFC 9110, section 14.1.2. Several ranges in one request get the whole file, as the RFC allows.
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


class RangeNotSatisfiable(WaybillError):
    """The range starts after the end of the file."""

    status, title, default_code = 416, "Range not satisfiable", "range_not_satisfiable"


def send(request: Request, blobs: BlobStore, stored: FileRecord | ArtifactRecord, data_class: DataClass) -> Response:
    """The file, or the range that the request names (206), or 304 when the client has it. The ETag is the digest.

    `data_class` goes along as ``Waybill-Data-Class``.

    Raises `RangeNotSatisfiable`, and `core.kit.blob.BlobNotFound` before anything is sent.
    """
    etag = f'"{stored.sha256}"'
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "waybill-data-class": data_class,
        "cache-control": "private, no-cache",
        # The browser must never execute an uploaded file as a page of this origin.
        "content-disposition": f"attachment; filename*=UTF-8''{quote(stored.name, safe='')}",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    span = _span(request, stored.size_bytes, etag)
    if span is None:
        start, end, status = 0, stored.size_bytes, 200
    else:
        (start, end), status = span, 206
        headers["content-range"] = f"bytes {start}-{end - 1}/{stored.size_bytes}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=stored.content_type)
    chunks = blobs.open(stored.blob_key, start, end)
    return StreamingResponse(_all(chunks), status, headers, stored.content_type)


def _span(request: Request, size_bytes: int, etag: str) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if found is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(size_bytes, int(last) + 1) if last else size_bytes
    if start >= size_bytes or start >= end:
        raise RangeNotSatisfiable(f"the file has {size_bytes} bytes", size_bytes=size_bytes)
    return start, end


def _all(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
