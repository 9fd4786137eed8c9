"""Knowledge bases, their documents and chunks, as stored. All are tenant tables under row-level security."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import TEXT, TIMESTAMP, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from core.kit.data_classes import DataClass
from core.kit.db import DATA_CLASS, Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)
DIMENSIONS = 384


class HalfVector(UserDefinedType[str]):
    """pgvector's ``halfvec``: 16-bit floats, half the size of ``vector``, precise enough for a quantized model."""

    cache_ok = True

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.dimensions = dimensions

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return f"halfvec({self.dimensions})"


class SparseVector(UserDefinedType[str]):
    """pgvector's ``sparsevec``; its dimensions are the terms of `core.knowledge.retrieval`."""

    cache_ok = True

    def __init__(self, dimensions: int = 1 << 29) -> None:
        self.dimensions = dimensions

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return f"sparsevec({self.dimensions})"


class KnowledgeBaseRow(Base):
    """A collection of documents, with the sums that BM25 needs of its chunks."""

    __tablename__ = "knowledge_bases"
    __table_args__ = (Index("knowledge_bases_project_name", "project_id", "name", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(TEXT)
    description: Mapped[str] = mapped_column(TEXT, server_default=text("''"))
    embedding_model: Mapped[str] = mapped_column(TEXT)
    chunk_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    token_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    data_class: Mapped[DataClass] = mapped_column(DATA_CLASS, server_default=text("'internal'"))


class DocumentRow(Base):
    """An uploaded document and its state. `ingested` names the content and pipeline of the current chunks."""

    __tablename__ = "documents"
    __table_args__ = (
        Index("documents_base_name", "knowledge_base_id", "name", unique=True),
        CheckConstraint("state IN ('pending', 'ready', 'failed')", name="documents_state"),
        CheckConstraint("(state = 'failed') = (failure_code IS NOT NULL)", name="documents_failure"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    knowledge_base_id: Mapped[UUID] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(TEXT)
    content_type: Mapped[str] = mapped_column(TEXT)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(TEXT)
    blob_key: Mapped[str] = mapped_column(TEXT)
    state: Mapped[str] = mapped_column(TEXT, server_default=text("'pending'"))
    failure_code: Mapped[str | None] = mapped_column(TEXT)
    failure_message: Mapped[str | None] = mapped_column(TEXT)
    page_count: Mapped[int | None]
    chunk_count: Mapped[int] = mapped_column(server_default=text("0"))
    ingested: Mapped[str | None] = mapped_column(TEXT)
    left_out: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)


class ChunkRow(Base):
    """A passage. `weights` holds 1 + ln(1 + ln f) of each lexeme, `length` the sum of the f."""

    __tablename__ = "chunks"
    __table_args__ = (
        Index("chunks_document", "document_id", "ordinal", unique=True),
        Index("chunks_base", "knowledge_base_id"),
        Index("chunks_lexemes", "lexemes", postgresql_using="gin"),
        Index(
            "chunks_embedding",
            "embedding",
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "halfvec_ip_ops"},
            postgresql_with={"m": 16, "ef_construction": 64},
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    project_id: Mapped[UUID]
    knowledge_base_id: Mapped[UUID] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    page: Mapped[int | None]
    section: Mapped[str | None] = mapped_column(TEXT)
    char_start: Mapped[int]
    char_end: Mapped[int]
    text: Mapped[str] = mapped_column(TEXT)
    content_hash: Mapped[str] = mapped_column(TEXT)
    length: Mapped[int]
    weights: Mapped[Any] = mapped_column(SparseVector())
    lexemes: Mapped[Any] = mapped_column(TSVECTOR)
    embedding: Mapped[Any] = mapped_column(HalfVector())


class TermRow(Base):
    """The number of chunks of a knowledge base in which a lexeme occurs."""

    __tablename__ = "knowledge_terms"

    knowledge_base_id: Mapped[UUID] = mapped_column(
        ForeignKey("knowledge_bases.id", ondelete="CASCADE"), primary_key=True
    )
    term: Mapped[str] = mapped_column(TEXT, primary_key=True)
    organization_id: Mapped[UUID]
    chunks: Mapped[int]
