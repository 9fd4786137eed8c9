-- Shadow arms: a sample of the jobs that succeeded is run again, by another version, for nobody to see.

-- The arm that a shadow job runs under; NULL for every job that somebody asked for.
ALTER TABLE jobs ADD COLUMN shadow_arm_id uuid;

-- What shadows may cost: {"max_cost_usd": a job, "budget_usd": all of them}.
ALTER TABLE experiments ADD COLUMN shadow jsonb;
ALTER TABLE experiment_arms
  DROP CONSTRAINT experiment_arms_kind,
  DROP CONSTRAINT experiment_arms_weight,
  ADD CONSTRAINT experiment_arms_kind CHECK (kind IN ('control', 'treatment', 'shadow')),
  ADD CONSTRAINT experiment_arms_weight CHECK (weight > 0 AND weight <= 1);

-- One row for each job to be run again by an arm. No foreign keys, for the same reason as with exposures.
CREATE TABLE shadow_runs (
  arm_id uuid NOT NULL,
  job_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  experiment_id uuid NOT NULL,
  state text NOT NULL DEFAULT 'due' CONSTRAINT shadow_runs_state CHECK (state IN ('due', 'started', 'dropped')),
  reason text,
  shadow_job_id uuid,
  made_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (arm_id, job_id),
  CONSTRAINT shadow_runs_started CHECK ((state = 'started') = (shadow_job_id IS NOT NULL)),
  CONSTRAINT shadow_runs_dropped CHECK ((state = 'dropped') = (reason IS NOT NULL))
);
CREATE INDEX shadow_runs_due ON shadow_runs (made_at) WHERE state = 'due';
CREATE INDEX shadow_runs_experiment ON shadow_runs (experiment_id, state);

-- Where in [0, 1) a job lies for an arm: the first 24 bits of a hash under the experiment's salt.
CREATE FUNCTION shadow_place(salt bytea, arm uuid, job uuid) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (get_byte(digest, 0) * 65536 + get_byte(digest, 1) * 256 + get_byte(digest, 2)) / 16777216.0
  FROM sha256(salt || uuid_send(arm) || uuid_send(job)) AS digest
$$;

-- In the statement that ends a job, so that none is forgotten and none is taken twice. One index probe where nothing runs.
CREATE FUNCTION job_shadowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO shadow_runs (arm_id, job_id, organization_id, project_id, experiment_id)
  SELECT arm.id, NEW.id, NEW.organization_id, NEW.project_id, experiment.id
  FROM (
    SELECT id, salt FROM experiments
    WHERE organization_id = NEW.organization_id AND capability = NEW.capability AND state = 'running'
      AND (project_id IS NULL OR project_id = NEW.project_id)
    ORDER BY project_id IS NULL LIMIT 1
  ) AS experiment
  JOIN experiment_arms AS arm ON arm.experiment_id = experiment.id AND arm.kind = 'shadow'
  WHERE shadow_place(experiment.salt, arm.id, NEW.id) < arm.weight;
  RETURN NULL;
END $$;
CREATE TRIGGER job_shadowed AFTER UPDATE OF state ON jobs FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state = 'succeeded' AND NEW.shadow_arm_id IS NULL)
  EXECUTE FUNCTION job_shadowed();

-- Nobody is told about a shadow.
DROP TRIGGER webhook_job_changed ON jobs;
CREATE TRIGGER webhook_job_changed AFTER UPDATE OF state ON jobs FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state NOT IN ('queued', 'running') AND NEW.shadow_arm_id IS NULL)
  EXECUTE FUNCTION webhook_job_changed();
