-- Quality over time: signals of jobs that have ended, their sums by the hour, and alerts when a version answers worse.

-- One signal of one job: `numerator` of `denominator`, which is 1 for scores and means.
CREATE TABLE quality_signals (
  job_id uuid NOT NULL,
  signal text NOT NULL CONSTRAINT quality_signals_signal CHECK (signal ~ '^[a-z_]{1,40}$'),
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  capability text NOT NULL,
  model_version text NOT NULL,
  prompt_version text NOT NULL,
  arm_id uuid,
  is_shadow boolean NOT NULL,
  numerator float8 NOT NULL,
  denominator float8 NOT NULL CONSTRAINT quality_signals_denominator CHECK (denominator > 0),
  ended_at timestamptz NOT NULL,
  PRIMARY KEY (job_id, signal)
) PARTITION BY RANGE (job_id);
CREATE INDEX quality_signals_series ON quality_signals (organization_id, capability, signal, ended_at);

-- Which words an input consists of: a histogram of hashes. It goes with the payload that it describes.
CREATE TABLE quality_inputs (
  job_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  capability text NOT NULL,
  words bytea NOT NULL CONSTRAINT quality_inputs_words CHECK (octet_length(words) = 512),
  ended_at timestamptz NOT NULL,
  PRIMARY KEY (job_id)
) PARTITION BY RANGE (job_id);
CREATE INDEX quality_inputs_series ON quality_inputs (organization_id, capability, ended_at, job_id);

-- Sums over the jobs that ended within an hour. With `numerator` y and `denominator` n of a job: sums of 1, n, y, y²,
-- n y and n². Jobs that were run for a comparison's sake only (shadows) are not in them.
CREATE TABLE quality_hours (
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  capability text NOT NULL,
  model_version text NOT NULL,
  prompt_version text NOT NULL,
  signal text NOT NULL,
  hour timestamptz NOT NULL,
  jobs bigint NOT NULL,
  denominators float8 NOT NULL,
  numerators float8 NOT NULL,
  numerators_squared float8 NOT NULL,
  products float8 NOT NULL,
  denominators_squared float8 NOT NULL,
  PRIMARY KEY (organization_id, capability, signal, hour, project_id, model_version, prompt_version)
);
CREATE INDEX quality_hours_age ON quality_hours (hour);

-- Jobs about which people said something: their signals of it are to be written again.
CREATE TABLE quality_pending (
  job_id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  noted_at timestamptz NOT NULL DEFAULT now()
);

-- What is known of one signal of one version: its baseline, and the statistics that look for a change.
CREATE TABLE quality_streams (
  organization_id uuid NOT NULL,
  capability text NOT NULL,
  model_version text NOT NULL,
  signal text NOT NULL,
  state jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, capability, signal, model_version)
);

CREATE TABLE quality_alerts (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  capability text NOT NULL,
  model_version text NOT NULL,
  signal text NOT NULL,
  direction text NOT NULL CONSTRAINT quality_alerts_direction CHECK (direction IN ('lower', 'higher', 'drift')),
  is_worse boolean NOT NULL,
  state text NOT NULL DEFAULT 'open' CONSTRAINT quality_alerts_state CHECK (state IN ('open', 'acknowledged', 'closed')),
  baseline_version text NOT NULL,
  baseline_mean float8,
  baseline_jobs bigint NOT NULL,
  observed_mean float8,
  observed_jobs bigint NOT NULL,
  evidence float8 NOT NULL,
  threshold float8 NOT NULL,
  began_at timestamptz NOT NULL,
  raised_at timestamptz NOT NULL DEFAULT now(),
  job_ids uuid[] NOT NULL CONSTRAINT quality_alerts_cases CHECK (cardinality(job_ids) <= 10),
  acknowledged_by text,
  acknowledged_at timestamptz,
  closed_by text,
  closed_at timestamptz,
  reason text CONSTRAINT quality_alerts_reason CHECK (length(reason) <= 1000),
  CONSTRAINT quality_alerts_acknowledged CHECK (state <> 'acknowledged' OR acknowledged_at IS NOT NULL),
  CONSTRAINT quality_alerts_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);
CREATE UNIQUE INDEX quality_alerts_one_at_a_time ON quality_alerts (organization_id, capability, signal, model_version)
  WHERE state <> 'closed';
CREATE INDEX quality_alerts_of_organization ON quality_alerts (organization_id, id);

-- In the statement that rates a job. The row is held until the rating is committed, so that no collector takes it before.
CREATE FUNCTION quality_note_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO quality_pending (job_id, organization_id) VALUES (NEW.job_id, NEW.organization_id)
  ON CONFLICT (job_id) DO UPDATE SET noted_at = now();
  RETURN NULL;
END $$;
CREATE TRIGGER quality_note_feedback AFTER INSERT OR UPDATE OF score ON job_feedback FOR EACH ROW
  EXECUTE FUNCTION quality_note_feedback();

-- Alerts are of the whole organization: those of its endpoints hear of them that ask for this event by name.
CREATE FUNCTION quality_alert_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM webhook_tell(NEW.organization_id, NULL, 'quality.alert', jsonb_build_object(
    'alert_id', typeid('qal', NEW.id), 'capability', NEW.capability, 'model_version', NEW.model_version,
    'signal', NEW.signal, 'direction', NEW.direction, 'is_worse', NEW.is_worse,
    'baseline', jsonb_build_object('model_version', NEW.baseline_version, 'mean', NEW.baseline_mean,
      'jobs', NEW.baseline_jobs),
    'observed', jsonb_build_object('mean', NEW.observed_mean, 'jobs', NEW.observed_jobs),
    'began_at', webhook_time(NEW.began_at), 'raised_at', webhook_time(NEW.raised_at),
    'job_ids', (SELECT coalesce(jsonb_agg(typeid('job', id) ORDER BY place), '[]')
      FROM unnest(NEW.job_ids) WITH ORDINALITY AS listed (id, place))));
  RETURN NULL;
END $$;
CREATE TRIGGER quality_alert_announce AFTER INSERT ON quality_alerts FOR EACH ROW
  EXECUTE FUNCTION quality_alert_announce();

-- Jobs that people are asked to label, and what they say. A job leaves the queue with its last wanted label.
CREATE TABLE quality_annotations (
  job_id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  capability text NOT NULL,
  how text NOT NULL CONSTRAINT quality_annotations_how CHECK (how IN ('random', 'uncertain', 'named')),
  labels_wanted smallint NOT NULL CONSTRAINT quality_annotations_wanted CHECK (labels_wanted BETWEEN 1 AND 5),
  labels smallint NOT NULL DEFAULT 0 CONSTRAINT quality_annotations_labels CHECK (labels >= 0),
  created_by text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quality_annotations_open ON quality_annotations (project_id, created_at, job_id) WHERE labels < labels_wanted;
CREATE INDEX quality_annotations_of_project ON quality_annotations (project_id, created_at, job_id);

CREATE TABLE quality_labels (
  job_id uuid NOT NULL,
  labeler text NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  capability text NOT NULL,
  -- Said by a model that judges. Such labels are wanted by nobody's queue, and are a signal of their own.
  is_judge boolean NOT NULL,
  verdict text NOT NULL CONSTRAINT quality_labels_verdict CHECK (verdict IN ('good', 'bad', 'unsure')),
  -- As it came: it is a payload, and goes with the job's.
  expected json,
  note text CONSTRAINT quality_labels_note CHECK (length(note) <= 4000),
  labeled_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, labeler)
);
CREATE INDEX quality_labels_of_project ON quality_labels (project_id, capability, labeled_at);

CREATE TRIGGER quality_note_label AFTER INSERT OR UPDATE OF verdict ON quality_labels FOR EACH ROW
  EXECUTE FUNCTION quality_note_feedback();

-- What came of running a data set at one model version, and the gates that promotions of a model have to pass.
CREATE TABLE quality_runs (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  batch_id uuid NOT NULL,
  dataset text NOT NULL CONSTRAINT quality_runs_dataset CHECK (length(dataset) BETWEEN 1 AND 200),
  dataset_digest text NOT NULL CONSTRAINT quality_runs_digest CHECK (dataset_digest ~ '^sha256:[0-9a-f]{64}$'),
  model_version text NOT NULL,
  cases int NOT NULL,
  checked int NOT NULL,
  passed int NOT NULL,
  recorded_by text,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT quality_runs_counts CHECK (0 <= passed AND passed <= checked AND checked <= cases)
);
CREATE UNIQUE INDEX quality_runs_once ON quality_runs (batch_id, dataset_digest);
CREATE INDEX quality_runs_of_version ON quality_runs (organization_id, model_version, dataset, recorded_at);

CREATE TABLE quality_gates (
  model_id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  dataset text NOT NULL CONSTRAINT quality_gates_dataset CHECK (length(dataset) BETWEEN 1 AND 200),
  min_share float8 NOT NULL CONSTRAINT quality_gates_share CHECK (min_share BETWEEN 0 AND 1),
  min_cases int NOT NULL CONSTRAINT quality_gates_cases CHECK (min_cases >= 1),
  set_by text,
  set_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quality_gates_of_organization ON quality_gates (organization_id, model_id);
