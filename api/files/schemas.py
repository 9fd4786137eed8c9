"""Files on the wire."""

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
    """A file that jobs of its project may read, by its id."""

    id: str = Field(examples=["file_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    project_id: str
    name: str
    content_type: str = Field(description="As declared, where the first bytes do not contradict it.")
    size_bytes: int
    sha256: str = Field(description="Hexadecimal, of the content.")
    data_class: DataClass = Field(description="How sensitive it is; jobs that read it are of this class at least.")
    created_at: datetime
    expires_at: datetime | None = Field(description="When it is removed by itself.")


class FilePage(BaseModel):
    """A page of files, newest first."""

    data: list[File]
    next_cursor: str | None


class Label(BaseModel):
    """What is to change of a file."""

    model_config = ConfigDict(extra="forbid")

    data_class: DataClass = Field(description="How sensitive it is.")


class BeginUpload(BaseModel):
    """A file that will come in parts."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    content_type: str = Field(UNKNOWN, pattern=_TYPE)
    size_bytes: int = Field(gt=0, description="Of the whole file.")
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="Of the whole file; what arrives otherwise is refused."
    )
    data_class: DataClass = Field(DataClass.INTERNAL, description="How sensitive it is.")


class Upload(BaseModel):
    """An upload in parts. Send the next part from byte `received_bytes` on."""

    id: str = Field(examples=["upl_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    name: str
    content_type: str
    size_bytes: int
    received_bytes: int
    data_class: DataClass
    created_at: datetime
    expires_at: datetime = Field(description="What has not been completed by then is gone.")


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
