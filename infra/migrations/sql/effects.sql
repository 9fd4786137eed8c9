-- Effects of jobs in systems outside: the row is the intent, written before the call; the outcome is the receipt. A row
-- without one says that the effect may have happened.
CREATE TABLE job_effects (
  job_id uuid NOT NULL,
  call text NOT NULL CONSTRAINT job_effects_call CHECK (length(call) BETWEEN 1 AND 400),
  organization_id uuid NOT NULL,
  operation text NOT NULL,
  tool text NOT NULL,
  server text NOT NULL,
  effect text NOT NULL CONSTRAINT job_effects_effect CHECK (effect IN ('write', 'money')),
  arguments_digest text NOT NULL,
  attempt int NOT NULL,
  tries int NOT NULL DEFAULT 1,
  tried_at timestamptz NOT NULL DEFAULT now(),
  asked_at timestamptz,
  outcome json,
  settled_at timestamptz,
  PRIMARY KEY (job_id, call),
  CONSTRAINT job_effects_settled CHECK ((outcome IS NULL) = (settled_at IS NULL))
) PARTITION BY RANGE (job_id);
