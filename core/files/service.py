"""Files: register, read, delete, and assemble from parts.

Content goes into the blob store before its row is written: a crash in between leaves a blob that nothing refers to,
never a file without its content. The sweep removes content before rows, so it can be killed anywhere.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.files import repository
from core.files.content import HEAD_BYTES, settle_type
from core.files.errors import DigestMismatch, FileNotFound, OffsetMismatch, UploadIncomplete, UploadNotFound
from core.files.records import FileRecord, UploadRecord, blob_key, part_key, parts_prefix
from core.keys.principal import Principal
from core.kit.blob import BlobStore
from core.kit.data_classes import DataClass
from core.kit.db import Database, Executor
from core.kit.errors import PayloadTooLarge, Unprocessable
from core.kit.ids import FILE, UPLOAD, encode, new_id
from core.kit.scratch import scratch_folder
from core.kit.settings import Settings

NAME_MAX_CHARACTERS = 255
_UPLOAD_SECONDS = 86_400.0
_SWEPT_AT_ONCE = 200


class FileService:
    """The files of the caller's project."""

    def __init__(self, settings: Settings, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._days = settings.file_retention_days
        self._max_bytes = settings.file_max_bytes

    def store(
        self, project_id: UUID, content: BinaryIO, declared: str, file_id: UUID | None = None
    ) -> tuple[UUID, str, str]:
        """Store the content of a new file; returns its id (a new one, or `file_id`), its blob key and its media type.

        Raises `core.files.content.TypeMismatch`. Follow with `register`.
        """
        head = content.read(HEAD_BYTES)
        content.seek(0)
        kind = settle_type(declared, head)
        file_id = file_id or new_id()
        key = blob_key(project_id, file_id)
        self._blobs.put(key, content, kind)
        return file_id, key, kind

    def register(
        self,
        session: Session,
        principal: Principal,
        file_id: UUID,
        *,
        name: str,
        content_type: str,
        size_bytes: int,
        sha256: str,
        data_class: DataClass = DataClass.INTERNAL,
    ) -> FileRecord:
        """Register a stored file, with an audit record."""
        values = {
            "id": file_id,
            "name": check_name(name),
            "content_type": content_type,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "blob_key": blob_key(principal.project_id, file_id),
            "data_class": data_class,
        }
        made = repository.insert(session, principal, values, days=self._days)
        _audit(session, principal, AuditAction.FILE_CREATE, file_id, {"sha256": sha256, "size_bytes": str(size_bytes)})
        return made

    def get(self, executor: Executor, principal: Principal, file_id: UUID) -> FileRecord:
        """The file. Raises `FileNotFound` for unknown, expired and other projects' files alike."""
        found = repository.get(executor, principal, file_id)
        if found is None:
            raise FileNotFound(f"there is no file {encode(FILE, file_id)} in this project")
        return found

    def list(self, executor: Executor, principal: Principal, cursor: UUID | None, limit: int) -> list[FileRecord]:
        """The project's files, newest first, with ids below `cursor`."""
        return repository.list_files(executor, principal, cursor, limit)

    def label(self, session: Session, principal: Principal, file_id: UUID, data_class: DataClass) -> FileRecord:
        """Change the file's class, with an audit record. Raises `FileNotFound`."""
        had = repository.label(session, principal, file_id, data_class)
        if had is not None and had is not data_class:
            _audit(session, principal, AuditAction.FILE_UPDATE, file_id, {"from": had, "to": data_class})
        return self.get(session, principal, file_id)

    def delete(self, session: Session, principal: Principal, file_id: UUID) -> FileRecord:
        """Delete the file's row, with an audit record. Raises `FileNotFound`. Remove its blob before the commit."""
        gone = repository.delete(session, principal, file_id)
        if gone is None:
            raise FileNotFound(f"there is no file {encode(FILE, file_id)} in this project")
        _audit(session, principal, AuditAction.FILE_DELETE, file_id, {})
        return gone

    # Uploads in parts.

    def begin_upload(
        self,
        session: Session,
        principal: Principal,
        *,
        name: str,
        content_type: str,
        size_bytes: int,
        sha256: str | None,
        data_class: DataClass = DataClass.INTERNAL,
    ) -> UploadRecord:
        """Start an upload in parts, which must be completed within a day. Raises `PayloadTooLarge`."""
        if size_bytes > self._max_bytes:
            raise PayloadTooLarge(f"a file may have {self._max_bytes} bytes", max_bytes=self._max_bytes)
        values = {
            "id": new_id(),
            "name": check_name(name),
            "content_type": content_type,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "data_class": data_class,
        }
        return repository.begin_upload(session, principal, values, _UPLOAD_SECONDS)

    def upload(self, executor: Executor, principal: Principal, upload_id: UUID, *, lock: bool = False) -> UploadRecord:
        """The upload. Raises `UploadNotFound`."""
        found = repository.get_upload(executor, principal, upload_id, lock=lock)
        if found is None:
            raise UploadNotFound(f"there is no unfinished upload {encode(UPLOAD, upload_id)} in this project")
        return found

    def add_part(
        self,
        session: Session,
        principal: Principal,
        upload_id: UUID,
        *,
        offset: int,
        content: BinaryIO,
        size_bytes: int,
    ) -> int:
        """Store the part that starts at byte `offset`; returns how many bytes there are now.

        Raises `OffsetMismatch` unless it starts where the last one ended, and `Unprocessable` for more than declared.
        """
        found = self.upload(session, principal, upload_id, lock=True)
        if offset != found.received_bytes:
            message = f"the next part begins at byte {found.received_bytes}"
            raise OffsetMismatch(message, offset=found.received_bytes)
        received = offset + size_bytes
        if received > found.size_bytes:
            raise Unprocessable(
                f"the upload was announced with {found.size_bytes} bytes and this part would make it {received}",
                code="upload_too_long",
            )
        self._blobs.put(part_key(upload_id, offset), content, "application/octet-stream")
        repository.advance(session, principal, upload_id, offset, received)
        return received

    def complete(self, session: Session, principal: Principal, upload_id: UUID) -> FileRecord:
        """Join the parts into one file. Raises `UploadIncomplete`, `DigestMismatch` and `TypeMismatch`.

        Call `delete_parts` once the transaction is committed.
        """
        found = self.upload(session, principal, upload_id, lock=True)
        if found.received_bytes != found.size_bytes:
            raise UploadIncomplete(
                f"{found.received_bytes} of {found.size_bytes} bytes have come", offset=found.received_bytes
            )
        with tempfile.TemporaryFile() as whole:
            digest = hashlib.sha256()
            for part in self._blobs.list(parts_prefix(upload_id)):
                for chunk in self._blobs.open(part):
                    digest.update(chunk)
                    whole.write(chunk)
            whole.seek(0)
            stored = digest.hexdigest()
            file_id, key, kind = self.store(principal.project_id, cast("BinaryIO", whole), found.content_type)
        if found.sha256 is not None and stored != found.sha256:
            self._blobs.delete(key)
            message = f"what came has the SHA-256 {stored}, and {found.sha256} was announced; begin a new upload"
            raise DigestMismatch(message)
        repository.end_upload(session, principal, upload_id)
        return self.register(
            session,
            principal,
            file_id,
            name=found.name,
            content_type=kind,
            size_bytes=found.size_bytes,
            sha256=stored,
            data_class=found.data_class,
        )

    def abort(self, session: Session, principal: Principal, upload_id: UUID) -> None:
        """End an upload that will not be completed. Raises `UploadNotFound`. Call `delete_parts` afterwards."""
        self.upload(session, principal, upload_id, lock=True)
        repository.end_upload(session, principal, upload_id)

    def delete_parts(self, upload_id: UUID) -> None:
        """Remove the parts of an upload that has ended."""
        self._blobs.delete_prefix(parts_prefix(upload_id))


@contextmanager
def local_copy(blobs: BlobStore, file: FileRecord) -> Iterator[Path]:
    """The file's content as a local file for the time of the block. Raises `BlobNotFound`."""
    with scratch_folder() as folder:
        path = folder / "content"
        with path.open("wb") as written:
            for chunk in blobs.open(file.blob_key):
                written.write(chunk)
        yield path


def sweep(database: Database, blobs: BlobStore) -> int:
    """Remove expired files and unfinished uploads; returns how many."""
    with database.system() as session:
        gone = repository.expired(session, _SWEPT_AT_ONCE)
        for file in gone:
            blobs.delete(file.blob_key)
        repository.delete_rows(session, [file.id for file in gone])
        uploads = repository.abandoned(session, _SWEPT_AT_ONCE)
        for upload_id in uploads:
            blobs.delete_prefix(parts_prefix(upload_id))
        repository.delete_uploads(session, uploads)
    return len(gone) + len(uploads)


def check_name(name: str) -> str:
    """A file's name as it is stored: the last part of a path, printable. Raises `Unprocessable`."""
    last = name.replace("\\", "/").rpartition("/")[2].strip()
    if not last or last in {".", ".."} or len(last) > NAME_MAX_CHARACTERS or not last.isprintable():
        message = f"a file's name has 1 to {NAME_MAX_CHARACTERS} printable characters"
        raise Unprocessable(message, errors=[{"path": "query.name", "code": "file_name", "message": message}])
    return last


def _audit(session: Session, principal: Principal, action: AuditAction, file_id: UUID, detail: dict[str, Any]) -> None:
    record(
        session,
        principal.organization_id,
        principal.project_id,
        action,
        subject_id=encode(FILE, file_id),
        actor=principal.actor,
        detail=detail,
    )
