-- The values behind the tokens that a job tree's models see: <PERSON_1> is number 1 of the kind person.

-- `digest` finds a value again without opening anything, and is keyed. An erased value keeps its number, so that no
-- other value of a tree that still runs is ever given it: `sealed` is NULL then, and `digest` is random.
CREATE TABLE guard_pseudonyms (
  root_job_id uuid NOT NULL,
  kind text NOT NULL CONSTRAINT guard_pseudonyms_kind CHECK (kind ~ '^[a-z][a-z0-9_]{0,39}$'),
  number int NOT NULL CONSTRAINT guard_pseudonyms_number CHECK (number >= 1),
  organization_id uuid NOT NULL REFERENCES organizations,
  digest bytea NOT NULL CONSTRAINT guard_pseudonyms_digest CHECK (octet_length(digest) = 32),
  sealed bytea,
  PRIMARY KEY (root_job_id, kind, number),
  CONSTRAINT guard_pseudonyms_value UNIQUE (root_job_id, kind, digest)
);
CREATE INDEX guard_pseudonyms_of_value ON guard_pseudonyms (organization_id, digest);
