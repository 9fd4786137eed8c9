-- Webhooks: who is told what, the messages with their exact bytes, and every attempt to deliver one.

CREATE TABLE webhook_endpoints (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid NOT NULL,
  url text NOT NULL CONSTRAINT webhook_endpoints_url CHECK (length(url) BETWEEN 1 AND 2048),
  description text NOT NULL DEFAULT '' CONSTRAINT webhook_endpoints_description CHECK (length(description) <= 500),
  -- None: every event of the project.
  events text[] NOT NULL DEFAULT '{}',
  include_result boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'active'
    CONSTRAINT webhook_endpoints_state CHECK (state IN ('active', 'paused', 'disabled')),
  disabled_reason text,
  -- When the first of the attempts failed that have failed ever since.
  failing_since timestamptz,
  is_slow boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_endpoints_disabled CHECK ((state = 'disabled') = (disabled_reason IS NOT NULL)),
  CONSTRAINT webhook_endpoints_project FOREIGN KEY (organization_id, project_id)
    REFERENCES projects (organization_id, id)
);
CREATE INDEX webhook_endpoints_of_project ON webhook_endpoints (project_id, id);
CREATE INDEX webhook_endpoints_of_organization ON webhook_endpoints (organization_id);

-- Sealed with the installation's key. The owner is an endpoint, or a project: for the webhooks that jobs name themselves.
CREATE TABLE webhook_secrets (
  owner_id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  sealed bytea NOT NULL,
  previous bytea,
  previous_until timestamptz,
  rotated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_secrets_previous CHECK ((previous IS NULL) = (previous_until IS NULL)),
  CONSTRAINT webhook_secrets_project FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id)
);

-- A message to one receiver. While it is `pending`, next_attempt_at is when it is due; while it is held by a process
-- (`is_held`), it is when that process has lost it. `lane` is what shares a receiver: an endpoint, or a URL.
CREATE TABLE webhook_deliveries (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  endpoint_id uuid,
  url text,
  lane uuid NOT NULL,
  event text NOT NULL,
  job_id uuid,
  body bytea,
  has_result boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'pending'
    CONSTRAINT webhook_deliveries_state CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
  -- How often it was taken up, which fences; and how often in this round it failed, which says when to try again.
  attempts int NOT NULL DEFAULT 0,
  failures int NOT NULL DEFAULT 0,
  is_held boolean NOT NULL DEFAULT false,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  last_status int,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  traceparent text,
  CONSTRAINT webhook_deliveries_receiver CHECK ((endpoint_id IS NULL) <> (url IS NULL)),
  CONSTRAINT webhook_deliveries_finished CHECK ((state = 'pending') = (finished_at IS NULL)),
  CONSTRAINT webhook_deliveries_held CHECK (state = 'pending' OR NOT is_held),
  CONSTRAINT webhook_deliveries_body CHECK (state <> 'pending' OR body IS NOT NULL)
) PARTITION BY RANGE (id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (lane, next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_held ON webhook_deliveries (lane, next_attempt_at) WHERE is_held;
CREATE INDEX webhook_deliveries_of_project ON webhook_deliveries (project_id, id);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, id) WHERE endpoint_id IS NOT NULL;
CREATE INDEX webhook_deliveries_of_job ON webhook_deliveries (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE webhook_attempts (
  delivery_id uuid NOT NULL,
  number int NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  began_at timestamptz NOT NULL,
  latency_ms int NOT NULL,
  status int,
  error text,
  PRIMARY KEY (delivery_id, number)
) PARTITION BY RANGE (delivery_id);

-- What was announced once and is never announced again.
CREATE TABLE webhook_notices (
  subject_id uuid NOT NULL,
  event text NOT NULL,
  organization_id uuid NOT NULL,
  announced_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (subject_id, event)
);

ALTER TABLE jobs ADD COLUMN webhook jsonb;

CREATE FUNCTION webhook_time(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

CREATE FUNCTION webhook_body(event text, data jsonb) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT convert_to(
    jsonb_build_object('type', event, 'timestamp', webhook_time(clock_timestamp()), 'data', data)::text, 'UTF8')
$$;

-- Tell the endpoints of one project, but for `except_id`; or, when `of_project` is NULL, those endpoints of the whole
-- organisation that ask for this event by name. Returns how many are told.
CREATE FUNCTION webhook_tell(of_organization uuid, of_project uuid, told text, data jsonb, except_id uuid DEFAULT NULL)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE made int;
BEGIN
  INSERT INTO webhook_deliveries (id, organization_id, project_id, endpoint_id, lane, event, body)
  SELECT uuidv7(), organization_id, project_id, id, id, told, webhook_body(told, data)
  FROM webhook_endpoints
  WHERE organization_id = of_organization AND state <> 'disabled' AND id IS DISTINCT FROM except_id
    AND CASE WHEN of_project IS NULL THEN told = ANY(events)
      ELSE project_id = of_project AND (events = '{}' OR told = ANY(events)) END;
  GET DIAGNOSTICS made = ROW_COUNT;
  RETURN made;
END $$;

-- In the transaction, and the statement, that ends a job or lets it wait. Two index probes when nobody is to be told.
CREATE FUNCTION webhook_job_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE told text := 'job.' || NEW.state; shown_id text; facts jsonb;
BEGIN
  IF NEW.webhook IS NULL
    AND NOT EXISTS (SELECT FROM webhook_endpoints WHERE project_id = NEW.project_id AND state <> 'disabled') THEN
    RETURN NULL;
  END IF;
  shown_id := typeid('job', NEW.id);
  facts := jsonb_build_object(
    'id', shown_id,
    'project_id', typeid('prj', NEW.project_id),
    'capability', NEW.capability,
    'state', NEW.state,
    'reason', NEW.reason,
    'error', NEW.error,
    'metadata', NEW.metadata,
    'attempt', NEW.attempt,
    'created_at', webhook_time(NEW.created_at),
    'finished_at', webhook_time(NEW.finished_at),
    'cost_usd', NEW.cost_usd::text,
    'links', jsonb_build_object('self', '/v1/jobs/' || shown_id));
  INSERT INTO webhook_deliveries (id, organization_id, project_id, endpoint_id, url, lane, event, job_id, body,
    has_result, traceparent)
  SELECT uuidv7(), NEW.organization_id, NEW.project_id, receiver.id, receiver.url, receiver.lane, told, NEW.id,
    webhook_body(told, CASE WHEN receiver.with_result THEN facts || jsonb_build_object('result', NEW.result)
      ELSE facts END), receiver.with_result AND NEW.result IS NOT NULL, NEW.traceparent
  FROM (
    SELECT id, NULL AS url, id AS lane, include_result AS with_result FROM webhook_endpoints
    WHERE project_id = NEW.project_id AND organization_id = NEW.organization_id AND state <> 'disabled'
      AND (events = '{}' OR told = ANY(events))
    UNION ALL
    SELECT NULL, NEW.webhook->>'url', md5(NEW.project_id::text || (NEW.webhook->>'url'))::uuid,
      (NEW.webhook->>'include_result')::boolean
    WHERE NEW.webhook IS NOT NULL
      AND (NEW.webhook->'events' = '[]' OR NEW.webhook->'events' ? told)
  ) AS receiver;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_job_changed AFTER UPDATE OF state ON jobs FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state NOT IN ('queued', 'running'))
  EXECUTE FUNCTION webhook_job_changed();

-- A result that retention takes away must not stay in a message.
CREATE FUNCTION webhook_job_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE webhook_deliveries SET body = NULL, is_held = false, finished_at = coalesce(finished_at, now()),
    state = CASE WHEN state = 'pending' THEN 'failed' ELSE state END,
    last_error = CASE WHEN state = 'pending' THEN 'body_erased' ELSE last_error END
  WHERE job_id = NEW.id AND has_result;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_job_erased AFTER UPDATE OF payload_erased_at ON jobs FOR EACH ROW
  WHEN (OLD.payload_erased_at IS NULL AND NEW.payload_erased_at IS NOT NULL) EXECUTE FUNCTION webhook_job_erased();

CREATE FUNCTION webhook_budget_alerted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE budget record;
BEGIN
  IF NOT EXISTS (SELECT FROM webhook_endpoints WHERE organization_id = NEW.organization_id AND state <> 'disabled') THEN
    RETURN NULL;
  END IF;
  SELECT budgets.*, CASE scope WHEN 'project' THEN scope_id
    WHEN 'key' THEN (SELECT project_id FROM api_keys WHERE api_keys.id = scope_id) END AS of_project INTO budget
  FROM budgets WHERE id = NEW.budget_id;
  PERFORM webhook_tell(NEW.organization_id, budget.of_project, 'budget.threshold', jsonb_build_object(
    'budget_id', typeid('bud', NEW.budget_id), 'name', budget.name, 'scope', budget.scope,
    'threshold', NEW.threshold, 'spent_usd', NEW.spent_usd::text, 'limit_usd', NEW.limit_usd::text,
    'raised_at', webhook_time(NEW.raised_at)));
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_budget_alerted AFTER INSERT ON budget_alerts FOR EACH ROW
  EXECUTE FUNCTION webhook_budget_alerted();

CREATE FUNCTION webhook_experiment_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM webhook_tell(NEW.organization_id, NEW.project_id, 'experiment.decided', jsonb_build_object(
    'experiment_id', typeid('exp', NEW.id), 'name', NEW.name, 'capability', NEW.capability, 'state', NEW.state,
    'promoted_arm_id', typeid('arm', NEW.promoted_arm_id), 'reason', NEW.reason,
    'decided_at', webhook_time(now())));
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_experiment_decided AFTER UPDATE OF state ON experiments FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state IN ('promoted', 'rolled_back', 'stopped')
    AND OLD.state <> 'draft') EXECUTE FUNCTION webhook_experiment_decided();

-- Announce each key that ends within `ahead` once; returns how many keys.
CREATE FUNCTION webhook_announce_keys(ahead interval) RETURNS int LANGUAGE plpgsql AS $$
DECLARE announced int := 0; expiring record;
BEGIN
  FOR expiring IN
    INSERT INTO webhook_notices (subject_id, event, organization_id)
    SELECT key.id, 'key.expiring', key.organization_id FROM api_keys AS key
    WHERE key.expires_at BETWEEN now() AND now() + ahead AND key.revoked_at IS NULL AND key.replaced_by IS NULL
      AND EXISTS (SELECT FROM webhook_endpoints AS endpoint
        WHERE endpoint.project_id = key.project_id AND endpoint.state <> 'disabled')
    ON CONFLICT DO NOTHING RETURNING subject_id
  LOOP
    PERFORM webhook_tell(organization_id, project_id, 'key.expiring', jsonb_build_object(
      'key_id', typeid('key', id), 'project_id', typeid('prj', project_id), 'name', name, 'prefix', prefix,
      'expires_at', webhook_time(expires_at)))
    FROM api_keys WHERE id = expiring.subject_id;
    announced := announced + 1;
  END LOOP;
  RETURN announced;
END $$;
