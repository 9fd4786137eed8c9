"""The spine: roles, partitions, tenants and keys, jobs with their events and checkpoints."""

from alembic import op

from infra.migrations.support import fence_tenant, partition_by_month

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROLES = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_app') THEN CREATE ROLE waybill_app NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_system') THEN CREATE ROLE waybill_system NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server migrates right now
END $$;
GRANT waybill_app, waybill_system TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO waybill_app, waybill_system;
"""

# A UUIDv7 begins with 48 bits of Unix milliseconds (RFC 9562, section 5.7), so a month is a range of keys.
_PARTITIONS = """
CREATE TABLE partitioned_tables (name text PRIMARY KEY);

CREATE FUNCTION uuid7_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- The API's form of an id (core.kit.ids): the prefix and 26 characters of base32.
CREATE FUNCTION typeid(prefix text, id uuid) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT prefix || '_' || string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',
    substring(B'00' || ('x' || replace(id::text, '-', ''))::bit(128) FROM place * 5 + 1 FOR 5)::bit(5)::int + 1, 1),
    '' ORDER BY place)
  FROM generate_series(0, 25) AS place
$$;

CREATE FUNCTION ensure_partitions(months_ahead int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  parent text; first timestamptz; child text; made int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7201946);
  FOR parent IN SELECT name FROM partitioned_tables ORDER BY name LOOP
    FOR ahead IN 0..months_ahead LOOP
      first := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
      child := parent || '_' || to_char(first AT TIME ZONE 'UTC', 'YYYYMM');
      IF to_regclass(child) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, parent,
          uuid7_floor(first), uuid7_floor((first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'));
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION ensure_partitions(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions(int) TO waybill_system;
"""

_TENANTS = """
CREATE TABLE organizations (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE projects (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  name text NOT NULL,
  weight int NOT NULL DEFAULT 1 CONSTRAINT projects_weight CHECK (weight BETWEEN 1 AND 1000),
  max_concurrent_jobs int CONSTRAINT projects_max_concurrent_jobs CHECK (max_concurrent_jobs >= 1),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX projects_organization_name ON projects (organization_id, name);
CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid NOT NULL REFERENCES projects,
  name text NOT NULL,
  prefix text NOT NULL,
  hash bytea NOT NULL UNIQUE,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX api_keys_project ON api_keys (project_id);
CREATE TABLE idempotency_keys (
  project_id uuid NOT NULL,
  key text NOT NULL,
  organization_id uuid NOT NULL,
  request_digest bytea NOT NULL,
  status int NOT NULL,
  location text,
  body bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
"""

_JOBS = """
CREATE TYPE job_state AS ENUM (
  'queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'expired', 'rejected');

CREATE TABLE jobs (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  key_id uuid,
  capability text NOT NULL,
  pool text NOT NULL,
  state job_state NOT NULL DEFAULT 'queued',
  reason text,
  error jsonb,
  priority smallint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  run_at timestamptz NOT NULL DEFAULT now(),
  deadline_at timestamptz,
  dispatched_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  cancel_requested_at timestamptz,
  attempt int NOT NULL DEFAULT 0,
  failures int NOT NULL DEFAULT 0,
  max_attempts int NOT NULL DEFAULT 3,
  lease_expires_at timestamptz,
  worker text,
  parent_id uuid,
  root_id uuid,
  traceparent text,
  metadata jsonb NOT NULL DEFAULT '{}',
  input jsonb,
  input_ref text,
  result jsonb,
  result_ref text,
  usage jsonb NOT NULL DEFAULT '[]',
  cost_usd numeric(18, 9) NOT NULL DEFAULT 0,
  max_cost_usd numeric(18, 9),
  input_digest bytea,
  result_digest bytea,
  event_last bigint NOT NULL DEFAULT 1,
  event_limit bigint NOT NULL DEFAULT 1,
  CONSTRAINT jobs_terminal_is_finished CHECK (
    (state IN ('succeeded', 'failed', 'cancelled', 'expired', 'rejected')) = (finished_at IS NOT NULL)),
  CONSTRAINT jobs_running_has_lease CHECK ((state = 'running') = (lease_expires_at IS NOT NULL)),
  CONSTRAINT jobs_waiting_reason CHECK (state <> 'waiting' OR reason IN ('input', 'children', 'budget')),
  CONSTRAINT jobs_failed_reason CHECK (state NOT IN ('failed', 'rejected') OR reason IS NOT NULL),
  CONSTRAINT jobs_result_once CHECK (result IS NULL OR result_ref IS NULL),
  CONSTRAINT jobs_input_once CHECK (input IS NULL OR input_ref IS NULL),
  CONSTRAINT jobs_max_cost CHECK (max_cost_usd > 0),
  CONSTRAINT jobs_attempt CHECK (attempt >= 0),
  CONSTRAINT jobs_max_attempts CHECK (max_attempts BETWEEN 1 AND 100),
  CONSTRAINT jobs_priority CHECK (priority BETWEEN 0 AND 2),
  CONSTRAINT jobs_event_ids CHECK (event_last <= event_limit)
) PARTITION BY RANGE (id);
CREATE INDEX jobs_due ON jobs (pool, priority, project_id, run_at, id) WHERE state = 'queued' AND dispatched_at IS NULL;
CREATE INDEX jobs_in_flight ON jobs (pool, project_id)
  WHERE state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL);
CREATE INDEX jobs_deadline ON jobs (deadline_at) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX jobs_unpaid ON jobs (pool) WHERE state = 'waiting' AND reason = 'budget';
CREATE INDEX jobs_project ON jobs (project_id, id);
CREATE INDEX jobs_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE job_events (
  job_id uuid NOT NULL,
  id bigint NOT NULL,
  previous bigint NOT NULL,
  organization_id uuid NOT NULL,
  type text NOT NULL,
  attempt int NOT NULL,
  data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, id)
) PARTITION BY RANGE (job_id);

CREATE TABLE job_checkpoints (
  job_id uuid NOT NULL,
  namespace text NOT NULL,
  id text NOT NULL,
  parent_id text,
  organization_id uuid NOT NULL,
  kind text NOT NULL,
  body bytea NOT NULL,
  metadata jsonb NOT NULL,
  PRIMARY KEY (job_id, namespace, id)
) PARTITION BY RANGE (job_id);

CREATE TABLE job_checkpoint_writes (
  job_id uuid NOT NULL,
  namespace text NOT NULL,
  checkpoint_id text NOT NULL,
  task_id text NOT NULL,
  index int NOT NULL,
  organization_id uuid NOT NULL,
  channel text NOT NULL,
  kind text NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (job_id, namespace, checkpoint_id, task_id, index)
) PARTITION BY RANGE (job_id);
"""

_TENANT_TABLES = (
    "projects",
    "api_keys",
    "idempotency_keys",
    "jobs",
    "job_events",
    "job_checkpoints",
    "job_checkpoint_writes",
)


_GUARD = """
CREATE FUNCTION jobs_guard_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state::text || '>' || NEW.state::text NOT IN (
    'queued>cancelled', 'queued>expired', 'queued>rejected', 'queued>running', 'running>cancelled',
    'running>expired', 'running>failed', 'running>queued', 'running>succeeded', 'running>waiting',
    'waiting>cancelled', 'waiting>expired', 'waiting>queued') THEN
    RAISE EXCEPTION 'a job may not go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation',
      CONSTRAINT = 'jobs_guard_transition';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER jobs_guard_transition BEFORE UPDATE OF state ON jobs FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION jobs_guard_transition();
"""


def upgrade() -> None:
    """Create everything. The states and transitions repeat `core.jobs.states`; a test compares the two."""
    op.execute(_ROLES)
    op.execute(_PARTITIONS)
    op.execute(_TENANTS)
    op.execute(_JOBS)
    op.execute(_GUARD)
    fence_tenant("organizations", "id")
    for table in _TENANT_TABLES:
        fence_tenant(table)
    for table in ("jobs", "job_events", "job_checkpoints", "job_checkpoint_writes"):
        partition_by_month(table)


def downgrade() -> None:
    """Remove everything but the roles, which other databases of the server may share."""
    for table in (*reversed(_TENANT_TABLES), "organizations", "partitioned_tables"):
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP FUNCTION jobs_guard_transition, ensure_partitions, uuid7_floor, typeid")
    op.execute("DROP TYPE job_state")
