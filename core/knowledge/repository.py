"""The SQL of knowledge bases. Every read of a base or document names the project; chunks are reached through those."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.knowledge.records import DocumentRecord, KnowledgeBase, NewChunk, Passage
from core.knowledge.retrieval import to_literal

_BASE = (
    "id, organization_id, project_id, name, description, embedding_model, chunk_count, token_count, created_at,"
    " data_class"
)
_DOCUMENT = (
    "id, knowledge_base_id, name, content_type, size_bytes, sha256, blob_key, state, failure_code, failure_message,"
    " page_count, chunk_count, ingested, left_out, created_at, updated_at"
)

_INSERT_BASE = text(
    "INSERT INTO knowledge_bases (id, organization_id, project_id, name, description, embedding_model,"
    " data_class)"
    " VALUES (:id, :organization_id, :project_id, :name, :description, :embedding_model, :data_class)"
    f" ON CONFLICT (project_id, name) DO NOTHING RETURNING {_BASE}"
)
_GET_BASE = text(f"SELECT {_BASE} FROM knowledge_bases WHERE id = :id AND project_id = :project_id")
_LIST_BASES = text(
    f"SELECT {_BASE} FROM knowledge_bases WHERE project_id = :project_id"
    " AND (CAST(:cursor AS uuid) IS NULL OR id < :cursor) AND (CAST(:name AS text) IS NULL OR name = :name)"
    " ORDER BY id DESC LIMIT :limit"
)
_DELETE_BASE = text("DELETE FROM knowledge_bases WHERE id = :id AND project_id = :project_id RETURNING id")
_UPDATE_BASE = text(
    "UPDATE knowledge_bases SET description = coalesce(CAST(:description AS text), description),"
    " data_class = coalesce(CAST(:data_class AS data_class), data_class)"
    f" WHERE id = :id AND project_id = :project_id RETURNING {_BASE}"
)
_LOCK_BASE = text("SELECT 1 FROM knowledge_bases WHERE id = :base FOR UPDATE")

_PUT_DOCUMENT = text(f"""
INSERT INTO documents (id, organization_id, project_id, knowledge_base_id, name, content_type, size_bytes, sha256,
  blob_key)
VALUES (:id, :organization_id, :project_id, :base, :name, :content_type, :size_bytes, :sha256, :blob_key)
ON CONFLICT (knowledge_base_id, name) DO UPDATE SET content_type = excluded.content_type,
  size_bytes = excluded.size_bytes, sha256 = excluded.sha256, blob_key = excluded.blob_key, updated_at = now(),
  state = CASE WHEN documents.sha256 = excluded.sha256 AND documents.state = 'ready' THEN 'ready' ELSE 'pending' END,
  failure_code = NULL, failure_message = NULL
RETURNING {_DOCUMENT}
""")
_GET_DOCUMENT = text(
    f"SELECT {_DOCUMENT} FROM documents WHERE id = :id AND knowledge_base_id = :base AND project_id = :project_id"
)
_LIST_DOCUMENTS = text(
    f"SELECT {_DOCUMENT} FROM documents WHERE knowledge_base_id = :base AND project_id = :project_id"
    " AND (CAST(:cursor AS uuid) IS NULL OR id < :cursor)"
    " AND (CAST(:state AS text) IS NULL OR state = :state) ORDER BY id DESC LIMIT :limit"
)
_PENDING = text(
    "SELECT id FROM documents WHERE knowledge_base_id = :base AND project_id = :project_id AND state = 'pending'"
    " ORDER BY id LIMIT :limit"
)
_DELETE_DOCUMENT = text("DELETE FROM documents WHERE id = :id RETURNING blob_key")
_FAIL_DOCUMENT = text(
    "UPDATE documents SET state = 'failed', failure_code = :code, failure_message = :message, updated_at = now(),"
    " ingested = NULL, chunk_count = 0, page_count = NULL, left_out = NULL WHERE id = :id"
)
_READY_DOCUMENT = text(
    "UPDATE documents SET state = 'ready', failure_code = NULL, failure_message = NULL, page_count = :pages,"
    " chunk_count = :chunks, ingested = :ingested, left_out = CAST(:left_out AS json), updated_at = now()"
    " WHERE id = :id AND sha256 = :sha256 RETURNING id"
)

_KNOWN_HASHES = text(
    "SELECT DISTINCT content_hash FROM chunks WHERE document_id = :document AND content_hash = ANY(:hashes)"
)
_KNOWN_VECTORS = text(
    "SELECT DISTINCT ON (content_hash) content_hash, CAST(embedding AS text) AS vector FROM chunks"
    " WHERE document_id = :document AND content_hash = ANY(:hashes)"
)
_OLD_CHUNKS = text("SELECT id, content_hash FROM chunks WHERE document_id = :document ORDER BY ordinal")
# Every change of chunks keeps the statistics exact; the base's lock, taken first, makes them consistent.
_COUNT_TERMS = text("""
INSERT INTO knowledge_terms AS known (knowledge_base_id, term, organization_id, chunks)
SELECT :base, term, :organization_id, count(*) * CAST(:sign AS int)
FROM chunks, unnest(tsvector_to_array(lexemes)) AS term WHERE chunks.document_id = :document
GROUP BY term ORDER BY term
ON CONFLICT (knowledge_base_id, term) DO UPDATE SET chunks = known.chunks + excluded.chunks
""")
_COUNT_CHUNKS = text("""
UPDATE knowledge_bases SET chunk_count = chunk_count + CAST(:sign AS int) * sums.chunks,
  token_count = token_count + CAST(:sign AS int) * sums.tokens
FROM (SELECT count(*) AS chunks, coalesce(sum(length), 0) AS tokens FROM chunks WHERE document_id = :document) AS sums
WHERE knowledge_bases.id = :base
""")
_DELETE_TERMS = text("DELETE FROM knowledge_terms WHERE knowledge_base_id = :base AND chunks <= 0")
_REFRESH_STATISTICS = text("SELECT knowledge_refresh_statistics()")
_DELETE_CHUNKS = text("DELETE FROM chunks WHERE document_id = :document")
_INSERT_CHUNK = text("""
INSERT INTO chunks (id, organization_id, project_id, knowledge_base_id, document_id, ordinal, page, section,
  char_start, char_end, text, content_hash, length, weights, lexemes, embedding)
SELECT :id, :organization_id, :project_id, :base, :document, :ordinal, :page, :section, :char_start, :char_end,
  :text, :content_hash, counted.length, counted.weights, searched.lexemes, CAST(:embedding AS halfvec)
FROM (SELECT to_tsvector('english', :searched) AS lexemes) AS searched
CROSS JOIN LATERAL (
  SELECT coalesce(sum(occurrences), 0) AS length,
    CAST('{' || coalesce(string_agg(term || ':' || weight, ','), '') || '}/536870912' AS sparsevec) AS weights
  FROM (
    SELECT knowledge_term(lexeme) AS term, sum(cardinality(positions)) AS occurrences,
      CAST(1 + ln(1 + ln(sum(cardinality(positions)))) AS real) AS weight
    FROM unnest(searched.lexemes) GROUP BY 1
  ) AS found) AS counted
""")
_CHUNKS = text(
    "SELECT chunks.id, chunks.document_id, documents.name, chunks.ordinal, chunks.page, chunks.section,"
    " chunks.char_start, chunks.char_end, chunks.text, 0.0, NULL, NULL"
    " FROM chunks JOIN documents ON documents.id = chunks.document_id"
    " WHERE chunks.id = ANY(:ids) AND chunks.project_id = :project_id"
)
_CHUNKS_OF = text(
    "SELECT chunks.id, chunks.document_id, documents.name, chunks.ordinal, chunks.page, chunks.section,"
    " chunks.char_start, chunks.char_end, chunks.text, 0.0, NULL, NULL"
    " FROM chunks JOIN documents ON documents.id = chunks.document_id"
    " WHERE chunks.document_id = :document AND chunks.project_id = :project_id AND chunks.ordinal >= :start"
    " ORDER BY chunks.ordinal LIMIT :limit"
)

_PLACE = text(
    "SELECT knowledge_base_id, ordinal FROM chunks"
    " WHERE document_id = :document AND project_id = :project_id AND char_start <= :character"
    " ORDER BY char_start DESC LIMIT 1"
)


def _base(row: Row[Any]) -> KnowledgeBase:
    return KnowledgeBase(**{**row._asdict(), "data_class": DataClass(row.data_class)})


def _document(row: Row[Any]) -> DocumentRecord:
    return DocumentRecord(*tuple(row))


def _scope(principal: Principal) -> dict[str, UUID]:
    return {"organization_id": principal.organization_id, "project_id": principal.project_id}


def insert_base(session: Session, principal: Principal, values: dict[str, Any]) -> KnowledgeBase | None:
    """A new base, or None when the name is taken in the project."""
    row = session.execute(_INSERT_BASE, {**_scope(principal), **values}).one_or_none()
    return None if row is None else _base(row)


def get_base(session: Session, principal: Principal, base_id: UUID) -> KnowledgeBase | None:
    """The project's base of that id."""
    row = session.execute(_GET_BASE, {**_scope(principal), "id": base_id}).one_or_none()
    return None if row is None else _base(row)


def update_base(
    session: Session, principal: Principal, base_id: UUID, *, description: str | None, data_class: DataClass | None
) -> KnowledgeBase | None:
    """Set the given fields; None when the project has no such base."""
    values = {**_scope(principal), "id": base_id, "description": description, "data_class": data_class}
    row = session.execute(_UPDATE_BASE, values).one_or_none()
    return None if row is None else _base(row)


def list_bases(
    session: Executor, principal: Principal, cursor: UUID | None, limit: int, name: str | None
) -> list[KnowledgeBase]:
    """The project's bases, newest first, with ids below `cursor`."""
    parameters = {**_scope(principal), "cursor": cursor, "limit": limit, "name": name}
    return [_base(row) for row in session.execute(_LIST_BASES, parameters)]


def delete_base(session: Session, principal: Principal, base_id: UUID) -> bool:
    """Delete the base with everything in it; False when there is none."""
    return session.execute(_DELETE_BASE, {**_scope(principal), "id": base_id}).one_or_none() is not None


def put_document(session: Session, principal: Principal, base_id: UUID, values: dict[str, Any]) -> DocumentRecord:
    """A new document, or the one of that name with new content; unchanged content stays ready."""
    return _document(session.execute(_PUT_DOCUMENT, {**_scope(principal), "base": base_id, **values}).one())


def get_document(session: Session, principal: Principal, base_id: UUID, document_id: UUID) -> DocumentRecord | None:
    """The document of that id in the project's base."""
    parameters = {**_scope(principal), "base": base_id, "id": document_id}
    row = session.execute(_GET_DOCUMENT, parameters).one_or_none()
    return None if row is None else _document(row)


def list_documents(
    session: Session, principal: Principal, base_id: UUID, *, cursor: UUID | None, limit: int, state: str | None
) -> list[DocumentRecord]:
    """The base's documents, newest first, with ids below `cursor`."""
    parameters = {**_scope(principal), "base": base_id, "cursor": cursor, "limit": limit, "state": state}
    return [_document(row) for row in session.execute(_LIST_DOCUMENTS, parameters)]


def pending_documents(session: Session, principal: Principal, base_id: UUID, limit: int) -> list[UUID]:
    """Documents whose current content is not searchable yet, oldest first."""
    return list(session.execute(_PENDING, {**_scope(principal), "base": base_id, "limit": limit}).scalars())


def lock_base(session: Session, base_id: UUID) -> None:
    """Serialize changes of one base's chunks until the transaction ends."""
    session.execute(_LOCK_BASE, {"base": base_id})


def known_hashes(session: Session, document_id: UUID, hashes: Sequence[str]) -> set[str]:
    """Which of these chunks the document already has, with embeddings."""
    return set(session.execute(_KNOWN_HASHES, {"document": document_id, "hashes": list(hashes)}).scalars())


def old_chunks(session: Session, document_id: UUID) -> dict[str, list[UUID]]:
    """Ids of the document's chunks by content hash, in order."""
    found: dict[str, list[UUID]] = {}
    for row in session.execute(_OLD_CHUNKS, {"document": document_id}):
        found.setdefault(row.content_hash, []).append(row.id)
    return found


def known_vectors(session: Session, document_id: UUID, hashes: Sequence[str]) -> dict[str, str]:
    """The stored vectors of these hashes, in pgvector's text form."""
    rows = session.execute(_KNOWN_VECTORS, {"document": document_id, "hashes": list(hashes)})
    return {row.content_hash: row.vector for row in rows}


def remove_chunks(session: Session, principal: Principal, base_id: UUID, document_id: UUID) -> None:
    """Delete a document's chunks and subtract them from the statistics. The base must be locked."""
    parameters = {"organization_id": principal.organization_id, "base": base_id, "document": document_id, "sign": -1}
    session.execute(_COUNT_TERMS, parameters)
    session.execute(_COUNT_CHUNKS, parameters)
    session.execute(_DELETE_CHUNKS, parameters)
    session.execute(_DELETE_TERMS, parameters)


def insert_chunks(
    session: Session,
    principal: Principal,
    base_id: UUID,
    document_id: UUID,
    chunks: Sequence[tuple[UUID, NewChunk, str | None]],
) -> None:
    """Insert (id, chunk, vector text or None) and count them in the statistics. The base must be locked."""
    if not chunks:
        return
    scope = {**_scope(principal), "base": base_id, "document": document_id}
    session.execute(
        _INSERT_CHUNK,
        [
            {
                **scope,
                "id": chunk_id,
                "ordinal": chunk.ordinal,
                "page": chunk.page,
                "section": chunk.section,
                "char_start": chunk.char_start,
                "char_end": chunk.char_end,
                "text": chunk.text,
                "searched": chunk.searched,
                "content_hash": chunk.content_hash,
                "embedding": vector if chunk.embedding is None else to_literal(chunk.embedding),
            }
            for chunk_id, chunk, vector in chunks
        ],
    )
    session.execute(_COUNT_TERMS, {**scope, "sign": 1})
    session.execute(_COUNT_CHUNKS, {**scope, "sign": 1})


def refresh_statistics(session: Session) -> None:
    """Update the planner's statistics of knowledge tables that have none, or of which a fifth of the rows is new."""
    session.execute(_REFRESH_STATISTICS)


def mark_ready(
    session: Session,
    document_id: UUID,
    sha256: str,
    *,
    ingested: str,
    pages: int | None,
    chunks: int,
    left_out: str | None,
) -> bool:
    """Mark the document's chunks as those of content `sha256`; False if it was replaced since. `left_out` is JSON."""
    parameters = {
        "id": document_id,
        "sha256": sha256,
        "ingested": ingested,
        "pages": pages,
        "chunks": chunks,
        "left_out": left_out,
    }
    return session.execute(_READY_DOCUMENT, parameters).one_or_none() is not None


def mark_failed(session: Session, document_id: UUID, code: str, message: str) -> None:
    """Mark the document's content as unreadable, with the reason."""
    session.execute(_FAIL_DOCUMENT, {"id": document_id, "code": code, "message": message})


def delete_document(session: Session, document_id: UUID) -> None:
    """Delete a document whose chunks were already removed."""
    session.execute(_DELETE_DOCUMENT, {"id": document_id})


def chunks(session: Session, principal: Principal, ids: Sequence[UUID]) -> list[Passage]:
    """The project's current chunks of these ids."""
    rows = session.execute(_CHUNKS, {**_scope(principal), "ids": list(ids)})
    return [Passage(*tuple(row)) for row in rows]


def chunks_of(session: Session, principal: Principal, document_id: UUID, start: int, limit: int) -> list[Passage]:
    """The chunks of a document from the one numbered `start`, in the document's order."""
    parameters = {"document": document_id, "project_id": principal.project_id, "start": start, "limit": limit}
    return [Passage(*tuple(row)) for row in session.execute(_CHUNKS_OF, parameters)]


def place_of(session: Executor, principal: Principal, document_id: UUID, character: int) -> tuple[UUID, int] | None:
    """The knowledge base of a document, and the number of its chunk that holds a character of its text."""
    parameters = {"document": document_id, "project_id": principal.project_id, "character": character}
    row = session.execute(_PLACE, parameters).one_or_none()
    return None if row is None else (row.knowledge_base_id, row.ordinal)
