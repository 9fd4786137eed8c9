"""The audit trail as stored: an inbox, sealed records, their seals, and the personal values that can be erased.

No foreign key ties them: partitions of records must be droppable. `core.audit.verification` is the check instead.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_TIME = TIMESTAMP(timezone=True)


class AuditInbox(Base):
    """A record from the moment it is written, in the transaction of the act it records, until it is sealed."""

    __tablename__ = "audit_inbox"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID | None]
    recorded_at: Mapped[datetime] = mapped_column(_TIME, server_default=text("clock_timestamp()"))
    action: Mapped[str] = mapped_column(TEXT)
    subject_id: Mapped[str] = mapped_column(TEXT)
    actor_kind: Mapped[str] = mapped_column(TEXT)
    actor_id: Mapped[str | None] = mapped_column(TEXT)
    attempt: Mapped[int | None]
    payload_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))


class AuditRecord(Base):
    """A sealed record: the inbox row, its place in the organization's sequence, and its leaf in the seal's tree."""

    __tablename__ = "audit_records"
    __table_args__ = (
        CheckConstraint("sequence >= 1", name="audit_records_sequence"),
        Index("audit_records_id", "organization_id", "id"),
        Index("audit_records_subject", "organization_id", "subject_id", "id"),
        Index("audit_records_actor", "organization_id", "actor_id", "id"),
        {"postgresql_partition_by": "RANGE (seal_id)"},
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    seal_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    project_id: Mapped[UUID | None]
    recorded_at: Mapped[datetime] = mapped_column(_TIME)
    action: Mapped[str] = mapped_column(TEXT)
    subject_id: Mapped[str] = mapped_column(TEXT)
    actor_kind: Mapped[str] = mapped_column(TEXT)
    actor_id: Mapped[str | None] = mapped_column(TEXT)
    attempt: Mapped[int | None]
    payload_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    leaf: Mapped[bytes] = mapped_column(LargeBinary)


class AuditSeal(Base):
    """One link of an organization's chain: the root of a batch's tree, the hash of the link before, a signature."""

    __tablename__ = "audit_seals"
    __table_args__ = (
        UniqueConstraint("organization_id", "first_sequence", name="audit_seals_first"),
        CheckConstraint("number >= 1", name="audit_seals_number"),
        CheckConstraint("first_sequence <= last_sequence", name="audit_seals_range"),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID]
    first_sequence: Mapped[int] = mapped_column(BigInteger)
    last_sequence: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(TEXT)
    sealed_at: Mapped[datetime] = mapped_column(_TIME)


class AuditPersonal(Base):
    """A personal value and its salt; the record holds their digest only. Deleting the row erases the value."""

    __tablename__ = "audit_personal"
    __table_args__ = (Index("audit_personal_subject", "organization_id", "data_subject"),)

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    data_subject: Mapped[str] = mapped_column(TEXT)
    field: Mapped[str] = mapped_column(TEXT)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[str] = mapped_column(TEXT)
    recorded_at: Mapped[datetime] = mapped_column(_TIME, server_default=text("clock_timestamp()"))


class AuditExport(Base):
    """A range of seals that was written to the blob store."""

    __tablename__ = "audit_exports"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    first_number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last_number: Mapped[int] = mapped_column(BigInteger)
    blob_key: Mapped[str] = mapped_column(TEXT)
    sha256: Mapped[str] = mapped_column(TEXT)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    exported_at: Mapped[datetime] = mapped_column(_TIME, server_default=text("now()"))


class AuditRetirement(Base):
    """A signed statement that the records of all seals up to a number may be deleted: their retention has ended."""

    __tablename__ = "audit_retirements"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    through_number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    seal_hash: Mapped[bytes] = mapped_column(LargeBinary)
    retired_at: Mapped[datetime] = mapped_column(_TIME)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(TEXT)
