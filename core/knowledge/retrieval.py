"""Hybrid retrieval in Postgres: pgvector for meaning, BM25 over lexemes for words, one ranking out of both.

1. Dense: the 200 nearest chunks. Up to `EXACT_CHUNKS` chunks by an exact scan, above through the HNSW index.
2. Lexical: BM25 over the chunks that hold the query's rarer terms, found through the GIN index.
3. Fuse, let the five best move the dense query (pseudo-relevance feedback), search densely once more, fuse again.

The method and its figures are in ``docs/reference/retrieval.md``.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.knowledge import fusion
from core.knowledge.records import KnowledgeBase, Passage

CANDIDATES = 200
# Below this an exact scan is as fast as the index, and misses nothing.
EXACT_CHUNKS = 8_000
# BM25 is computed for the chunks of the rarest query terms, until so many chunks are covered.
LEXICAL_COVERED = 4_000

_APPROXIMATE = text(
    "SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', :ef, true)"
)
# The vectors have unit length: the negative inner product orders like cosine distance and is cheaper.
_DENSE = text(
    "SELECT id, -(embedding <#> CAST(:vector AS halfvec)) AS score FROM chunks"
    " WHERE knowledge_base_id = :base ORDER BY embedding <#> CAST(:vector AS halfvec) LIMIT :limit"
)
_DENSE_EXACT = text(
    "SELECT id, -(embedding <#> CAST(:vector AS halfvec)) AS score FROM chunks"
    " WHERE knowledge_base_id = :base ORDER BY (embedding <#> CAST(:vector AS halfvec)) + 0 LIMIT :limit"
)
_TERMS = text(
    "SELECT found.lexeme, cardinality(found.positions) AS times, coalesce(known.chunks, 0) AS chunks"
    " FROM unnest(to_tsvector('english', :query)) AS found (lexeme, positions, weights)"
    " LEFT JOIN knowledge_terms AS known ON known.knowledge_base_id = :base AND known.term = found.lexeme"
)
_LEXICAL = text("""
SELECT chunk.id, sum(term.weight * (occurs.times * :k1_plus_1)
    / (occurs.times + :k1 * (1 - :b + :b * chunk.length / :mean_length))) AS score
FROM chunks AS chunk
CROSS JOIN unnest(CAST(:terms AS text[]), CAST(:weights AS float8[])) AS term (lexeme, weight)
CROSS JOIN LATERAL (SELECT CAST(chunk.terms ->> term.lexeme AS float8) AS times) AS occurs
WHERE chunk.knowledge_base_id = :base AND chunk.lexemes @@ CAST(:covering AS tsquery) AND occurs.times IS NOT NULL
GROUP BY chunk.id ORDER BY score DESC LIMIT :limit
""")
_VECTORS = text("SELECT id, CAST(CAST(embedding AS vector) AS real[]) AS vector FROM chunks WHERE id = ANY(:ids)")
_PASSAGES = text(
    "SELECT chunks.id, chunks.document_id, documents.name, chunks.ordinal, chunks.page, chunks.section,"
    " chunks.char_start, chunks.char_end, chunks.text, 0.0, NULL, NULL"
    " FROM chunks JOIN documents ON documents.id = chunks.document_id WHERE chunks.id = ANY(:ids)"
)


def search(session: Session, base: KnowledgeBase, query: str, vector: Sequence[float], limit: int) -> list[Passage]:
    """The `limit` best passages of `base`, best first. `vector` is the query's embedding, of unit length."""
    if base.chunk_count == 0:
        return []
    exact = base.chunk_count <= EXACT_CHUNKS
    if not exact:
        session.execute(_APPROXIMATE, {"ef": str(CANDIDATES)})
    lexical = lexical_scores(session, base, query)
    dense = dense_scores(session, base, vector, exact=exact)
    first = fusion.fuse(dense, lexical)
    leaders = fusion.best(first, fusion.FEEDBACK_PASSAGES)
    vectors = {row.id: row.vector for row in session.execute(_VECTORS, {"ids": leaders})}
    moved = fusion.feedback_query(vector, [vectors[chunk] for chunk in leaders], [first[chunk] for chunk in leaders])
    dense = dense_scores(session, base, moved, exact=exact)
    final = fusion.fuse(dense, lexical)
    chosen = fusion.best(final, limit)
    near = {chunk: rank for rank, chunk in enumerate(fusion.best(dense, len(dense)), start=1)}
    worded = {chunk: rank for rank, chunk in enumerate(fusion.best(lexical, len(lexical)), start=1)}
    rows = {row.id: tuple(row) for row in session.execute(_PASSAGES, {"ids": chosen})}
    return [
        replace(
            Passage(*rows[chunk]),
            score=round(final[chunk], 6),
            dense_rank=near.get(chunk),
            lexical_rank=worded.get(chunk),
        )
        for chunk in chosen
        if chunk in rows
    ]


def dense_scores(
    session: Session, base: KnowledgeBase, vector: Sequence[float], *, exact: bool, limit: int = CANDIDATES
) -> dict[UUID, float]:
    """The cosine similarity of the `limit` nearest chunks."""
    statement = _DENSE_EXACT if exact else _DENSE
    rows = session.execute(statement, {"base": base.id, "vector": to_literal(vector), "limit": limit})
    return {row.id: row.score for row in rows}


def lexical_scores(session: Session, base: KnowledgeBase, query: str, *, limit: int = CANDIDATES) -> dict[UUID, float]:
    """The BM25 score of the `limit` best chunks; empty when no term of the query occurs."""
    found = [row for row in session.execute(_TERMS, {"query": query, "base": base.id}) if row.chunks > 0]
    if not found:
        return {}
    found.sort(key=lambda row: row.chunks)
    covering: list[str] = []
    covered = 0
    for row in found:
        if covering and covered + row.chunks > LEXICAL_COVERED and base.chunk_count > LEXICAL_COVERED:
            break
        covering.append(row.lexeme)
        covered += row.chunks
    weights = [row.times * fusion.inverse_document_frequency(base.chunk_count, row.chunks) for row in found]
    rows = session.execute(
        _LEXICAL,
        {
            "base": base.id,
            "terms": [row.lexeme for row in found],
            "weights": weights,
            "covering": " | ".join(_quoted(lexeme) for lexeme in covering),
            "k1": fusion.BM25_K1,
            "k1_plus_1": fusion.BM25_K1 + 1,
            "b": fusion.BM25_B,
            "mean_length": max(1.0, base.token_count / base.chunk_count),
            "limit": limit,
        },
    )
    return {row.id: row.score for row in rows}


def to_literal(vector: Sequence[float]) -> str:
    """A vector in pgvector's text form."""
    return "[" + ",".join(f"{component:.6g}" for component in vector) + "]"


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
