"""Knowledge bases and their documents."""

from datetime import datetime
from typing import Any

from waybill.client.models.base import Resource
from waybill.client.models.jobs import JobError


class KnowledgeBase(Resource):
    """A named collection of documents that can be searched."""

    id: str
    name: str
    description: str = ""
    embedding_model: str = ""
    data_class: str = ""
    chunk_count: int = 0
    created_at: datetime | None = None


class Document(Resource):
    """A file in a knowledge base: ``pending`` until it was ingested, then ``ready`` or ``failed``."""

    id: str
    name: str
    media_type: str = ""
    size_bytes: int = 0
    sha256: str = ""
    state: str = ""
    error: JobError | None = None
    page_count: int | None = None
    chunk_count: int = 0
    left_out: list[dict[str, Any]] | None = None
