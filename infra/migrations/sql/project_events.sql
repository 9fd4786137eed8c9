-- One order over all kept events, for streams that cover a project (ADR 17).
--
-- An event's position is the id of its transaction, or the position of the job's event before it where that is higher.
-- So positions never fall within a job, and no transaction that is still open can bring one below the oldest open
-- transaction: whatever lies below `events_horizon()` is final.

-- 0 until the database has been restored from a dump into a server that counts transactions anew.
CREATE FUNCTION events_epoch() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 0::bigint';

CREATE FUNCTION events_horizon() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
  'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + events_epoch()';

ALTER TABLE job_events ADD COLUMN position bigint NOT NULL DEFAULT 0;
CREATE INDEX job_events_order ON job_events (organization_id, position, job_id, id);

CREATE FUNCTION job_events_take_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.position := pg_current_xact_id()::text::bigint + events_epoch();
  IF NEW.previous > 0 THEN
    NEW.position := greatest(NEW.position, (
      SELECT before.position FROM job_events AS before WHERE before.job_id = NEW.job_id AND before.id = NEW.previous));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER job_events_take_position BEFORE INSERT ON job_events FOR EACH ROW
  EXECUTE FUNCTION job_events_take_position();

-- What retention has dropped: a cursor at or below the highest of these may have lost events.
CREATE TABLE job_events_dropped (
  position bigint PRIMARY KEY,
  dropped_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON job_events_dropped TO waybill_app;
GRANT SELECT, INSERT ON job_events_dropped TO waybill_system;

-- To be called by the owner, before anything is written, after a dump was restored into another server: there
-- transactions are counted from the beginning, and new events would come below old cursors.
CREATE FUNCTION events_restart() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE epoch bigint;
BEGIN
  SELECT greatest(0, coalesce(max(position), 0) + 1 - pg_current_xact_id()::text::bigint) INTO epoch FROM job_events;
  EXECUTE format(
    'CREATE OR REPLACE FUNCTION events_epoch() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
    format('SELECT %s::bigint', greatest(epoch, events_epoch())));
  RETURN greatest(epoch, events_epoch());
END $$;
REVOKE ALL ON FUNCTION events_restart FROM PUBLIC;

-- The highest position in a partition of job_events, which nobody but the owner may read by its own name.
CREATE FUNCTION events_last_position(child text) RETURNS bigint LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE last bigint;
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_inherits WHERE inhrelid = to_regclass(quote_ident(child)) AND inhparent = 'job_events'::regclass) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('SELECT max(position) FROM %I', child) INTO last;
  RETURN last;
END $$;
REVOKE ALL ON FUNCTION events_last_position FROM PUBLIC;
GRANT EXECUTE ON FUNCTION events_last_position TO waybill_system;
