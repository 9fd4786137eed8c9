"""Measures how well search finds the documents that people judged relevant, through the code that serves searches.

Every document is stored by `KnowledgeService.store_chunks` and every query sent to `KnowledgeService.search`, in a real
database. A document ranks where its best chunk does.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.settings import Settings, get_settings
from core.knowledge.records import KnowledgeBase, NewChunk
from core.knowledge.service import KnowledgeService
from pipelines.knowledge.documents.chunks import Chunk, split_document
from pipelines.knowledge.documents.text import read_text
from waybill.evals.beir import DataSet, load
from waybill.evals.metrics import Mean, bootstrap_mean, ndcg, recall
from waybill.evals.workspace import measuring

NDCG_DEPTH = 10
RECALL_DEPTH = 100
# Chunks requested for a query: enough that 100 documents of a few chunks each are among them.
PASSAGES = 400

Progress = Callable[[str, int, int], None]


class Embedder(Protocol):
    """The part of `core.gateway.models.Embedder` that is used here."""

    @property
    def name(self) -> str:
        """The model."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, one row each."""


@dataclass(frozen=True, slots=True)
class QueryFigures:
    """One query: its measures, the duration of the search, and the first results."""

    id: str
    ndcg_at_10: float
    recall_at_100: float
    milliseconds: float
    first: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The measurements. Means are over queries, with 95 % bootstrap intervals."""

    data: str
    embedding_model: str
    documents: int
    chunks: int
    ndcg_at_10: Mean
    recall_at_100: Mean
    search_p50_ms: float
    search_p95_ms: float
    queries: tuple[QueryFigures, ...]

    def as_json(self) -> dict[str, Any]:
        """The report as a dictionary."""
        return asdict(self)


def run_retrieval_eval(
    data: Path,
    embedder: Embedder,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Report:
    """Store the data set of folder `data` in a temporary knowledge base, run all its queries, and score the answers.

    `progress` receives (what, done, total). Nothing stays in the database. Raises `waybill.evals.files.UnreadableData`.
    """
    report = progress or _silently
    data_set = load(data)
    with measuring(settings or get_settings()) as (session, principal):
        knowledge = KnowledgeService()
        base = knowledge.create_base(session, principal, f"evaluation of {data_set.name}"[:200], "", embedder.name)
        owners = _store(session, principal, base.id, data_set, embedder=embedder, report=report)
        base = knowledge.get_base(session, principal, base.id)
        figures = tuple(_ask(session, base, data_set, owners, embedder=embedder, report=report))
    durations = [query.milliseconds for query in figures]
    return Report(
        data=data_set.name,
        embedding_model=embedder.name,
        documents=len(data_set.documents),
        chunks=base.chunk_count,
        ndcg_at_10=bootstrap_mean([query.ndcg_at_10 for query in figures]),
        recall_at_100=bootstrap_mean([query.recall_at_100 for query in figures]),
        search_p50_ms=float(np.percentile(durations, 50)),
        search_p95_ms=float(np.percentile(durations, 95)),
        queries=figures,
    )


def _store(
    session: Session, principal: Principal, base_id: UUID, data_set: DataSet, *, embedder: Embedder, report: Progress
) -> dict[UUID, str]:
    """Ingest the documents as the capability would; returns the data set's id of each stored document."""
    knowledge, owners = KnowledgeService(), {}
    for done, (name, text) in enumerate(data_set.documents.items(), start=1):
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        document = knowledge.put_document(
            session,
            principal,
            base_id,
            name=name,
            content_type="text/plain",
            size_bytes=len(content),
            sha256=digest,
            blob_key=f"evaluation/{digest}",
        )
        chunks = split_document(read_text(content, fallback_title="")) if text else []
        vectors = embedder.embed([chunk.embedding_text for chunk in chunks])
        stored = [_new_chunk(chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)]
        knowledge.store_chunks(session, principal, document, stored, ingested="evaluation", pages=None)
        owners[document.id] = name
        report("documents", done, len(data_set.documents))
    return owners


def _ask(
    session: Session,
    base: KnowledgeBase,
    data_set: DataSet,
    owners: dict[UUID, str],
    *,
    embedder: Embedder,
    report: Progress,
) -> Iterator[QueryFigures]:
    knowledge = KnowledgeService()
    for done, (query, text) in enumerate(data_set.queries.items(), start=1):
        vector = embedder.embed([text])[0].tolist()
        started = perf_counter()
        passages = knowledge.search(session, base, text, vector, PASSAGES)
        elapsed = perf_counter() - started
        # Passages come best first, so the first of a document is its best chunk.
        ranking = list(dict.fromkeys(owners[passage.document_id] for passage in passages))
        grades = data_set.grades[query]
        yield QueryFigures(
            id=query,
            ndcg_at_10=ndcg(grades, ranking, NDCG_DEPTH),
            recall_at_100=recall(grades, ranking, RECALL_DEPTH),
            milliseconds=round(elapsed * 1000, 3),
            first=tuple(ranking[:NDCG_DEPTH]),
        )
        report("queries", done, len(data_set.queries))


def _new_chunk(chunk: Chunk, vector: NDArray[np.float32]) -> NewChunk:
    return NewChunk(
        ordinal=chunk.index,
        page=chunk.page,
        section=chunk.section or None,
        char_start=chunk.char_start,
        char_end=chunk.char_end,
        text=chunk.text,
        searched=chunk.embedding_text,
        content_hash=chunk.content_hash,
        embedding=vector.tolist(),
    )


def _silently(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""
