"""Several blobs read as one."""

import io
from collections.abc import Iterator, Sequence

from core.kit.blob import BlobStore


class Joined(io.RawIOBase):
    """The contents of `keys`, one after the other, as a readable stream."""

    def __init__(self, blobs: BlobStore, keys: Sequence[str]) -> None:
        super().__init__()
        self._chunks = _chunks(blobs, keys)
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` as far as the next chunk goes; 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _chunks(blobs: BlobStore, keys: Sequence[str]) -> Iterator[bytes]:
    for key in keys:
        yield from blobs.open(key)
