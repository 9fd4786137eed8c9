-- Models, their immutable versions, stages with a history, aliases and prompts.
--
-- A row without an organisation is everybody's: every tenant reads it, only the operator writes it. Foreign keys are
-- checked without row-level security, and one that names the organisation says nothing about rows without one: so each
-- row refers to its parent twice, by id and by organisation and id.

CREATE TABLE models (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid REFERENCES organizations,
  name text NOT NULL CONSTRAINT models_name CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$'),
  description text NOT NULL DEFAULT '' CONSTRAINT models_description CHECK (length(description) <= 1000),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT models_organization_id UNIQUE (organization_id, id)
);
CREATE UNIQUE INDEX models_organization_name ON models (organization_id, name) NULLS NOT DISTINCT;

CREATE TABLE model_versions (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  model_id uuid NOT NULL REFERENCES models,
  organization_id uuid,
  number int NOT NULL CONSTRAINT model_versions_number_positive CHECK (number >= 1),
  provider text NOT NULL CONSTRAINT model_versions_provider
    CHECK (provider IN ('openai-compatible', 'azure-openai', 'anthropic', 'local')),
  deployment text NOT NULL CONSTRAINT model_versions_deployment CHECK (length(deployment) BETWEEN 1 AND 100),
  provider_model text NOT NULL CONSTRAINT model_versions_provider_model
    CHECK (length(provider_model) BETWEEN 1 AND 200),
  parameters jsonb NOT NULL DEFAULT '{}' CONSTRAINT model_versions_parameters
    CHECK (jsonb_typeof(parameters) = 'object'),
  context_window bigint CONSTRAINT model_versions_context_window CHECK (context_window >= 1),
  max_output_tokens bigint CONSTRAINT model_versions_max_output_tokens CHECK (max_output_tokens >= 1),
  abilities text[] NOT NULL DEFAULT '{}' CONSTRAINT model_versions_abilities CHECK (
    abilities <@ ARRAY['streams', 'quotes', 'writes', 'abstains', 'tools', 'json_schema', 'vision']),
  price_provider text NOT NULL,
  price_model text NOT NULL,
  data_class_ceiling text NOT NULL CONSTRAINT model_versions_data_class_ceiling
    CHECK (data_class_ceiling IN ('public', 'internal', 'confidential', 'restricted')),
  regions text[] NOT NULL DEFAULT '{}',
  prompt_set jsonb NOT NULL DEFAULT '{}' CONSTRAINT model_versions_prompt_set
    CHECK (jsonb_typeof(prompt_set) = 'object'),
  fallbacks text[] NOT NULL DEFAULT '{}',
  digest text NOT NULL CONSTRAINT model_versions_digest CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT model_versions_model_of_organization
    FOREIGN KEY (organization_id, model_id) REFERENCES models (organization_id, id),
  CONSTRAINT model_versions_number UNIQUE (model_id, number),
  CONSTRAINT model_versions_model_id UNIQUE (model_id, id),
  CONSTRAINT model_versions_organization_id UNIQUE (organization_id, id),
  CONSTRAINT model_versions_output_fits_the_window CHECK (max_output_tokens <= context_window)
);

CREATE TABLE model_stages (
  version_id uuid PRIMARY KEY,
  model_id uuid NOT NULL,
  organization_id uuid,
  stage text NOT NULL CONSTRAINT model_stages_stage CHECK (stage IN ('candidate', 'champion', 'retired')),
  CONSTRAINT model_stages_version_of_model
    FOREIGN KEY (model_id, version_id) REFERENCES model_versions (model_id, id),
  CONSTRAINT model_stages_version_of_organization
    FOREIGN KEY (organization_id, version_id) REFERENCES model_versions (organization_id, id)
);
CREATE UNIQUE INDEX model_stages_champion ON model_stages (model_id) WHERE stage = 'champion';

CREATE TABLE model_stage_changes (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  model_id uuid NOT NULL,
  model_version_id uuid NOT NULL,
  organization_id uuid,
  number int NOT NULL,
  stage text NOT NULL CONSTRAINT model_stage_changes_stage CHECK (stage IN ('candidate', 'champion', 'retired')),
  cause text NOT NULL CONSTRAINT model_stage_changes_cause
    CHECK (cause IN ('created', 'promoted', 'rolled_back', 'superseded', 'retired', 'restored')),
  reason text NOT NULL DEFAULT '' CONSTRAINT model_stage_changes_reason CHECK (length(reason) <= 1000),
  actor_kind text NOT NULL,
  actor_id text,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT model_stage_changes_version_of_model
    FOREIGN KEY (model_id, model_version_id) REFERENCES model_versions (model_id, id),
  CONSTRAINT model_stage_changes_version_of_organization
    FOREIGN KEY (organization_id, model_version_id) REFERENCES model_versions (organization_id, id),
  CONSTRAINT model_stage_changes_number UNIQUE (model_id, number)
);

-- An organisation may give its own names to everybody's models, so only the project has to be its own.
CREATE TABLE model_aliases (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid REFERENCES organizations,
  project_id uuid,
  capability text CONSTRAINT model_aliases_capability CHECK (length(capability) BETWEEN 1 AND 129),
  alias text NOT NULL CONSTRAINT model_aliases_alias CHECK (alias ~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$'),
  model_id uuid NOT NULL REFERENCES models,
  model_version_id uuid,
  changed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT model_aliases_project CHECK (project_id IS NULL OR organization_id IS NOT NULL),
  CONSTRAINT model_aliases_project_of_organization
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id),
  CONSTRAINT model_aliases_version_of_model
    FOREIGN KEY (model_id, model_version_id) REFERENCES model_versions (model_id, id)
);
CREATE UNIQUE INDEX model_aliases_once ON model_aliases (organization_id, project_id, capability, alias)
  NULLS NOT DISTINCT;
CREATE INDEX model_aliases_model ON model_aliases (model_id);

CREATE TABLE prompts (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid REFERENCES organizations,
  name text NOT NULL CONSTRAINT prompts_name CHECK (name ~ '^[a-z][a-z0-9_]{0,63}/[a-z][a-z0-9_]{0,63}$'),
  number int NOT NULL CONSTRAINT prompts_number CHECK (number >= 1),
  digest text NOT NULL CONSTRAINT prompts_digest_form CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  text text NOT NULL CONSTRAINT prompts_text CHECK (length(text) BETWEEN 1 AND 65536),
  takes_force boolean NOT NULL,
  actor_kind text NOT NULL,
  actor_id text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX prompts_name_number ON prompts (organization_id, name, number) NULLS NOT DISTINCT;
CREATE INDEX prompts_digest ON prompts (digest);

CREATE FUNCTION registry_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% are never changed: write a new row', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER model_versions_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON model_versions
  FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_change();
CREATE TRIGGER model_stage_changes_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON model_stage_changes
  FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_change();
CREATE TRIGGER prompts_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON prompts
  FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_change();
