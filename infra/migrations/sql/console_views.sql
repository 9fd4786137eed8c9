-- Filters of a list in the console that a key or a person has named. No one else sees them.
CREATE TABLE console_views (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id),
  -- As in console_sessions.
  key_id uuid REFERENCES api_keys (id),
  issuer text,
  subject text,
  name text NOT NULL,
  -- The query of the address that shows it, without its question mark.
  query text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT console_views_whose CHECK (num_nonnulls(key_id, issuer) = 1 AND num_nonnulls(issuer, subject) <> 1),
  CONSTRAINT console_views_name CHECK (length(name) BETWEEN 1 AND 60),
  CONSTRAINT console_views_query CHECK (length(query) <= 4000),
  CONSTRAINT console_views_names UNIQUE NULLS NOT DISTINCT (organization_id, key_id, issuer, subject, name)
);
