"""The part of the job's context that hands out uploaded files and keeps artifacts, as this capability uses it."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

from core.capability import JobContext
from core.kit.errors import CapabilityFailure


class UploadedFile(Protocol):
    """A file of the job's project, as a local file. `content_type` is what the uploader says it is."""

    @property
    def id(self) -> str:
        """Its id, ``file_…``."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def content_type(self) -> str:
        """Its media type."""

    @property
    def path(self) -> Path:
        """Where it lies for the time of the block."""


class FileContext(JobContext, Protocol):
    """A `JobContext` with files."""

    def open_file(self, file_id: str) -> AbstractContextManager[UploadedFile]:
        """The file for the time of the block."""

    def artifact(self, name: str, content: bytes | Path, content_type: str) -> Any:
        """Keep a file of the job's result; the same name again replaces it."""


def with_files(ctx: JobContext) -> FileContext:
    """`ctx`, which can open files. Raises `CapabilityFailure` (``files_unavailable``) where the worker cannot."""
    if not hasattr(ctx, "open_file") or not hasattr(ctx, "artifact"):
        raise CapabilityFailure(
            "This installation cannot open uploaded files; update its workers.", code="files_unavailable"
        )
    return cast("FileContext", ctx)
