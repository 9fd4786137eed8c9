-- Sessions of the web console. The cookie itself is stored nowhere, only its keyed hash.
CREATE TABLE console_sessions (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id),
  hash bytea NOT NULL UNIQUE,
  -- Whoever signed in: an API key, or a subject of an issuer with the roles that its token listed.
  key_id uuid REFERENCES api_keys (id),
  issuer text,
  subject text,
  roles text[],
  -- The project that a person chose; a key has its own.
  project_id uuid,
  user_agent text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  -- The idle end, moved by use, and the absolute end, which it never passes.
  active_until timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT console_sessions_whose CHECK (num_nonnulls(key_id, issuer) = 1 AND num_nonnulls(issuer, subject) <> 1),
  CONSTRAINT console_sessions_ends CHECK (active_until <= expires_at),
  CONSTRAINT console_sessions_project_of_organization
    FOREIGN KEY (organization_id, project_id) REFERENCES projects (organization_id, id)
);
CREATE INDEX console_sessions_organization ON console_sessions (organization_id, id);
CREATE INDEX console_sessions_active_until ON console_sessions (active_until);

-- Links that sign in once. A row is deleted by its use.
CREATE TABLE console_links (
  hash bytea PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id),
  key_id uuid NOT NULL REFERENCES api_keys (id),
  expires_at timestamptz NOT NULL
);
CREATE INDEX console_links_expires_at ON console_links (expires_at);

-- Failures are few beside what succeeds: their list and their groups read only them.
CREATE INDEX jobs_failed ON jobs (project_id, id) WHERE state IN ('failed', 'expired', 'rejected');
