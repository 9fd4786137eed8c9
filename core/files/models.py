"""Uploaded files, and uploads that have not ended yet."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.data_classes import DataClass
from core.kit.db import DATA_CLASS, Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)


class FileRow(Base):
    """A whole file. Its content is in the blob store and never changes."""

    __tablename__ = "files"
    __table_args__ = (
        Index("files_project", "project_id", "id"),
        Index("files_expired", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
        CheckConstraint("size_bytes > 0", name="files_size"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(TEXT)
    content_type: Mapped[str] = mapped_column(TEXT)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(TEXT)
    blob_key: Mapped[str] = mapped_column(TEXT)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    expires_at: Mapped[datetime | None] = mapped_column(_TIME)
    data_class: Mapped[DataClass] = mapped_column(DATA_CLASS, server_default=text("'internal'"))


class FileUploadRow(Base):
    """An upload in parts: `received_bytes` of `size_bytes` have arrived, one blob per part, named by its offset."""

    __tablename__ = "file_uploads"
    __table_args__ = (
        Index("file_uploads_expired", "expires_at"),
        CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="file_uploads_received"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(TEXT)
    content_type: Mapped[str] = mapped_column(TEXT)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(TEXT)
    received_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(_TIME)
    data_class: Mapped[DataClass] = mapped_column(DATA_CLASS, server_default=text("'internal'"))
