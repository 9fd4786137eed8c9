-- Guard policies of organizations and of projects, version by version, and the findings that people judged.

-- A version is written once. Two writers that saw the same one meet at the unique index: the second is refused.
CREATE TABLE guard_policies (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid,
  version int NOT NULL CONSTRAINT guard_policies_version CHECK (version >= 1),
  document jsonb NOT NULL CONSTRAINT guard_policies_document CHECK (jsonb_typeof(document) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text,
  CONSTRAINT guard_policies_project
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id)
);
CREATE UNIQUE INDEX guard_policies_once ON guard_policies (organization_id, project_id, version) NULLS NOT DISTINCT;
CREATE TRIGGER guard_policies_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON guard_policies
  FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_change();

-- `value` is the judged text, sealed for the row; null once the job's payloads are erased.
CREATE TABLE guard_reviews (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid,
  job_id uuid,
  kind text NOT NULL CONSTRAINT guard_reviews_kind CHECK (kind ~ '^[a-z][a-z0-9_]{0,39}$'),
  value bytea CONSTRAINT guard_reviews_value CHECK (length(value) <= 4096),
  verdict text NOT NULL CONSTRAINT guard_reviews_verdict CHECK (verdict IN ('false_positive', 'correct')),
  is_allowed boolean NOT NULL DEFAULT false,
  reviewed_by text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT guard_reviews_allows_false_positives CHECK (verdict = 'false_positive' OR NOT is_allowed),
  CONSTRAINT guard_reviews_project
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id)
);
CREATE INDEX guard_reviews_organization ON guard_reviews (organization_id, id);
CREATE INDEX guard_reviews_job ON guard_reviews (job_id) WHERE value IS NOT NULL;
