"""Blobs as files below one folder. A write goes to a temporary file, is flushed to disk, and is then renamed."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from core.kit.blob.interface import CHUNK_BYTES, BlobInfo, BlobNotFound, require_key


class LocalBlobStore:
    """Implements `BlobStore`; for one machine, or for a shared file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> BlobInfo:
        """Store `data` durably, replacing existing content."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        source = BytesIO(data) if isinstance(data, bytes) else data
        digest = hashlib.sha256()
        size = 0
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".put-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return BlobInfo(key, size, digest.hexdigest(), content_type)

    def get(self, key: str) -> bytes:
        """The whole content. Raises `BlobNotFound`."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise _missing(key) from error

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from `start` up to `end`, in chunks. Raises `BlobNotFound`."""
        try:
            file = self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError) as error:
            raise _missing(key) from error
        return _read(file, start, end)

    def exists(self, key: str) -> bool:
        """Whether there is a blob under `key`."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Remove the blob if it exists."""
        self._path(key).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> int:
        """Remove every blob whose key starts with `prefix`; returns how many."""
        keys = list(self.list(prefix))
        for key in keys:
            self.delete(key)
        folder = self._folder / prefix.rstrip("/")
        if prefix.endswith("/") and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        return len(keys)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`, in order."""
        found = sorted(
            path.relative_to(self._folder).as_posix()
            for path in self._folder.rglob("*")
            if path.is_file() and not path.name.startswith(".put-")
        )
        return (key for key in found if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        return self._folder / require_key(key)


def _read(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = None if end is None else max(0, end - start)
        while left is None or left > 0:
            chunk = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk


def _missing(key: str) -> BlobNotFound:
    return BlobNotFound(f"there is no blob {key}")
