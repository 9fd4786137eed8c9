"""A login for each kind of process, and the figure that the autoscaler reads."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# They inherit and own nothing: a transaction assumes one of two roles, and RESET ROLE leads back to a login that may
# only read the schema version. No one can log in before `waybill migrate --passwords` has set passwords.
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

# Jobs that wait for a worker or have one. The list in Redis is a short window and never shows the jobs behind it, and
# without running jobs a pool would be scaled in under them. The count stops where no pool can follow.
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
    """Create the logins, which may already exist: roles belong to the whole server."""
    op.execute(_LOGINS)
    op.execute(_DEMAND)


def downgrade() -> None:
    """Revoke their rights here; other databases of the server may use them."""
    op.execute("DROP FUNCTION waybill_pool_demand")
    op.execute(
        "REVOKE SELECT ON alembic_version FROM waybill_api, waybill_worker, waybill_dispatcher, waybill_deliverer"
    )
