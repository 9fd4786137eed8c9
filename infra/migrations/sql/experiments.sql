-- Experiments over model and prompt versions, who was exposed to what, and what people thought of results.

CREATE TABLE experiments (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid,
  capability text NOT NULL CONSTRAINT experiments_capability CHECK (length(capability) BETWEEN 3 AND 200),
  name text NOT NULL CONSTRAINT experiments_name_length CHECK (length(name) BETWEEN 1 AND 200),
  unit text NOT NULL CONSTRAINT experiments_unit CHECK (unit IN ('job', 'end_user', 'key', 'project')),
  state text NOT NULL DEFAULT 'draft' CONSTRAINT experiments_state CHECK (
    state IN ('draft', 'running', 'paused', 'promoted', 'rolled_back', 'stopped')),
  salt bytea NOT NULL CONSTRAINT experiments_salt CHECK (octet_length(salt) = 32),
  plan jsonb NOT NULL,
  guardrails jsonb NOT NULL DEFAULT '[]',
  ramp jsonb NOT NULL DEFAULT '[]',
  canary jsonb,
  share numeric(9, 8) NOT NULL DEFAULT 1 CONSTRAINT experiments_share CHECK (share > 0 AND share <= 1),
  allocation int NOT NULL DEFAULT 0 CONSTRAINT experiments_allocation CHECK (allocation >= 0),
  promoted_arm_id uuid,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  ended_at timestamptz,
  evaluate_after timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT experiments_project FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id),
  CONSTRAINT experiments_promoted_arm CHECK ((state = 'promoted') <= (promoted_arm_id IS NOT NULL)),
  CONSTRAINT experiments_started CHECK ((state IN ('draft', 'stopped')) OR started_at IS NOT NULL)
);
CREATE UNIQUE INDEX experiments_name ON experiments (organization_id, name);
-- Two experiments on one audience would each see the other's arms as noise, or as a difference.
CREATE UNIQUE INDEX experiments_one_at_a_time ON experiments (organization_id, capability, project_id) NULLS NOT DISTINCT
  WHERE state IN ('running', 'paused', 'promoted');
CREATE INDEX experiments_due ON experiments (evaluate_after) WHERE state = 'running';

CREATE TABLE experiment_arms (
  id uuid PRIMARY KEY,
  experiment_id uuid NOT NULL REFERENCES experiments,
  organization_id uuid NOT NULL,
  position smallint NOT NULL,
  name text NOT NULL CONSTRAINT experiment_arms_name_length CHECK (length(name) BETWEEN 1 AND 100),
  kind text NOT NULL CONSTRAINT experiment_arms_kind CHECK (kind IN ('control', 'treatment')),
  weight numeric(9, 8) NOT NULL CONSTRAINT experiment_arms_weight CHECK (weight > 0 AND weight < 1),
  model text,
  model_version_id uuid,
  prompt text,
  prompt_digest text,
  CONSTRAINT experiment_arms_name UNIQUE (experiment_id, name),
  CONSTRAINT experiment_arms_position UNIQUE (experiment_id, position),
  CONSTRAINT experiment_arms_model CHECK ((model IS NULL) = (model_version_id IS NULL)),
  CONSTRAINT experiment_arms_prompt CHECK ((prompt IS NULL) = (prompt_digest IS NULL))
);
CREATE UNIQUE INDEX experiment_arms_one_control ON experiment_arms (experiment_id) WHERE kind = 'control';

-- The weights that were in force, by number: results compare units within them.
CREATE TABLE experiment_allocations (
  experiment_id uuid NOT NULL REFERENCES experiments,
  number int NOT NULL,
  organization_id uuid NOT NULL,
  share numeric(9, 8) NOT NULL,
  weights jsonb NOT NULL,
  began_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (experiment_id, number)
);

-- No foreign keys: a check per job would be paid on the way to its first token.
CREATE TABLE experiment_exposures (
  experiment_id uuid NOT NULL,
  job_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  arm_id uuid NOT NULL,
  allocation int NOT NULL,
  unit_digest bytea NOT NULL,
  exposed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (experiment_id, job_id)
);
CREATE INDEX experiment_exposures_unit ON experiment_exposures (experiment_id, unit_digest, exposed_at);
CREATE INDEX experiment_exposures_job ON experiment_exposures (job_id);

CREATE TABLE job_feedback (
  job_id uuid NOT NULL,
  actor text NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  score numeric(5, 4) NOT NULL CONSTRAINT job_feedback_score CHECK (score BETWEEN 0 AND 1),
  comment text,
  given_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, actor)
);
