-- What has happened, added up by minute, hour and day, so that no page and no forecast counts raw rows.

-- Ended jobs in the one order of events (ADR 17), for readers that follow it across organizations.
CREATE INDEX job_events_ended ON job_events (position, job_id, id)
  WHERE type IN ('job.succeeded', 'job.failed', 'job.cancelled', 'job.expired', 'job.rejected');

-- Up to where each reader has come. The process that holds a row reads; others wait for their turn.
CREATE TABLE event_cursors (
  reader text PRIMARY KEY,
  position bigint NOT NULL DEFAULT -1,
  job_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  event_id bigint NOT NULL DEFAULT 0,
  moved_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO event_cursors (reader) VALUES ('rollups'), ('quality');
GRANT SELECT ON event_cursors TO waybill_app;
GRANT SELECT, UPDATE ON event_cursors TO waybill_system;

-- Ended jobs with a call that is not settled yet; and corrections, which come at any time.
CREATE TABLE rollup_pending (
  job_id uuid NOT NULL,
  attempt int NOT NULL DEFAULT 0,
  call int NOT NULL DEFAULT 0,
  entry smallint NOT NULL DEFAULT 0,
  organization_id uuid NOT NULL,
  PRIMARY KEY (job_id, attempt, call, entry)
);

CREATE FUNCTION ledger_correction_pending() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO rollup_pending (job_id, attempt, call, entry, organization_id)
  VALUES (NEW.job_id, NEW.attempt, NEW.call, NEW.entry, NEW.organization_id);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION ledger_correction_pending FROM PUBLIC;
CREATE TRIGGER ledger_correction_pending AFTER INSERT ON ledger_entries
  FOR EACH ROW WHEN (NEW.kind = 'correction') EXECUTE FUNCTION ledger_correction_pending();

-- A distribution: counts by bucket of a logarithmic scale (core/rollups/sketch.py). Adding two adds their counts.
CREATE FUNCTION rollup_add(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(jsonb_object_agg(key, total), '{}')
  FROM (
    SELECT key, sum(value::numeric) AS total
    FROM (SELECT * FROM jsonb_each_text(one) UNION ALL SELECT * FROM jsonb_each_text(other)) AS both_of_them
    GROUP BY key) AS added
$$;

-- Every sum is kept twice: for its project, and under the project of zeros for the whole organization, so that an
-- overview of many projects reads as little as that of one.
CREATE TABLE job_rollups (
  grain text NOT NULL CONSTRAINT job_rollups_grain CHECK (grain IN ('minute', 'hour', 'day')),
  bucket timestamptz NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  capability text NOT NULL,
  state text NOT NULL,
  jobs bigint NOT NULL,
  failures bigint NOT NULL,
  outages bigint NOT NULL,
  cost_usd numeric(18, 9) NOT NULL,
  wait jsonb NOT NULL,
  duration jsonb NOT NULL,
  PRIMARY KEY (organization_id, grain, project_id, bucket, capability, state)
) PARTITION BY RANGE (bucket);

CREATE TABLE call_rollups (
  grain text NOT NULL CONSTRAINT call_rollups_grain CHECK (grain IN ('minute', 'hour', 'day')),
  bucket timestamptz NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  key_id uuid,
  capability text NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  model_version text,
  calls bigint NOT NULL,
  estimated_calls bigint NOT NULL,
  lost_calls bigint NOT NULL,
  unpriced_calls bigint NOT NULL,
  amount_usd numeric(18, 9) NOT NULL,
  quantities jsonb NOT NULL,
  duration jsonb NOT NULL
) PARTITION BY RANGE (bucket);
CREATE UNIQUE INDEX call_rollups_once ON call_rollups
  (organization_id, grain, project_id, bucket, key_id, capability, provider, model, model_version) NULLS NOT DISTINCT;

-- What jobs with inputs of a size cost, by the model that most of the money went to; for quotes.
CREATE TABLE job_cost_rollups (
  bucket timestamptz NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  capability text NOT NULL,
  model text NOT NULL,
  size_band smallint NOT NULL,
  jobs bigint NOT NULL,
  cost jsonb NOT NULL,
  PRIMARY KEY (organization_id, capability, bucket, project_id, model, size_band)
) PARTITION BY RANGE (bucket);

-- Jobs that have not ended, as they were last counted.
CREATE TABLE job_backlog (
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  capability text NOT NULL,
  state job_state NOT NULL,
  jobs bigint NOT NULL,
  oldest_at timestamptz NOT NULL,
  counted_at timestamptz NOT NULL,
  PRIMARY KEY (organization_id, project_id, capability, state)
);

-- Partitions by month: made ahead, and dropped when all of theirs is older than `days`. Returns how many it changed.
-- Partitions of these tables hold times, so `ensure_partitions`, whose bounds are ids, does not know them.
CREATE FUNCTION rollup_partitions(days int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE parent text; child text; first timestamptz; changed int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7201949);
  FOREACH parent IN ARRAY ARRAY['job_rollups', 'call_rollups', 'job_cost_rollups'] LOOP
    FOR ahead IN -4..2 LOOP
      first := date_trunc('month', now(), 'UTC') + make_interval(months => ahead);
      child := parent || '_' || to_char(first AT TIME ZONE 'UTC', 'YYYYMM');
      IF first + interval '1 month' <= now() - make_interval(days => days) THEN
        IF to_regclass(child) IS NOT NULL THEN
          EXECUTE format('DROP TABLE %I', child);
          changed := changed + 1;
        END IF;
      ELSIF to_regclass(child) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, parent, first,
          (first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
        changed := changed + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN changed;
END $$;
REVOKE ALL ON FUNCTION rollup_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rollup_partitions TO waybill_system;
SELECT rollup_partitions(90);
