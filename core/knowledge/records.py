"""Knowledge bases, documents and passages as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.kit.data_classes import DataClass


@dataclass(frozen=True, slots=True)
class KnowledgeBase:
    """A collection of documents of one project, embedded with one model."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    name: str
    description: str
    embedding_model: str
    chunk_count: int
    token_count: int
    created_at: datetime
    data_class: DataClass = DataClass.INTERNAL


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """An uploaded document. `state` is ``pending``, ``ready`` or ``failed``; a pending one may have older chunks.

    `left_out` lists what its reader left out of the text; None before it was read.
    """

    id: UUID
    knowledge_base_id: UUID
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    blob_key: str
    state: str
    failure_code: str | None
    failure_message: str | None
    page_count: int | None
    chunk_count: int
    ingested: str | None
    left_out: list[dict[str, Any]] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to store. `searched` is the text for lexical search; `embedding` is None when the hash is known."""

    ordinal: int
    page: int | None
    section: str | None
    char_start: int
    char_end: int
    text: str
    searched: str
    content_hash: str
    embedding: Sequence[float] | None


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved chunk. `score` is comparable within one result; ranks count from 1, None if not found that way."""

    chunk_id: UUID
    document_id: UUID
    document: str
    ordinal: int
    page: int | None
    section: str | None
    char_start: int
    char_end: int
    text: str
    score: float
    dense_rank: int | None
    lexical_rank: int | None
