"""Knowledge bases: documents, chunks with vectors and lexemes, and the statistics BM25 needs."""

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE knowledge_bases (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  embedding_model text NOT NULL,
  chunk_count bigint NOT NULL DEFAULT 0,
  token_count bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX knowledge_bases_project_name ON knowledge_bases (project_id, name);

CREATE TABLE documents (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  knowledge_base_id uuid NOT NULL REFERENCES knowledge_bases ON DELETE CASCADE,
  name text NOT NULL,
  content_type text NOT NULL,
  size_bytes bigint NOT NULL,
  sha256 text NOT NULL,
  blob_key text NOT NULL,
  state text NOT NULL DEFAULT 'pending' CONSTRAINT documents_state CHECK (state IN ('pending', 'ready', 'failed')),
  failure_code text,
  failure_message text,
  page_count int,
  chunk_count int NOT NULL DEFAULT 0,
  ingested text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT documents_failure CHECK ((state = 'failed') = (failure_code IS NOT NULL))
);
CREATE UNIQUE INDEX documents_base_name ON documents (knowledge_base_id, name);

CREATE TABLE chunks (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  knowledge_base_id uuid NOT NULL REFERENCES knowledge_bases ON DELETE CASCADE,
  document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
  ordinal int NOT NULL,
  page int,
  section text,
  char_start int NOT NULL,
  char_end int NOT NULL,
  text text NOT NULL,
  content_hash text NOT NULL,
  length int NOT NULL,
  weights sparsevec(536870912) NOT NULL,
  lexemes tsvector NOT NULL,
  embedding halfvec(384) NOT NULL
);
-- Inline, so that an exact scan reads vectors from the heap and never from a second table.
ALTER TABLE chunks ALTER COLUMN embedding SET STORAGE PLAIN, ALTER COLUMN weights SET STORAGE MAIN;
CREATE UNIQUE INDEX chunks_document ON chunks (document_id, ordinal);
CREATE INDEX chunks_base ON chunks (knowledge_base_id);
CREATE INDEX chunks_lexemes ON chunks USING gin (lexemes) WITH (fastupdate = off);
CREATE INDEX chunks_embedding ON chunks USING hnsw (embedding halfvec_ip_ops) WITH (m = 16, ef_construction = 64);

CREATE TABLE knowledge_terms (
  knowledge_base_id uuid NOT NULL REFERENCES knowledge_bases ON DELETE CASCADE,
  term text NOT NULL,
  organization_id uuid NOT NULL,
  chunks int NOT NULL,
  PRIMARY KEY (knowledge_base_id, term)
);
"""

# Row-level security keeps an index from being used for `@@`, which is not leakproof: as the application's role a
# lexical search would read every chunk of the base. The function runs as the owner and puts the same fence up itself.
_FUNCTIONS = """
CREATE FUNCTION knowledge_term(lexeme text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (('x' || left(md5(lexeme), 8))::bit(32)::bigint & 536870911)::int + 1
$$;

CREATE FUNCTION knowledge_lexical_search(base uuid, covering tsquery, query sparsevec, mean_length float8, depth int)
RETURNS TABLE (id uuid, score float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT chunks.id, -(chunks.weights <#> query) / (0.8 + 0.2 * chunks.length / mean_length)
  FROM chunks
  WHERE chunks.lexemes @@ covering AND chunks.knowledge_base_id = base
    AND chunks.organization_id = nullif(current_setting('waybill.organization_id', true), '')::uuid
  ORDER BY 2 DESC, 1 LIMIT depth
$$;
REVOKE ALL ON FUNCTION knowledge_lexical_search FROM PUBLIC;
GRANT EXECUTE ON FUNCTION knowledge_lexical_search TO waybill_app;

-- The planner would rather sort a whole knowledge base than walk the graph.
CREATE FUNCTION knowledge_nearest(base uuid, query halfvec, depth int)
RETURNS TABLE (id uuid, score float8)
LANGUAGE sql STABLE SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET hnsw.ef_search = 200 SET hnsw.iterative_scan = 'relaxed_order' SET hnsw.max_scan_tuples = 200000
SET hnsw.scan_mem_multiplier = 4 AS $$
  SELECT chunks.id, -(chunks.embedding <#> query) FROM chunks WHERE chunks.knowledge_base_id = base
  ORDER BY chunks.embedding <#> query LIMIT depth
$$;
"""

_FENCED = ("knowledge_bases", "documents", "chunks", "knowledge_terms")


def upgrade() -> None:
    """Create the tables. The extension needs a trusted or pre-installed pgvector on managed services."""
    op.execute(_TABLES)
    op.execute(_FUNCTIONS)
    for table in _FENCED:
        fence_tenant(table)


def downgrade() -> None:
    """Remove the tables; the extension stays, since others may use it."""
    op.execute("DROP FUNCTION knowledge_lexical_search, knowledge_nearest, knowledge_term")
    for table in reversed(_FENCED):
        op.execute(f"DROP TABLE {table} CASCADE")
