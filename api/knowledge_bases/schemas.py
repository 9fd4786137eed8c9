"""Knowledge bases and their documents schemas."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE, PROJECT, encode
from core.knowledge.records import DocumentRecord
from core.knowledge.records import KnowledgeBase as KnowledgeBaseRecord
from core.knowledge.service import NAME_MAX_CHARACTERS
from pipelines.knowledge.schemas import LeftOutPart

DocumentState = Literal["pending", "ready", "failed"]

_CLASS = "The data class of its documents. Jobs that search it have at least this class."
# Line breaks and other control characters do not belong in a name; the service refuses them too.
Name = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=NAME_MAX_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
    ),
]


class CreateKnowledgeBase(BaseModel):
    """A request for an empty knowledge base."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "handbook"}]})

    name: Name = Field(description="The name, unique within the project.")
    description: str = Field("", max_length=2000)
    data_class: DataClass = Field(DataClass.INTERNAL, description=_CLASS)


class UpdateKnowledgeBase(BaseModel):
    """Fields to change. Fields left out keep their value."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"data_class": "confidential"}]})

    description: str | None = Field(None, max_length=2000)
    data_class: DataClass | None = Field(None, description=_CLASS)


class KnowledgeBase(BaseModel):
    """A collection of documents that can be searched."""

    id: str = Field(examples=["kb_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    project_id: str
    name: str
    description: str
    embedding_model: str = Field(description="The model that embeds its documents and questions.")
    data_class: DataClass = Field(description=_CLASS)
    chunk_count: int = Field(description="Number of searchable passages.")
    created_at: datetime


class KnowledgeBasePage(BaseModel):
    """A page of knowledge bases, newest first."""

    data: list[KnowledgeBase]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class DocumentError(BaseModel):
    """Why a document could not be read."""

    code: str = Field(description="A stable code to branch on.")
    message: str


class Document(BaseModel):
    """A file in a knowledge base. It is `pending` until a `knowledge.ingest` job has read its current content."""

    id: str = Field(examples=["doc_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    knowledge_base_id: str
    name: str
    media_type: str = Field(description="The media type declared by the uploader.")
    size_bytes: int
    sha256: str = Field(description="SHA-256 of the content, in hexadecimal.")
    state: DocumentState
    error: DocumentError | None = Field(description="Present when the document is `failed`.")
    page_count: int | None = Field(
        description="Number of pages. Null for formats without pages, and before the document was read."
    )
    chunk_count: int
    left_out: list[LeftOutPart] | None = Field(
        description="Parts that were not included in the text when the document was last read. Null before."
    )
    created_at: datetime
    updated_at: datetime


class DocumentPage(BaseModel):
    """A page of documents, newest first."""

    data: list[Document]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def base_to_wire(base: KnowledgeBaseRecord) -> dict[str, Any]:
    """`base` as the members of `KnowledgeBase`."""
    return {
        "id": encode(KNOWLEDGE_BASE, base.id),
        "project_id": encode(PROJECT, base.project_id),
        "name": base.name,
        "description": base.description,
        "data_class": base.data_class,
        "embedding_model": base.embedding_model,
        "chunk_count": base.chunk_count,
        "created_at": isoformat(base.created_at),
    }


def document_to_wire(document: DocumentRecord) -> dict[str, Any]:
    """`document` as the members of `Document`."""
    error = None
    if document.failure_code is not None:
        error = {"code": document.failure_code, "message": document.failure_message or ""}
    return {
        "id": encode(DOCUMENT, document.id),
        "knowledge_base_id": encode(KNOWLEDGE_BASE, document.knowledge_base_id),
        "name": document.name,
        "media_type": document.content_type,
        "size_bytes": document.size_bytes,
        "sha256": document.sha256,
        "state": document.state,
        "error": error,
        "page_count": document.page_count,
        "chunk_count": document.chunk_count,
        "left_out": document.left_out,
        "created_at": isoformat(document.created_at),
        "updated_at": isoformat(document.updated_at),
    }
