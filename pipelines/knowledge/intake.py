"""Takes one document into a knowledge base: reads, chunks, embeds what is new, stores all of it in one transaction."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.gateway.routing import EMBEDDING
from core.kit import semconv
from core.kit.blob import BlobNotFound, BlobStore
from core.kit.errors import CapabilityFailure, NotFound
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE, decode, encode
from core.kit.logging import get_logger, without_text
from core.kit.telemetry import span
from core.knowledge.records import DocumentRecord, NewChunk
from core.knowledge.service import KnowledgeService
from pipelines._kit.bases import open_base, principal_of
from pipelines.knowledge.documents.chunks import Chunk, split_document
from pipelines.knowledge.documents.document import Document, LeftOut
from pipelines.knowledge.documents.errors import UnreadableDocument
from pipelines.knowledge.pagination import PIPELINE, Pagination
from pipelines.knowledge.schemas import IngestedDocument

# A document with more chunks than this reports its progress each time this many are embedded.
_REPORT_EVERY = 512
_SHOWN_PAGES = 100
_log = get_logger(__name__)


class Models(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> JobModels:
        """The model that turns chunks into vectors."""


class Reader(Protocol):
    """The part of `pipelines.knowledge.documents.isolation.IsolatedReader` that is used here."""

    def read(
        self, data: bytes, *, name: str, content_type: str | None, owner: str, check: Callable[[], None]
    ) -> Document:
        """A file's text with its pages and sections. Raises `UnreadableDocument`."""


class Intake:
    """Plans and ingests documents. Safe in several threads."""

    def __init__(self, knowledge: KnowledgeService, models: Models, blobs: BlobStore, reader: Reader) -> None:
        self._knowledge = knowledge
        self._models = models
        self._blobs = blobs
        self._reader = reader
        self._pagination = Pagination(blobs)

    def plan(self, ctx: JobContext, base_id: str, requested: Sequence[UUID] | None) -> list[UUID]:
        """The documents to ingest, in order: those requested, or all whose content is not searchable yet.

        Raises `CapabilityFailure` when the base or a requested document does not exist.
        """
        principal = principal_of(ctx)
        base = open_base(self._knowledge, ctx, base_id, self._embedding_model(ctx), scope="knowledge:write")
        with ctx.transaction() as session:
            if requested is None:
                return self._knowledge.pending_documents(session, principal, base.id)
            try:
                for document_id in requested:
                    self._knowledge.get_document(session, principal, base.id, document_id)
            except NotFound as error:
                raise CapabilityFailure(error.detail, code=error.code) from error
            return list(requested)

    def take(self, ctx: JobContext, base_id: str, document_id: UUID) -> IngestedDocument:
        """Ingest one document and return its outcome. A file that cannot be read is an outcome, not an error."""
        try:
            with ctx.transaction() as session:
                document = self._knowledge.get_document(
                    session, principal_of(ctx), decode(KNOWLEDGE_BASE, base_id), document_id
                )
        except NotFound as error:
            # Deleted since it was planned.
            return _failed(ctx, encode(DOCUMENT, document_id), "", error.code, error.detail)
        if document.state == "ready" and document.ingested == self._ingested(ctx, document):
            return _outcome(document, "unchanged", document.page_count, document.chunk_count, 0)
        try:
            with span("document read"):
                read, chunks = self._read(ctx, document)
        except UnreadableDocument as error:
            with ctx.transaction() as session:
                self._knowledge.fail_document(session, principal_of(ctx), document, error.code, error.detail)
            return _failed(ctx, encode(DOCUMENT, document.id), document.name, error.code, error.detail)
        return self._store(ctx, document, read, chunks)

    def _read(self, ctx: JobContext, document: DocumentRecord) -> tuple[Document, list[Chunk]]:
        try:
            data = self._blobs.get(document.blob_key)
        except BlobNotFound as error:
            raise UnreadableDocument("The file's content is gone; upload it again.", code="document_missing") from error
        read = self._reader.read(
            data,
            name=document.name,
            content_type=document.content_type,
            owner=str(ctx.organization_id),
            check=ctx.check,
        )
        try:
            return read, split_document(read)
        except Exception as error:
            # The text of an untrusted file must not affect the other files.
            _log.error(
                "document_split_failed", document_id=encode(DOCUMENT, document.id), exception=without_text(error)
            )
            raise UnreadableDocument("The text of this file cannot be divided.", code="document_corrupt") from error

    def _store(
        self, ctx: JobContext, document: DocumentRecord, read: Document, chunks: Sequence[Chunk]
    ) -> IngestedDocument:
        texts = {chunk.content_hash: chunk.embedding_text for chunk in chunks}
        with ctx.transaction() as session:
            missing = self._knowledge.missing_embeddings(session, document.id, list(texts))
        new = [content_hash for content_hash in texts if content_hash in missing]
        with span("document embed", attributes={semconv.CHUNKS: len(new)}):
            vectors = self._embed(ctx, document.name, [texts[content_hash] for content_hash in new])
        embedded = dict(zip(new, vectors, strict=True))
        self._pagination.store(document, read)
        with span("document store"), ctx.transaction() as session:
            stored = self._knowledge.store_chunks(
                session,
                principal_of(ctx),
                document,
                [_new_chunk(chunk, embedded.get(chunk.content_hash)) for chunk in chunks],
                ingested=self._ingested(ctx, document),
                pages=read.page_count,
                left_out=[_shown(each) for each in read.left_out],
            )
        if not stored:
            detail = "The file was replaced while it was read. Its new content waits for the next ingest."
            return _failed(ctx, encode(DOCUMENT, document.id), document.name, "document_replaced", detail)
        with span("statistics"), ctx.transaction() as session:
            self._knowledge.refresh_statistics(session)
        outcome = _outcome(document, "ingested", read.page_count, len(chunks), len(new), left_out=read.left_out)
        data = {"pages": outcome.pages, "chunks": outcome.chunks, "embedded": outcome.embedded}
        ctx.emit("document.ingested", {"document": outcome.id, "name": outcome.name, **data})
        return outcome

    def _embed(self, ctx: JobContext, name: str, texts: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        if not texts:
            return []

        def report(done: int, total: int) -> None:
            if done % _REPORT_EVERY == 0:
                ctx.emit("document.embedding", {"name": name, "done": done, "total": total})

        return list(self._models.for_job(ctx).embed(EMBEDDING, texts, on_progress=report))

    def _embedding_model(self, ctx: JobContext) -> str:
        """The name of the model that turns chunks into vectors."""
        return self._models.for_job(ctx).resolve(EMBEDDING).price_model

    def _ingested(self, ctx: JobContext, document: DocumentRecord) -> str:
        return f"sha256:{document.sha256} pipeline:{PIPELINE} model:{self._embedding_model(ctx)}"


def _new_chunk(chunk: Chunk, vector: NDArray[np.float32] | None) -> NewChunk:
    return NewChunk(
        ordinal=chunk.index,
        page=chunk.page,
        section=chunk.section or None,
        char_start=chunk.char_start,
        char_end=chunk.char_end,
        text=chunk.text,
        searched=chunk.embedding_text,
        content_hash=chunk.content_hash,
        embedding=None if vector is None else vector.tolist(),
    )


def _outcome(
    document: DocumentRecord,
    status: str,
    pages: int | None,
    chunks: int,
    embedded: int,
    *,
    left_out: Sequence[LeftOut] | None = None,
) -> IngestedDocument:
    return IngestedDocument.model_validate(
        {
            "id": encode(DOCUMENT, document.id),
            "name": document.name,
            "status": status,
            "pages": pages,
            "chunks": chunks,
            "embedded": embedded,
            "left_out": None if left_out is None else [_shown(each) for each in left_out],
        }
    )


def _shown(part: LeftOut) -> dict[str, Any]:
    return {"what": part.what, "text": part.text, "pages": part.pages[:_SHOWN_PAGES], "count": part.count}


def _failed(ctx: JobContext, document_id: str, name: str, code: str, message: str) -> IngestedDocument:
    ctx.emit("document.failed", {"document": document_id, "name": name, "code": code, "message": message})
    error = {"code": code, "message": message}
    return IngestedDocument(id=document_id, name=name, status="failed", chunks=0, embedded=0, error=error)
