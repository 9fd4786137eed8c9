"""Judge by a table's size whether its statistics are old: counts of changes are reported up to a second late."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_FUNCTION = """
CREATE OR REPLACE FUNCTION knowledge_refresh_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE stale record;
BEGIN
  FOR stale IN
    SELECT held.relname FROM pg_class AS held LEFT JOIN pg_stat_user_tables AS counted ON counted.relid = held.oid
    WHERE held.oid IN ('public.knowledge_bases'::regclass, 'public.documents'::regclass, 'public.chunks'::regclass,
      'public.knowledge_terms'::regclass)
      AND (held.reltuples <= 0 {grown} OR coalesce(counted.n_mod_since_analyze, 0) > 0.2 * held.reltuples)
    ORDER BY held.relname
  LOOP
    BEGIN
      EXECUTE format('ANALYZE public.%I', stale.relname);
    EXCEPTION WHEN lock_not_available THEN NULL;
    END;
  END LOOP;
END $$;
"""
_GROWN = "OR pg_relation_size(held.oid) > 1.2 * held.relpages * current_setting('block_size')::bigint"


def upgrade() -> None:
    """A table that grew by a fifth since it was analyzed is analyzed again."""
    op.execute(_FUNCTION.format(grown=_GROWN))


def downgrade() -> None:
    """Go by the counts alone."""
    op.execute(_FUNCTION.format(grown=""))
