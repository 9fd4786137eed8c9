"""Limits how much of an error response is read: SDKs read all of it, and a server may send without end."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

# Providers' errors are a few hundred bytes; a proxy's page is a few thousand.
_MAX_BYTES = 64 * 1024
_ERROR = 400
# Encodings that expand by a factor of a thousand at most. Others expand without bound and are not requested.
ENCODINGS = "gzip, deflate"


def cut_errors(http: ModuleType) -> Callable[[Any], None]:
    """A response hook of `http` (httpx or its successor) that cuts the body of an error after 64 KiB as sent."""
    stream_class: Any = http.SyncByteStream

    class Cut(stream_class):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            left = _MAX_BYTES
            for piece in self._stream:
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    return

        def close(self) -> None:
            self._stream.close()

    def cut(response: Any) -> None:
        if response.status_code >= _ERROR:
            response.stream = Cut(response.stream)
            if response.headers.get("Content-Encoding", "").strip().lower() not in {"", *ENCODINGS.split(", ")}:
                del response.headers["Content-Encoding"]

    return cut
