"""Hybrid retrieval in Postgres: pgvector for meaning, weighted lexemes for words, combined into one ranking.

1. Dense: the 200 nearest chunks. Up to `EXACT_CHUNKS` chunks by an exact scan, above through the HNSW index.
2. Lexical: the 200 best of the chunks that hold the query's rarer terms, found through the GIN index.
3. Fuse. The five best move both queries (pseudo-relevance feedback): search densely once more, score the words of what
   was found so far once more, and fuse again.

The method and its figures are in ``docs/reference/retrieval.md``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import md5
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.db import AVOID_SCANS
from core.knowledge import fusion
from core.knowledge.records import KnowledgeBase, Passage

CANDIDATES = 200
# Below this an exact scan is as fast as the index, and misses nothing.
EXACT_CHUNKS = 6_000
# The chunks of the rarest query terms are scored, until this many are covered (as in MaxScore: Turtle and Flood 1995).
LEXICAL_COVERED = 4_000
# Terms are 29-bit hashes that count from 1; ``knowledge_term`` in the migration does the same in SQL.
TERM_SPACE = 1 << 29

# Adding zero keeps the planner from the approximate index. The vectors have unit length: the negative inner product
# orders like cosine distance and is cheaper.
_DENSE_EXACT = text(
    "SELECT id, -(embedding <#> CAST(:vector AS halfvec)) AS score FROM chunks"
    " WHERE knowledge_base_id = :base ORDER BY (embedding <#> CAST(:vector AS halfvec)) + 0 LIMIT :limit"
)
_DENSE = text("SELECT id, score FROM knowledge_nearest(:base, CAST(:vector AS halfvec), :limit)")
# By their keys, whatever the planner estimates: for a base younger than the table's statistics it expects no rows, and
# would read all of it for each of them. No index answers IS TRUE.
_AMONG = "id = ANY(:ids) AND (knowledge_base_id = :base) IS TRUE"
_TERMS = text(
    "SELECT found.lexeme, cardinality(found.positions) AS times, coalesce((SELECT chunks FROM knowledge_terms"
    " WHERE knowledge_base_id = :base AND term = found.lexeme), 0) AS chunks"
    " FROM unnest(to_tsvector('english', :query)) AS found (lexeme, positions, weights)"
)
_LEXICAL = text(
    "SELECT id, score FROM knowledge_lexical_search(:base, CAST(:covering AS tsquery), CAST(:terms AS sparsevec),"
    " :mean_length, :limit)"
)
_LEXICAL_AMONG = text(
    "SELECT id, -(weights <#> CAST(:terms AS sparsevec)) / (1 - :slope + :slope * length / :mean_length) AS score"
    f" FROM chunks WHERE {_AMONG}"
)
_LEADERS = text(f"SELECT id, CAST(CAST(embedding AS vector) AS real[]) AS vector FROM chunks WHERE {_AMONG}")
# The number of chunks in which each of their words occurs, in one pass over the words' index, and the words of each.
_LEADER_TERMS = text(
    "WITH held AS MATERIALIZED (SELECT chunks.id, found.lexeme,"
    " cardinality(found.positions) * CAST(1 AS float8) / chunks.length AS share"
    f" FROM chunks CROSS JOIN LATERAL unnest(lexemes) AS found (lexeme, positions, weights) WHERE {_AMONG})"
    " SELECT CAST(NULL AS uuid) AS id, term AS lexeme, CAST(NULL AS float8) AS share, chunks FROM knowledge_terms"
    " WHERE knowledge_base_id = :base AND term = ANY(ARRAY(SELECT DISTINCT lexeme FROM held))"
    " UNION ALL SELECT id, lexeme, share, NULL FROM held"
)
_PASSAGES = text(
    "SELECT chunks.id, chunks.document_id, documents.name, chunks.ordinal, chunks.page, chunks.section,"
    " chunks.char_start, chunks.char_end, chunks.text, 0.0, NULL, NULL"
    " FROM chunks JOIN documents ON documents.id = chunks.document_id WHERE chunks.id = ANY(:ids)"
)


@dataclass(frozen=True, slots=True)
class _Words:
    """The query's terms: how often each occurs in the query, and in how many chunks of the base."""

    counts: Mapping[str, float]
    chunks: Mapping[str, int]


def search(session: Session, base: KnowledgeBase, query: str, vector: Sequence[float], limit: int) -> list[Passage]:
    """The `limit` best passages of `base`, best first. `vector` is the query's embedding, of unit length."""
    if base.chunk_count == 0:
        return []
    session.execute(AVOID_SCANS)
    words = _words(session, base, query)
    lexical = lexical_scores(session, base, words)
    dense = dense_scores(session, base, vector)
    dense, scored = _with_feedback(session, base, vector, words, dense=dense, lexical=lexical)
    final = fusion.fuse(dense, scored)
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


def _with_feedback(
    session: Session,
    base: KnowledgeBase,
    vector: Sequence[float],
    words: _Words,
    *,
    dense: Mapping[UUID, float],
    lexical: Mapping[UUID, float],
) -> tuple[dict[UUID, float], dict[UUID, float]]:
    """Both lists again, with the queries moved toward the best passages of the first fusion."""
    first = fusion.fuse(dense, lexical)
    leaders = fusion.best(first, fusion.FEEDBACK_PASSAGES)
    scope = {"base": base.id, "ids": leaders}
    vectors = {row.id: row.vector for row in session.execute(_LEADERS, scope)}
    leaders = [chunk for chunk in leaders if chunk in vectors]
    weights = [first[chunk] for chunk in leaders]
    moved = fusion.feedback_query(vector, [vectors[chunk] for chunk in leaders], weights)
    shares: dict[UUID, dict[str, float]] = {chunk: {} for chunk in leaders}
    chunks = dict(words.chunks)
    rows = session.execute(_LEADER_TERMS, scope).all()
    chunks |= {row.lexeme: row.chunks for row in rows if row.id is None}
    for row in rows:
        if row.id in shares and row.lexeme in chunks:
            shares[row.id][row.lexeme] = row.share * _rarity(base, chunks[row.lexeme])
    terms = fusion.feedback_terms(words.counts, [shares[chunk] for chunk in leaders], weights)
    again = dense_scores(session, base, moved)
    # Words are only scored among the candidates: searching for twenty more terms finds nothing that the vectors miss.
    pool = first.keys() | again.keys()
    return again, _lexical_among(session, base, terms, chunks, pool)


def dense_scores(
    session: Session,
    base: KnowledgeBase,
    vector: Sequence[float],
    *,
    exact: bool | None = None,
    limit: int = CANDIDATES,
) -> dict[UUID, float]:
    """The cosine similarity of the `limit` nearest chunks; by default, the size of the base decides `exact`."""
    scans = base.chunk_count <= EXACT_CHUNKS if exact is None else exact
    parameters = {"base": base.id, "vector": to_literal(vector), "limit": limit}
    rows = session.execute(_DENSE_EXACT if scans else _DENSE, parameters)
    return {row.id: row.score for row in rows}


def lexical_scores(
    session: Session, base: KnowledgeBase, words: _Words, *, limit: int = CANDIDATES
) -> dict[UUID, float]:
    """The scores of the `limit` best chunks by their words; empty when no term of the query occurs."""
    if not words.chunks:
        return {}
    covering: list[str] = []
    covered = 0
    is_large = base.chunk_count > LEXICAL_COVERED
    for lexeme, chunks in sorted(words.chunks.items(), key=lambda known: (known[1], known[0])):
        if covering and is_large and covered + chunks > LEXICAL_COVERED:
            break
        covering.append(lexeme)
        covered += chunks
    rows = session.execute(
        _LEXICAL,
        {
            "base": base.id,
            "covering": " | ".join(_quoted(lexeme) for lexeme in covering),
            "terms": _sparse(base, words.counts, words.chunks),
            "mean_length": _mean_length(base),
            "limit": limit,
        },
    )
    return {row.id: row.score for row in rows}


def _lexical_among(
    session: Session,
    base: KnowledgeBase,
    terms: Mapping[str, float],
    chunks: Mapping[str, int],
    pool: Collection[UUID],
) -> dict[UUID, float]:
    rows = session.execute(
        _LEXICAL_AMONG,
        {
            "base": base.id,
            "ids": list(pool),
            "terms": _sparse(base, terms, chunks),
            "slope": fusion.PIVOT_SLOPE,
            "mean_length": _mean_length(base),
        },
    )
    scores = {row.id: row.score for row in rows if row.score > 0}
    return {chunk: scores[chunk] for chunk in fusion.best(scores, CANDIDATES)}


def _words(session: Session, base: KnowledgeBase, query: str) -> _Words:
    found = [row for row in session.execute(_TERMS, {"query": query, "base": base.id}) if row.chunks > 0]
    return _Words({row.lexeme: row.times for row in found}, {row.lexeme: row.chunks for row in found})


def _sparse(base: KnowledgeBase, terms: Mapping[str, float], chunks: Mapping[str, int]) -> str:
    """Terms times their rarity, in pgvector's text form."""
    weights: dict[int, float] = {}
    for lexeme, weight in terms.items():
        term = term_of(lexeme)
        weights[term] = weights.get(term, 0.0) + weight * _rarity(base, chunks[lexeme])
    return "{" + ",".join(f"{term}:{weight:.6g}" for term, weight in sorted(weights.items())) + f"}}/{TERM_SPACE}"


def term_of(lexeme: str) -> int:
    """The dimension of a lexeme in the space of terms."""
    return (int(md5(lexeme.encode(), usedforsecurity=False).hexdigest()[:8], 16) & (TERM_SPACE - 1)) + 1


def _rarity(base: KnowledgeBase, containing: int) -> float:
    return fusion.inverse_document_frequency(max(base.chunk_count, containing), containing)


def _mean_length(base: KnowledgeBase) -> float:
    return max(1.0, base.token_count / base.chunk_count)


def to_literal(vector: Sequence[float]) -> str:
    """A vector in pgvector's text form."""
    return "[" + ",".join(f"{component:.6g}" for component in vector) + "]"


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
