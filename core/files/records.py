"""Files as services hand them around."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.kit.data_classes import DataClass


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A whole file; `sha256` is hexadecimal, `blob_key` its place in the blob store."""

    id: UUID
    project_id: UUID
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    blob_key: str
    created_at: datetime
    expires_at: datetime | None
    data_class: DataClass = DataClass.INTERNAL


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """An upload in parts, of which `received_bytes` of `size_bytes` have arrived."""

    id: UUID
    project_id: UUID
    name: str
    content_type: str
    size_bytes: int
    sha256: str | None
    received_bytes: int
    created_at: datetime
    expires_at: datetime
    data_class: DataClass = DataClass.INTERNAL


def blob_key(project_id: UUID, file_id: UUID) -> str:
    """The blob key of a file's content."""
    return f"files/{project_id}/{file_id}"


def parts_prefix(upload_id: UUID) -> str:
    """The blob key prefix of an upload's parts."""
    return f"uploads/{upload_id}/"


def part_key(upload_id: UUID, offset: int) -> str:
    """The blob key of the part that starts at byte `offset`; sorts by offset."""
    return f"{parts_prefix(upload_id)}{offset:020d}"
