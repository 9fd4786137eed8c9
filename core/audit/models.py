"""The audit trail as stored."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base


class AuditInbox(Base):
    """A record from the moment it is written, in the transaction of what it records, until it is sealed."""

    __tablename__ = "audit_inbox"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID | None]
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("clock_timestamp()"))
    action: Mapped[str] = mapped_column(TEXT)
    subject_id: Mapped[str] = mapped_column(TEXT)
    actor_kind: Mapped[str] = mapped_column(TEXT)
    actor_id: Mapped[str | None] = mapped_column(TEXT)
    attempt: Mapped[int | None]
    payload_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
