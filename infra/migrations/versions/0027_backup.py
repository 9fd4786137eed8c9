"""A login that reads every row and writes none, for backups; and room between restored and lost positions of events."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Policies of its own instead of BYPASSRLS, which managed services do not grant. What this owner creates later, such as
# a month's partition, it may read by default; a later table with row security needs its policy `backup`, too.
_LOGIN = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_backup') THEN
    CREATE ROLE waybill_backup LOGIN NOINHERIT;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server migrates right now
END $$;
GRANT USAGE ON SCHEMA public TO waybill_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO waybill_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO waybill_backup;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO waybill_backup;
DO $$
DECLARE fenced regclass;
BEGIN
  FOR fenced IN SELECT oid FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace LOOP
    EXECUTE format('CREATE POLICY backup ON %s FOR SELECT TO waybill_backup USING (true)', fenced);
  END LOOP;
END $$;
"""
_WITHOUT_LOGIN = """
DO $$
DECLARE fenced regclass;
BEGIN
  FOR fenced IN SELECT polrelid FROM pg_policy WHERE polname = 'backup' LOOP
    EXECUTE format('DROP POLICY backup ON %s', fenced);
  END LOOP;
END $$;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM waybill_backup;
REVOKE SELECT ON ALL SEQUENCES IN SCHEMA public FROM waybill_backup;
REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM waybill_backup;
REVOKE USAGE ON SCHEMA public FROM waybill_backup;
"""

_RESTART = """
DROP FUNCTION {before};
CREATE FUNCTION events_restart({parameters}) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE epoch bigint;
BEGIN
  SELECT greatest(0, coalesce(max(position), 0) + 1 {lost} - pg_current_xact_id()::text::bigint)
  INTO epoch FROM job_events;
  EXECUTE format(
    'CREATE OR REPLACE FUNCTION events_epoch() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
    format('SELECT %s::bigint', greatest(epoch, events_epoch())));
  RETURN greatest(epoch, events_epoch());
END $$;
REVOKE ALL ON FUNCTION events_restart FROM PUBLIC;
"""


def upgrade() -> None:
    """Make the login, which may exist already, and let a restore step over what clients saw after the dump."""
    op.execute(_LOGIN)
    op.execute(_RESTART.format(before="events_restart()", parameters="lost bigint DEFAULT 0", lost="+ lost"))


def downgrade() -> None:
    """Take away what the login may do here; other databases of the server may use it."""
    op.execute(_WITHOUT_LOGIN)
    op.execute(_RESTART.format(before="events_restart(bigint)", parameters="", lost=""))
