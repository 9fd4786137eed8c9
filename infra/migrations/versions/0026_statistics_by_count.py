"""A large table's statistics are old, too, when many of its rows are new though they are a small share."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# A base that statistics do not know yet is searched by reading all of it, which so many chunks bound.
_FUNCTION = """
CREATE OR REPLACE FUNCTION knowledge_refresh_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE stale record;
BEGIN
  FOR stale IN
    SELECT held.relname FROM pg_class AS held LEFT JOIN pg_stat_user_tables AS counted ON counted.relid = held.oid
    WHERE held.oid IN ('public.knowledge_bases'::regclass, 'public.documents'::regclass, 'public.chunks'::regclass,
      'public.knowledge_terms'::regclass)
      AND (held.reltuples <= 0
        OR pg_relation_size(held.oid) > 1.2 * held.relpages * current_setting('block_size')::bigint
        OR coalesce(counted.n_mod_since_analyze, 0) > {changed})
    ORDER BY held.relname
  LOOP
    BEGIN
      EXECUTE format('ANALYZE public.%I', stale.relname);
    EXCEPTION WHEN lock_not_available THEN NULL;
    END;
  END LOOP;
END $$;
"""


def upgrade() -> None:
    """Analyze when a fifth of a table is new, or 2,000 of its rows."""
    op.execute(_FUNCTION.format(changed="least(0.2 * held.reltuples, 2000)"))


def downgrade() -> None:
    """Go by the share alone."""
    op.execute(_FUNCTION.format(changed="0.2 * held.reltuples"))
