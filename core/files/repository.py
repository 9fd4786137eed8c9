"""The SQL of files. Every statement names the project, besides row-level security."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.files.records import FileRecord, UploadRecord
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import Executor

_FILE = "id, project_id, name, content_type, size_bytes, sha256, blob_key, created_at, expires_at, data_class"
_UPLOAD = "id, project_id, name, content_type, size_bytes, sha256, received_bytes, created_at, expires_at, data_class"

_INSERT = text(f"""
INSERT INTO files (id, organization_id, project_id, name, content_type, size_bytes, sha256, blob_key, data_class,
  expires_at)
VALUES (:id, :organization_id, :project_id, :name, :content_type, :size_bytes, :sha256, :blob_key, :data_class,
  now() + make_interval(days => CAST(:days AS int)))
RETURNING {_FILE}
""")
_GET = text(
    f"SELECT {_FILE} FROM files WHERE id = :id AND project_id = :project_id AND organization_id = :organization_id"
    " AND (expires_at IS NULL OR expires_at > now())"
)
_LIST = text(
    f"SELECT {_FILE} FROM files WHERE project_id = :project_id AND organization_id = :organization_id"
    " AND (expires_at IS NULL OR expires_at > now()) AND (CAST(:cursor AS uuid) IS NULL OR id < :cursor)"
    " ORDER BY id DESC LIMIT :limit"
)
_LABEL = text(
    "UPDATE files SET data_class = :data_class WHERE id = :id AND project_id = :project_id"
    " AND organization_id = :organization_id AND (expires_at IS NULL OR expires_at > now()) RETURNING old.data_class"
)
_DELETE = text(
    f"DELETE FROM files WHERE id = :id AND project_id = :project_id AND organization_id = :organization_id"
    f" RETURNING {_FILE}"
)
_EXPIRED = text(
    f"SELECT {_FILE} FROM files WHERE expires_at <= now() ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED"
)
_DELETE_ROWS = text("DELETE FROM files WHERE id = ANY(:ids)")

_BEGIN = text(f"""
INSERT INTO file_uploads (id, organization_id, project_id, name, content_type, size_bytes, sha256, data_class,
  expires_at)
VALUES (:id, :organization_id, :project_id, :name, :content_type, :size_bytes, :sha256, :data_class,
  now() + make_interval(secs => :seconds))
RETURNING {_UPLOAD}
""")
_UPLOADING = (
    f"SELECT {_UPLOAD} FROM file_uploads WHERE id = :id AND project_id = :project_id"
    " AND organization_id = :organization_id AND expires_at > now()"
)
_GET_UPLOAD = text(_UPLOADING)
_LOCK_UPLOAD = text(f"{_UPLOADING} FOR UPDATE")
_ADVANCE = text(
    "UPDATE file_uploads SET received_bytes = :received WHERE id = :id AND project_id = :project_id"
    " AND organization_id = :organization_id AND received_bytes = :offset"
)
_END_UPLOAD = text(
    "DELETE FROM file_uploads WHERE id = :id AND project_id = :project_id AND organization_id = :organization_id"
)
_ABANDONED = text(
    "SELECT id FROM file_uploads WHERE expires_at <= now() ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED"
)
_DELETE_UPLOADS = text("DELETE FROM file_uploads WHERE id = ANY(:ids)")


def _scope(principal: Principal, **given: Any) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "project_id": principal.project_id, **given}


def _file(row: Row[Any]) -> FileRecord:
    return FileRecord(**{**row._asdict(), "data_class": DataClass(row.data_class)})


def _upload(row: Row[Any]) -> UploadRecord:
    return UploadRecord(**{**row._asdict(), "data_class": DataClass(row.data_class)})


def insert(session: Session, principal: Principal, values: dict[str, Any], *, days: int | None) -> FileRecord:
    """Register a file that is in the blob store; with `days` it expires that many days from now."""
    return _file(session.execute(_INSERT, _scope(principal, **values, days=days)).one())


def get(executor: Executor, principal: Principal, file_id: UUID) -> FileRecord | None:
    """A file of the project that has not expired."""
    row = executor.execute(_GET, _scope(principal, id=file_id)).one_or_none()
    return None if row is None else _file(row)


def list_files(executor: Executor, principal: Principal, cursor: UUID | None, limit: int) -> list[FileRecord]:
    """The project's files, newest first, with ids below `cursor`."""
    rows = executor.execute(_LIST, _scope(principal, cursor=cursor, limit=limit))
    return [_file(row) for row in rows]


def label(session: Session, principal: Principal, file_id: UUID, data_class: DataClass) -> DataClass | None:
    """Change the file's class; returns the previous one, or None when there is no such file."""
    had = session.execute(_LABEL, _scope(principal, id=file_id, data_class=data_class)).scalar_one_or_none()
    return None if had is None else DataClass(had)


def delete(session: Session, principal: Principal, file_id: UUID) -> FileRecord | None:
    """Remove the row; returns it."""
    row = session.execute(_DELETE, _scope(principal, id=file_id)).one_or_none()
    return None if row is None else _file(row)


def expired(session: Session, limit: int) -> list[FileRecord]:
    """Expired files of every tenant, locked. Needs `Database.system`."""
    return [_file(row) for row in session.execute(_EXPIRED, {"limit": limit})]


def delete_rows(session: Session, ids: list[UUID]) -> None:
    """Remove the rows of files whose content is gone. Needs `Database.system`."""
    session.execute(_DELETE_ROWS, {"ids": ids})


def begin_upload(session: Session, principal: Principal, values: dict[str, Any], seconds: float) -> UploadRecord:
    """Register an upload that expires after `seconds`."""
    return _upload(session.execute(_BEGIN, _scope(principal, **values, seconds=seconds)).one())


def get_upload(executor: Executor, principal: Principal, upload_id: UUID, *, lock: bool = False) -> UploadRecord | None:
    """An unexpired upload of the project."""
    row = executor.execute(_LOCK_UPLOAD if lock else _GET_UPLOAD, _scope(principal, id=upload_id)).one_or_none()
    return None if row is None else _upload(row)


def advance(session: Session, principal: Principal, upload_id: UUID, offset: int, received: int) -> bool:
    """Count a part; False when another one came first."""
    given = _scope(principal, id=upload_id, offset=offset, received=received)
    return bool(session.execute(_ADVANCE, given).rowcount)  # type: ignore[attr-defined]


def end_upload(session: Session, principal: Principal, upload_id: UUID) -> None:
    """Remove an upload."""
    session.execute(_END_UPLOAD, _scope(principal, id=upload_id))


def abandoned(session: Session, limit: int) -> list[UUID]:
    """Expired uploads of every tenant, locked. Needs `Database.system`."""
    return [row.id for row in session.execute(_ABANDONED, {"limit": limit})]


def delete_uploads(session: Session, ids: list[UUID]) -> None:
    """Remove uploads whose parts are gone. Needs `Database.system`."""
    session.execute(_DELETE_UPLOADS, {"ids": ids})
