"""Files schemas."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.files.content import UNKNOWN
from core.files.records import FileRecord, UploadRecord
from core.files.service import NAME_MAX_CHARACTERS
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import FILE, PROJECT, UPLOAD, encode

Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_MAX_CHARACTERS)]
_TYPE = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$"


class File(BaseModel):
    """A file that jobs of its project can read by its id."""

    id: str = Field(examples=["file_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    project_id: str
    name: str
    content_type: str = Field(description="The declared media type, unless the first bytes contradict it.")
    size_bytes: int
    sha256: str = Field(description="SHA-256 of the content, in hexadecimal.")
    data_class: DataClass = Field(description="The data class. Jobs that read the file have at least this class.")
    created_at: datetime
    expires_at: datetime | None = Field(description="When the file is deleted automatically.")


class FilePage(BaseModel):
    """A page of files, newest first."""

    data: list[File]
    next_cursor: str | None


class Label(BaseModel):
    """Fields of a file to change."""

    model_config = ConfigDict(extra="forbid")

    data_class: DataClass = Field(description="The data class.")


class BeginUpload(BaseModel):
    """A file to upload in parts."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    content_type: str = Field(UNKNOWN, pattern=_TYPE)
    size_bytes: int = Field(gt=0, description="Size of the whole file.")
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="SHA-256 of the whole file. Content with another digest is refused."
    )
    data_class: DataClass = Field(DataClass.INTERNAL, description="The data class.")


class Upload(BaseModel):
    """An upload in parts. The next part starts at byte `received_bytes`."""

    id: str = Field(examples=["upl_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    name: str
    content_type: str
    size_bytes: int
    received_bytes: int
    data_class: DataClass
    created_at: datetime
    expires_at: datetime = Field(description="An upload that is not completed by this time is deleted.")


def file_to_wire(file: FileRecord) -> dict[str, Any]:
    """`File` as JSON."""
    return {
        "id": encode(FILE, file.id),
        "project_id": encode(PROJECT, file.project_id),
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "data_class": file.data_class,
        "created_at": isoformat(file.created_at),
        "expires_at": None if file.expires_at is None else isoformat(file.expires_at),
    }


def upload_to_wire(upload: UploadRecord) -> dict[str, Any]:
    """`Upload` as JSON."""
    return {
        "id": encode(UPLOAD, upload.id),
        "name": upload.name,
        "content_type": upload.content_type,
        "size_bytes": upload.size_bytes,
        "received_bytes": upload.received_bytes,
        "data_class": upload.data_class,
        "created_at": isoformat(upload.created_at),
        "expires_at": isoformat(upload.expires_at),
    }
