"""Statistics of the knowledge tables as soon as there is something to plan with, not when autovacuum comes by."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# Only a table's owner may ANALYZE, so the function runs as the owner and the application may do nothing else with it.
# A table is analyzed when it never was, or when more than a fifth of it is new. Whoever finds it locked leaves it: the
# holder is analyzing or vacuuming it.
_FUNCTION = """
CREATE FUNCTION knowledge_refresh_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE stale record;
BEGIN
  FOR stale IN
    SELECT held.relname FROM pg_class AS held LEFT JOIN pg_stat_user_tables AS counted ON counted.relid = held.oid
    WHERE held.oid IN ('public.knowledge_bases'::regclass, 'public.documents'::regclass, 'public.chunks'::regclass,
      'public.knowledge_terms'::regclass)
      AND (held.reltuples <= 0 OR coalesce(counted.n_mod_since_analyze, 0) > 0.2 * held.reltuples)
    ORDER BY held.relname
  LOOP
    BEGIN
      EXECUTE format('ANALYZE public.%I', stale.relname);
    EXCEPTION WHEN lock_not_available THEN NULL;
    END;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION knowledge_refresh_statistics FROM PUBLIC;
GRANT EXECUTE ON FUNCTION knowledge_refresh_statistics TO waybill_app;
"""


def upgrade() -> None:
    """Create the function."""
    op.execute(_FUNCTION)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP FUNCTION knowledge_refresh_statistics")
