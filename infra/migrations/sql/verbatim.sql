-- Payloads are stored as they came: the order of names, numbers and text. jsonb sorts names, spells numbers anew and
-- drops duplicates; it stays where values are searched (metadata, labels). Rewrites the tables.
ALTER TABLE jobs ALTER COLUMN input TYPE json USING input::json, ALTER COLUMN result TYPE json USING result::json;
ALTER TABLE job_events ALTER COLUMN data DROP DEFAULT, ALTER COLUMN data TYPE json USING data::json,
  ALTER COLUMN data SET DEFAULT '{}';
ALTER TABLE batch_lines ALTER COLUMN input TYPE json USING input::json;
ALTER TABLE job_questions ALTER COLUMN schema TYPE json USING schema::json,
  ALTER COLUMN details TYPE json USING details::json, ALTER COLUMN value TYPE json USING value::json;

-- `result`, when the receiver wants one, goes into the message as the text that it is.
CREATE FUNCTION webhook_body_with_result(event text, facts jsonb, result json) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT convert_to(
    left(jsonb_build_object('type', event, 'timestamp', webhook_time(clock_timestamp()))::text, -1)
    || ', "data": ' || left(facts::text, -1) || ', "result": ' || coalesce(result::text, 'null') || '}}', 'UTF8')
$$;

CREATE OR REPLACE FUNCTION webhook_job_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE told text := 'job.' || NEW.state; shown_id text; facts jsonb;
BEGIN
  IF NEW.webhook IS NULL
    AND NOT EXISTS (SELECT FROM webhook_endpoints WHERE project_id = NEW.project_id AND state <> 'disabled') THEN
    RETURN NULL;
  END IF;
  shown_id := typeid('job', NEW.id);
  facts := jsonb_build_object(
    'id', shown_id,
    'project_id', typeid('prj', NEW.project_id),
    'capability', NEW.capability,
    'state', NEW.state,
    'reason', NEW.reason,
    'error', NEW.error,
    'metadata', NEW.metadata,
    'attempt', NEW.attempt,
    'created_at', webhook_time(NEW.created_at),
    'finished_at', webhook_time(NEW.finished_at),
    'cost_usd', NEW.cost_usd::text,
    'links', jsonb_build_object('self', '/v1/jobs/' || shown_id));
  INSERT INTO webhook_deliveries (id, organization_id, project_id, endpoint_id, url, lane, event, job_id, body,
    has_result, traceparent)
  SELECT uuidv7(), NEW.organization_id, NEW.project_id, receiver.id, receiver.url, receiver.lane, told, NEW.id,
    CASE WHEN receiver.with_result THEN webhook_body_with_result(told, facts, NEW.result)
      ELSE webhook_body(told, facts) END, receiver.with_result AND NEW.result IS NOT NULL, NEW.traceparent
  FROM (
    SELECT id, NULL AS url, id AS lane, include_result AS with_result FROM webhook_endpoints
    WHERE project_id = NEW.project_id AND organization_id = NEW.organization_id AND state <> 'disabled'
      AND (events = '{}' OR told = ANY(events))
    UNION ALL
    SELECT NULL, NEW.webhook->>'url', md5(NEW.project_id::text || (NEW.webhook->>'url'))::uuid,
      (NEW.webhook->>'include_result')::boolean
    WHERE NEW.webhook IS NOT NULL
      AND (NEW.webhook->'events' = '[]' OR NEW.webhook->'events' ? told)
  ) AS receiver;
  RETURN NULL;
END $$;
