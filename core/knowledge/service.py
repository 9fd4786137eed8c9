"""Knowledge bases for the API and the capabilities. Adds to the caller's transaction, never commits."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from opentelemetry.trace import SpanKind
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.principal import Principal
from core.kit import semconv
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.errors import Conflict, NotFound, Unprocessable
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE, encode, new_id
from core.kit.json_values import dumps
from core.kit.semconv import Operation
from core.kit.telemetry import span
from core.knowledge import repository, retrieval
from core.knowledge.records import DocumentRecord, KnowledgeBase, NewChunk, Passage

NAME_MAX_CHARACTERS = 200
DEFAULT_EMBEDDING_MODEL = "local/minilm-l6-v2"


class KnowledgeService:
    """Create, fill and search knowledge bases of a principal's project. Ids of other projects are not found."""

    def create_base(
        self,
        session: Session,
        principal: Principal,
        name: str,
        description: str = "",
        embedding_model: str = DEFAULT_EMBEDDING_MODEL,
        *,
        data_class: DataClass = DataClass.INTERNAL,
    ) -> KnowledgeBase:
        """A new, empty base. Raises `Conflict` for a name that is taken, `Unprocessable` for an invalid one."""
        _require_name(name)
        values: dict[str, Any] = {
            "id": new_id(),
            "name": name,
            "description": description,
            "embedding_model": embedding_model,
            "data_class": data_class,
        }
        base = repository.insert_base(session, principal, values)
        if base is None:
            raise Conflict(f"this project already has a knowledge base named {name!r}", code="knowledge_base_exists")
        return base

    def get_base(self, session: Session, principal: Principal, base_id: UUID) -> KnowledgeBase:
        """The base. Raises `NotFound`."""
        base = repository.get_base(session, principal, base_id)
        if base is None:
            raise NotFound(
                f"there is no knowledge base {encode(KNOWLEDGE_BASE, base_id)} in this project",
                code="knowledge_base_not_found",
            )
        return base

    def update_base(
        self,
        session: Session,
        principal: Principal,
        base_id: UUID,
        *,
        description: str | None = None,
        data_class: DataClass | None = None,
    ) -> KnowledgeBase:
        """Set the given fields; a changed class is audited. Raises `NotFound`."""
        before = self.get_base(session, principal, base_id)
        changed = repository.update_base(session, principal, base_id, description=description, data_class=data_class)
        if changed is None:
            return self.get_base(session, principal, base_id)
        if changed.data_class is not before.data_class:
            record(
                session,
                principal.organization_id,
                principal.project_id,
                AuditAction.KNOWLEDGE_BASE_UPDATE,
                subject_id=encode(KNOWLEDGE_BASE, base_id),
                actor=principal.actor,
                detail={"from": before.data_class, "to": changed.data_class},
            )
        return changed

    def list_bases(
        self,
        session: Executor,
        principal: Principal,
        *,
        cursor: UUID | None = None,
        limit: int = 50,
        name: str | None = None,
    ) -> list[KnowledgeBase]:
        """The project's bases, newest first, with ids below `cursor`."""
        return repository.list_bases(session, principal, cursor, limit, name)

    def delete_base(self, session: Session, principal: Principal, base_id: UUID) -> None:
        """Delete the base with its documents and chunks. Raises `NotFound`."""
        if not repository.delete_base(session, principal, base_id):
            self.get_base(session, principal, base_id)

    def put_document(
        self,
        session: Session,
        principal: Principal,
        base_id: UUID,
        *,
        name: str,
        content_type: str,
        size_bytes: int,
        sha256: str,
        blob_key: str,
    ) -> DocumentRecord:
        """Register an uploaded file: new, or new content under a known name. Raises `NotFound`.

        Content that is already searchable stays so; anything else is ``pending`` until the next ingest.
        """
        self.get_base(session, principal, base_id)
        _require_name(name)
        values = {
            "id": new_id(),
            "name": name,
            "content_type": content_type,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "blob_key": blob_key,
        }
        return repository.put_document(session, principal, base_id, values)

    def get_document(self, session: Session, principal: Principal, base_id: UUID, document_id: UUID) -> DocumentRecord:
        """The document. Raises `NotFound`."""
        document = repository.get_document(session, principal, base_id, document_id)
        if document is None:
            raise NotFound(
                f"there is no document {encode(DOCUMENT, document_id)} in this knowledge base",
                code="document_not_found",
            )
        return document

    def list_documents(
        self,
        session: Session,
        principal: Principal,
        base_id: UUID,
        *,
        cursor: UUID | None = None,
        limit: int = 50,
        state: str | None = None,
    ) -> list[DocumentRecord]:
        """The base's documents, newest first, with ids below `cursor`. Raises `NotFound` for an unknown base."""
        self.get_base(session, principal, base_id)
        return repository.list_documents(session, principal, base_id, cursor=cursor, limit=limit, state=state)

    def pending_documents(
        self, session: Session, principal: Principal, base_id: UUID, limit: int = 10_000
    ) -> list[UUID]:
        """Documents whose current content is not searchable yet, oldest first. Raises `NotFound`."""
        self.get_base(session, principal, base_id)
        return repository.pending_documents(session, principal, base_id, limit)

    def delete_document(
        self, session: Session, principal: Principal, base_id: UUID, document_id: UUID
    ) -> DocumentRecord:
        """Delete the document and its chunks; returns it, so that its blob can be deleted before the commit."""
        document = self.get_document(session, principal, base_id, document_id)
        repository.lock_base(session, base_id)
        repository.remove_chunks(session, principal, base_id, document_id)
        repository.delete_document(session, document_id)
        return document

    def missing_embeddings(self, session: Session, document_id: UUID, hashes: Sequence[str]) -> set[str]:
        """Which of these content hashes the document does not have yet, so that only those are embedded."""
        return set(hashes) - repository.known_hashes(session, document_id, hashes)

    def store_chunks(
        self,
        session: Session,
        principal: Principal,
        document: DocumentRecord,
        chunks: Sequence[NewChunk],
        *,
        ingested: str,
        pages: int | None,
        left_out: Sequence[Mapping[str, Any]] | None = None,
    ) -> bool:
        """Replace a document's chunks by `chunks`, all at once; a reader sees either the old ones or the new.

        A chunk with a known hash keeps its id and vector. `ingested` names the content and the pipeline that read it;
        `left_out` lists what the reader left out of the text.
        Returns False, changing nothing, when the document's content was replaced since `document` was read.
        """
        base_id = document.knowledge_base_id
        repository.lock_base(session, base_id)
        if not repository.mark_ready(
            session,
            document.id,
            document.sha256,
            ingested=ingested,
            pages=pages,
            chunks=len(chunks),
            left_out=None if left_out is None else dumps(list(left_out)).decode(),
        ):
            return False
        old = repository.old_chunks(session, document.id)
        reused = [chunk.content_hash for chunk in chunks if chunk.embedding is None]
        vectors = repository.known_vectors(session, document.id, reused) if reused else {}
        repository.remove_chunks(session, principal, base_id, document.id)
        rows = []
        for chunk in chunks:
            ids = old.get(chunk.content_hash)
            rows.append((ids.pop(0) if ids else new_id(), chunk, vectors.get(chunk.content_hash)))
        repository.insert_chunks(session, principal, base_id, document.id, rows)
        return True

    def refresh_statistics(self, session: Session) -> None:
        """Update the planner's statistics after a bulk write, in a separate transaction.

        Without them the first searches in a new base are planned for an empty table. Cheap when little changed.
        """
        repository.refresh_statistics(session)

    def fail_document(
        self, session: Session, principal: Principal, document: DocumentRecord, code: str, message: str
    ) -> None:
        """Record that the document's content cannot be read; chunks of earlier content are deleted."""
        repository.lock_base(session, document.knowledge_base_id)
        repository.remove_chunks(session, principal, document.knowledge_base_id, document.id)
        repository.mark_failed(session, document.id, code, message)

    def search(
        self, session: Session, base: KnowledgeBase, query: str, vector: Sequence[float], limit: int
    ) -> list[Passage]:
        """The `limit` best passages for `query`, whose unit-length embedding is `vector`; best first."""
        base_id = encode(KNOWLEDGE_BASE, base.id)
        with span(
            f"{Operation.RETRIEVAL} {base_id}",
            attributes={
                semconv.OPERATION: Operation.RETRIEVAL.value,
                semconv.PROVIDER: semconv.OURS,
                semconv.DATA_SOURCE_ID: base_id,
                semconv.REQUEST_TOP_K: float(limit),
            },
            kind=SpanKind.CLIENT,
        ):
            return retrieval.search(session, base, query, vector, limit)

    def chunks(self, session: Session, principal: Principal, ids: Sequence[UUID]) -> list[Passage]:
        """The project's current chunks of these ids; deleted ones are missing."""
        return repository.chunks(session, principal, ids)

    def chunks_of(
        self, session: Session, principal: Principal, document_id: UUID, *, start: int, limit: int
    ) -> list[Passage]:
        """The project's chunks of a document, in its order, from the one numbered `start`."""
        return repository.chunks_of(session, principal, document_id, start, limit)

    def place_of(self, session: Executor, principal: Principal, document_id: UUID, character: int) -> tuple[UUID, int]:
        """The knowledge base of a document, and the number of its chunk that holds a character of its text.

        Raises `NotFound` for a document that has no text there.
        """
        found = repository.place_of(session, principal, document_id, character)
        if found is None:
            message = f"there is no document {encode(DOCUMENT, document_id)} with this text in this project"
            raise NotFound(message, code="document_not_found")
        return found


def _require_name(name: str) -> None:
    if not name.strip() or len(name) > NAME_MAX_CHARACTERS or any(ord(letter) < 32 for letter in name):  # noqa: PLR2004
        raise Unprocessable(f"a name has 1 to {NAME_MAX_CHARACTERS} printable characters", code="invalid_name")
