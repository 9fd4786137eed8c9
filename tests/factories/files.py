"""A `JobContext` with files in memory of the test: opens local files, and keeps artifacts in a dictionary."""

import hashlib
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.kit.errors import CapabilityFailure
from core.kit.ids import encode, new_id
from tests.factories.context import RecordingContext


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An uploaded file."""

    id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class KeptArtifact:
    """What `artifact` returns."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass
class FilesContext(RecordingContext):
    """Adds ``open_file`` and ``artifact`` to the recording context. `opened` are the ids in the order of opening."""

    files: dict[str, LocalFile] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)

    def upload(self, path: Path, content_type: str | None = None) -> str:
        """Make `path` a file of the project; returns its id."""
        data = path.read_bytes()
        kind = content_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        file = LocalFile(encode("file", new_id()), path.name, kind, len(data), hashlib.sha256(data).hexdigest(), path)
        self.files[file.id] = file
        return file.id

    @contextmanager
    def open_file(self, file_id: str) -> Iterator[LocalFile]:
        if file_id not in self.files:
            raise CapabilityFailure("There is no such file.", code="file_not_found")
        self.opened.append(file_id)
        yield self.files[file_id]

    def artifact(self, name: str, content: bytes | Path, content_type: str) -> KeptArtifact:
        data = content if isinstance(content, bytes) else content.read_bytes()
        self.artifacts[name] = data
        return KeptArtifact(name, content_type, len(data), hashlib.sha256(data).hexdigest())

    def next_attempt(self) -> "FilesContext":
        before = super().next_attempt()
        return FilesContext(
            **{name: getattr(before, name) for name in before.__dataclass_fields__},
            files=self.files,
            artifacts=self.artifacts,
        )
