-- Batches: many jobs that are asked for together, fed into the queue a portion at a time.

-- The batch whose line a job is; NULL for every other job.
ALTER TABLE jobs ADD COLUMN batch_id uuid;
CREATE INDEX jobs_batch ON jobs (batch_id, id) WHERE batch_id IS NOT NULL;

-- The four counts and cost_usd are of settled lines: those that have ended and can cost nothing more. What is under way
-- is counted from its jobs, never more than a batch's window; the rest is queued. So no worker ever waits for this row.
CREATE TABLE batches (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid NOT NULL,
  key_id uuid,
  state text NOT NULL CONSTRAINT batches_state CHECK (state IN (
    'validating', 'in_progress', 'finalizing', 'completed', 'failed', 'cancelling', 'cancelled', 'expired')),
  -- What it becomes when its results are written.
  outcome text CONSTRAINT batches_outcome CHECK (outcome IN ('completed', 'cancelled', 'expired')),
  capability text,
  -- The capabilities that its caller might ask for when it was made.
  allowed text[] NOT NULL,
  priority smallint NOT NULL CONSTRAINT batches_priority CHECK (priority BETWEEN 0 AND 2),
  max_cost_usd numeric(18, 9) CONSTRAINT batches_max_cost CHECK (max_cost_usd > 0),
  max_line_cost_usd numeric(18, 9) CONSTRAINT batches_max_line_cost CHECK (max_line_cost_usd > 0),
  deadline_at timestamptz,
  metadata jsonb NOT NULL DEFAULT '{}',
  webhook jsonb,
  input_file_id uuid,
  total int NOT NULL DEFAULT 0,
  succeeded int NOT NULL DEFAULT 0,
  failed int NOT NULL DEFAULT 0,
  cancelled int NOT NULL DEFAULT 0,
  expired int NOT NULL DEFAULT 0,
  cost_usd numeric(18, 9) NOT NULL DEFAULT 0,
  -- What is wrong with the lines of a failed one: the first of it, and how many lines.
  errors jsonb NOT NULL DEFAULT '[]',
  bad_lines int NOT NULL DEFAULT 0,
  -- Why lines wait although there is room for them, and until when nobody looks again.
  delayed_reason text,
  next_feed_at timestamptz NOT NULL DEFAULT now(),
  results_file_id uuid,
  results_sha256 text,
  results_size_bytes bigint,
  traceparent text,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  finished_at timestamptz,
  cancel_requested_at timestamptz,
  payload_erased_at timestamptz,
  CONSTRAINT batches_finished CHECK (
    (state IN ('completed', 'failed', 'cancelled', 'expired')) = (finished_at IS NOT NULL)),
  CONSTRAINT batches_settled CHECK (succeeded + failed + cancelled + expired <= total),
  CONSTRAINT batches_project FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id)
);
CREATE INDEX batches_of_project ON batches (project_id, id);
CREATE INDEX batches_open ON batches (state, id) WHERE finished_at IS NULL;
CREATE INDEX batches_with_payload ON batches (project_id, finished_at)
  WHERE finished_at IS NOT NULL AND payload_erased_at IS NULL;

-- A line is queued, then live while a job of its own works on it, then settled. It is given a job once: the key is the
-- batch and the line, and the job is noted in the transaction that makes it. The input moves to the job with that.
CREATE TABLE batch_lines (
  batch_id uuid NOT NULL REFERENCES batches ON DELETE CASCADE,
  line int NOT NULL CONSTRAINT batch_lines_line CHECK (line >= 1),
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  custom_id text NOT NULL,
  capability text NOT NULL,
  input jsonb,
  metadata jsonb,
  state text NOT NULL DEFAULT 'queued' CONSTRAINT batch_lines_state CHECK (
    state IN ('queued', 'live', 'succeeded', 'failed', 'cancelled', 'expired')),
  job_id uuid,
  cap_usd numeric(18, 9),
  cost_usd numeric(18, 9) NOT NULL DEFAULT 0,
  error jsonb,
  PRIMARY KEY (batch_id, line),
  CONSTRAINT batch_lines_job CHECK (CASE state WHEN 'queued' THEN job_id IS NULL WHEN 'live' THEN job_id IS NOT NULL
    ELSE true END)
);
CREATE UNIQUE INDEX batch_lines_custom_id ON batch_lines (batch_id, custom_id);
CREATE UNIQUE INDEX batch_lines_of_job ON batch_lines (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX batch_lines_queued ON batch_lines (batch_id, line) WHERE state = 'queued';
CREATE INDEX batch_lines_live ON batch_lines (batch_id, line) WHERE state = 'live';

-- A settled line's cost changes only when somebody corrects the ledger. Rows are locked job, line, batch; whoever
-- settles or cancels holds the batch and then touches live lines alone, so the two never wait for each other.
CREATE FUNCTION batch_job_corrected() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE settled uuid;
BEGIN
  UPDATE batch_lines SET cost_usd = cost_usd + NEW.cost_usd - OLD.cost_usd
  WHERE job_id = coalesce(NEW.root_id, NEW.id) AND state NOT IN ('queued', 'live') RETURNING batch_id INTO settled;
  IF FOUND THEN
    UPDATE batches SET cost_usd = cost_usd + NEW.cost_usd - OLD.cost_usd WHERE id = settled;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER batch_job_corrected AFTER UPDATE OF cost_usd ON jobs FOR EACH ROW
  WHEN (NEW.finished_at IS NOT NULL AND OLD.cost_usd IS DISTINCT FROM NEW.cost_usd)
  EXECUTE FUNCTION batch_job_corrected();

-- One message for a whole batch, in the transaction that ends it.
CREATE FUNCTION batch_ended() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE told text := 'batch.' || NEW.state; shown_id text := typeid('batch', NEW.id); facts jsonb;
BEGIN
  facts := jsonb_build_object(
    'id', shown_id,
    'project_id', typeid('prj', NEW.project_id),
    'state', NEW.state,
    'metadata', NEW.metadata,
    'counts', jsonb_build_object('total', NEW.total, 'succeeded', NEW.succeeded, 'failed', NEW.failed,
      'cancelled', NEW.cancelled, 'expired', NEW.expired),
    'bad_lines', NEW.bad_lines,
    'cost_usd', NEW.cost_usd::text,
    'results_file_id', typeid('file', NEW.results_file_id),
    'created_at', webhook_time(NEW.created_at),
    'finished_at', webhook_time(NEW.finished_at),
    'links', jsonb_build_object('self', '/v1/batches/' || shown_id, 'results', '/v1/batches/' || shown_id || '/results'));
  PERFORM webhook_tell(NEW.organization_id, NEW.project_id, told, facts);
  IF NEW.webhook IS NOT NULL THEN
    INSERT INTO webhook_deliveries (id, organization_id, project_id, url, lane, event, body, traceparent)
    VALUES (uuidv7(), NEW.organization_id, NEW.project_id, NEW.webhook->>'url',
      md5(NEW.project_id::text || (NEW.webhook->>'url'))::uuid, told, webhook_body(told, facts), NEW.traceparent);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER batch_ended AFTER UPDATE OF state ON batches FOR EACH ROW
  WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION batch_ended();

-- The lines of a batch are told of together, at its end; only one that waits for a person says so itself.
DROP TRIGGER webhook_job_changed ON jobs;
CREATE TRIGGER webhook_job_changed AFTER UPDATE OF state ON jobs FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state NOT IN ('queued', 'running') AND NEW.shadow_arm_id IS NULL
    AND (NEW.batch_id IS NULL OR NEW.state = 'waiting'))
  EXECUTE FUNCTION webhook_job_changed();
