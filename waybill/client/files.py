"""Files for jobs, and what jobs leave behind: upload, list, download, delete."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_FILES, _UPLOADS = "/v1/files", "/v1/file-uploads"
# Above this a file goes in parts, so that a broken connection costs one part.
PART_BYTES = 16 * 1024 * 1024
_UPLOAD_SECONDS = 120.0
_IDLE_SECONDS = 60.0


class File(Resource):
    """A file that jobs of its project may read by its id."""

    id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None


class Artifact(Resource):
    """A file that a job left behind."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str
    attempt: int
    url: str


class Files:
    """``/v1/files``, ``/v1/file-uploads`` and the artifacts of jobs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        path: Path,
        *,
        name: str | None = None,
        content_type: str = "application/octet-stream",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> File:
        """Send a file; above 16 MiB in parts. Raises `ApiProblem` 413 and 415, and FileNotFoundError."""
        size = path.stat().st_size
        with path.open("rb") as content:
            if size <= PART_BYTES:
                answer = self._transport.post(
                    _FILES,
                    content=content.read(),
                    headers={"Content-Type": content_type},
                    params={"name": name or path.name},
                    wait_seconds=_UPLOAD_SECONDS,
                )
                return File.model_validate(answer.json())
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            content.seek(0)
            body = {
                "name": name or path.name,
                "content_type": content_type,
                "size_bytes": size,
                "sha256": digest,
            }
            upload_id = self._transport.post(_UPLOADS, body).json()["id"]
            return self.resume(upload_id, content, on_progress=on_progress)

    def resume(
        self, upload_id: str, content: BinaryIO, *, on_progress: Callable[[int, int], None] | None = None
    ) -> File:
        """Go on with an upload in parts, from the byte at which it stands, and complete it. Raises `ApiProblem`."""
        where = f"{_UPLOADS}/{upload_id}"
        state = self._transport.get(where).json()
        while (done := state["received_bytes"]) < state["size_bytes"]:
            content.seek(done)
            state = self._transport.put_bytes(
                f"{where}/part",
                content.read(PART_BYTES),
                headers={"Upload-Offset": str(done)},
                wait_seconds=_UPLOAD_SECONDS,
            ).json()
            if on_progress is not None:
                on_progress(state["received_bytes"], state["size_bytes"])
        answer = self._transport.post(f"{where}/complete", wait_seconds=_UPLOAD_SECONDS)
        return File.model_validate(answer.json())

    def get(self, file_id: str) -> File:
        """A file's record. Raises `ApiProblem` 404."""
        return File.model_validate(self._transport.get(f"{_FILES}/{file_id}").json())

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[File]:
        """One page of the project's files, newest first."""
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        return Page[File].model_validate(self._transport.get(_FILES, params).json())

    def delete(self, file_id: str) -> None:
        """Remove a file. Raises `ApiProblem` 404."""
        self._transport.delete(f"{_FILES}/{file_id}")

    def download(self, file_id: str, into: BinaryIO) -> int:
        """Write a file's content; returns how many bytes. Raises `ApiProblem` 404, and OSError."""
        return self._fetch(f"{_FILES}/{file_id}/content", into)

    def artifacts(self, job_id: str) -> "tuple[Artifact, ...]":
        """What a job left behind, by name. Raises `ApiProblem` 404."""
        answer = self._transport.get(f"/v1/jobs/{job_id}/artifacts").json()
        return tuple(Artifact.model_validate(each) for each in answer["data"])

    def download_artifact(self, artifact: Artifact, into: BinaryIO) -> int:
        """Write an artifact's content; returns how many bytes."""
        return self._fetch(artifact.url, into)

    def _fetch(self, path: str, into: BinaryIO) -> int:
        with self._transport.stream(path, {}, {}, _IDLE_SECONDS) as response:
            return sum(into.write(chunk) for chunk in response.iter_bytes())
