"""Files for jobs, and what jobs leave behind: upload, list, download, delete."""

# Written by `python -m waybill.client.generate` from aio/files.py: change that, and run it again.

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from waybill.client.bodies import given
from waybill.client.errors import Conflict
from waybill.client.models import Artifact, File, FileUpload, Page
from waybill.client.sync.endpoints import Endpoints
from waybill.client.sync.waiting import blocking
from waybill.client.wire import parsed

_FILES, _UPLOADS = "/v1/files", "/v1/file-uploads"
# Above this a file goes in parts, so that a broken connection costs one part.
PART_BYTES = 16 * 1024 * 1024
_UPLOAD_SECONDS = 120.0
_IDLE_SECONDS = 60.0


class Files(Endpoints):
    """``/v1/files``, ``/v1/file-uploads`` and the artifacts of jobs."""

    def upload(
        self,
        path: Path,
        *,
        name: str | None = None,
        content_type: str = "application/octet-stream",
        data_class: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> File:
        """Send a file; above 16 MiB in parts. Raises `InvalidRequest` and FileNotFoundError.

        `data_class` says how sensitive it is; jobs that read it are of this class at least.
        """
        with blocking(_open, path) as content:
            size = os.fstat(content.fileno()).st_size
            if size <= PART_BYTES:
                return self._post(
                    File,
                    _FILES,
                    content=blocking(content.read),
                    headers={"Content-Type": content_type},
                    params=given(name=name or path.name, data_class=data_class),
                    wait_seconds=_UPLOAD_SECONDS,
                )
            digest = blocking(_digest, path)
            body = given(
                name=name or path.name,
                content_type=content_type,
                size_bytes=size,
                sha256=digest,
                data_class=data_class,
            )
            begun = self._post(FileUpload, _UPLOADS, body)
            return self.resume(begun.id, content, on_progress=on_progress)

    def resume(
        self, upload_id: str, content: BinaryIO, *, on_progress: Callable[[int, int], None] | None = None
    ) -> File:
        """Resume an upload in parts from the last stored byte, and complete it. Raises `ApiProblem`."""
        where = f"{_UPLOADS}/{upload_id}"
        state = self._get(FileUpload, where)
        while state.received_bytes < state.size_bytes:
            state = self._send_part(where, state, blocking(_part, content, state.received_bytes))
            if on_progress is not None:
                on_progress(state.received_bytes, state.size_bytes)
        return self._post(File, f"{where}/complete", wait_seconds=_UPLOAD_SECONDS)

    def abandon(self, upload_id: str) -> None:
        """Give up an upload in parts. Raises `NotFound`."""
        self._transport.delete(f"{_UPLOADS}/{upload_id}")

    def get(self, file_id: str) -> File:
        """A file's record. Raises `NotFound`."""
        return self._get(File, f"{_FILES}/{file_id}")

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[File]:
        """One page of the project's files, newest first."""
        params = given(limit=limit, cursor=cursor)
        return self._get(Page[File], _FILES, params)

    def label(self, file_id: str, data_class: str) -> File:
        """Give a file another class. Raises `NotFound`."""
        return self._patch(File, f"{_FILES}/{file_id}", {"data_class": data_class})

    def delete(self, file_id: str) -> None:
        """Remove a file. Raises `NotFound`."""
        self._transport.delete(f"{_FILES}/{file_id}")

    def download(self, file_id: str, into: BinaryIO) -> int:
        """Write a file's content; returns how many bytes. Raises `NotFound`, and OSError."""
        return self._fetch(f"{_FILES}/{file_id}/content", into)

    def artifacts(self, job_id: str) -> "tuple[Artifact, ...]":
        """What a job left behind, by name. Raises `NotFound`."""
        found = self._get(Page[Artifact], f"/v1/jobs/{job_id}/artifacts")
        return tuple(found.data)

    def download_artifact(self, artifact: Artifact, into: BinaryIO) -> int:
        """Write an artifact's content; returns how many bytes."""
        return self._fetch(artifact.url, into)

    def _fetch(self, path: str, into: BinaryIO) -> int:
        size = 0
        with self._transport.stream(path, {}, {}, _IDLE_SECONDS) as body:
            while (piece := body.read()) is not None:
                size += blocking(into.write, piece)
        return size

    def _send_part(self, where: str, state: FileUpload, part: bytes) -> FileUpload:
        try:
            answer = self._transport.put_bytes(
                f"{where}/part",
                part,
                headers={"Upload-Offset": str(state.received_bytes)},
                wait_seconds=_UPLOAD_SECONDS,
            )
        except Conflict:
            # A part whose answer was lost on the way is refused the second time: it is there.
            now = self._get(FileUpload, where)
            if now.received_bytes <= state.received_bytes:
                raise
            return now
        return parsed(FileUpload, answer)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _part(content: BinaryIO, offset: int) -> bytes:
    content.seek(offset)
    return content.read(PART_BYTES)
