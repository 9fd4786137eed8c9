"""A login for each kind of process, and the one figure that the autoscaler reads."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# They inherit and own nothing: a transaction assumes one of two roles, and RESET ROLE leads back to a login that may
# only read which schema is there. Nobody can log in before `waybill migrate --passwords` has given them passwords.
_LOGINS = """
DO $$
DECLARE login text;
BEGIN
  FOREACH login IN ARRAY ARRAY['waybill_api', 'waybill_worker', 'waybill_dispatcher', 'waybill_deliverer',
    'waybill_scaler'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
        EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', login);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server migrates right now
    END;
  END LOOP;
END $$;
GRANT waybill_app, waybill_system TO waybill_api, waybill_worker, waybill_dispatcher WITH INHERIT FALSE, SET TRUE;
GRANT waybill_system TO waybill_deliverer WITH INHERIT FALSE, SET TRUE;
GRANT SELECT ON alembic_version TO waybill_api, waybill_worker, waybill_dispatcher, waybill_deliverer;
"""

# What waits for a worker or has one. The list in Redis is a short window and never shows what waits behind it, and
# without those that run a pool would be scaled in under them. Counting ends where no pool can follow.
_DEMAND = """
CREATE FUNCTION waybill_pool_demand(pool_name text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT (SELECT count(*) FROM (
      SELECT FROM jobs WHERE pool = pool_name AND state = 'queued' AND dispatched_at IS NULL AND run_at <= now()
        AND cancel_requested_at IS NULL LIMIT 10000) AS due)
    + (SELECT count(*) FROM jobs
      WHERE pool = pool_name AND (state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)))
$$;
REVOKE ALL ON FUNCTION waybill_pool_demand FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waybill_pool_demand TO waybill_scaler;
"""


def upgrade() -> None:
    """Create the logins, which may exist already: roles are the whole server's."""
    op.execute(_LOGINS)
    op.execute(_DEMAND)


def downgrade() -> None:
    """Take away what they may do here; other databases of the server may use them."""
    op.execute("DROP FUNCTION waybill_pool_demand")
    op.execute(
        "REVOKE SELECT ON alembic_version FROM waybill_api, waybill_worker, waybill_dispatcher, waybill_deliverer"
    )
