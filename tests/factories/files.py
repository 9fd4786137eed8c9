"""Local files as the uploads of a `RecordingContext`."""

import mimetypes
from pathlib import Path

from core.kit.ids import FILE, encode, new_id
from tests.factories.context import RecordingContext


def upload(ctx: RecordingContext, path: Path, content_type: str | None = None) -> str:
    """Make `path` a file of the job's project; returns its id."""
    file_id = encode(FILE, new_id())
    kind = content_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    ctx.files[file_id] = (path.name, kind, path)
    return file_id
