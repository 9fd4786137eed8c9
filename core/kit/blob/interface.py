"""The interface of a blob store."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from core.kit.errors import NotFound, Unprocessable

CHUNK_BYTES = 256 * 1024
_KEY_MAX_CHARACTERS = 700


class BlobNotFound(NotFound):
    """No blob under this key."""

    default_code = "blob_not_found"


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A stored blob: its length in bytes and the hexadecimal SHA-256 of its content."""

    key: str
    size_bytes: int
    sha256: str
    content_type: str


class BlobStore(Protocol):
    """Keys are slash-separated paths; content is immutable bytes. Implementations are thread-safe."""

    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> BlobInfo:
        """Store `data`, replacing existing content; readers see the old or the new content, never a part."""

    def get(self, key: str) -> bytes:
        """The whole content. Raises `BlobNotFound`."""

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from byte `start` up to, not including, `end`, in chunks. Raises `BlobNotFound`."""

    def exists(self, key: str) -> bool:
        """Whether there is a blob under `key`."""

    def delete(self, key: str) -> None:
        """Remove the blob; removing one that does not exist is not an error."""

    def delete_prefix(self, prefix: str) -> int:
        """Remove every blob whose key starts with `prefix`; returns how many."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`, in order."""


def require_key(key: str) -> str:
    """Return `key` if it is a plain relative path. Raises `Unprocessable` for anything that could leave the store."""
    parts = key.split("/")
    if not key or len(key) > _KEY_MAX_CHARACTERS or "\\" in key or any(part in {"", ".", ".."} for part in parts):
        raise Unprocessable("a blob key is a relative path of plain names", code="invalid_blob_key")
    if any(ord(character) < 32 or ord(character) == 127 for character in key):  # noqa: PLR2004 - ASCII controls
        raise Unprocessable("a blob key holds no control characters", code="invalid_blob_key")
    return key
