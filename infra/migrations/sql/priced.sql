-- Unknown is never zero: a cost that counts other jobs says whether all of it had a price.

CREATE FUNCTION usage_is_priced(usage jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT NOT usage @> '[{"priced": false}]'
$$;

-- A cost as messages show it, like `core.kit.money.format_cost`: null where nothing of it is known.
CREATE FUNCTION cost_text(amount numeric, priced boolean) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN priced OR amount <> 0 THEN amount::text END
$$;

-- What all jobs below one have cost, and whether all of it had a price. An array is looked up by its keys, whatever
-- the planner knows.
CREATE FUNCTION jobs_costs_below(top uuid, OUT below_usd numeric, OUT below_priced boolean)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT coalesce(sum(cost_usd), 0), coalesce(bool_and(usage_is_priced(usage)), true)
  FROM jobs WHERE id = ANY(ARRAY(SELECT jobs_below(top)))
$$;

-- Settled with the lines. A dispatcher of the release before settles without it, so what it settles passes for priced.
ALTER TABLE batches ADD COLUMN priced boolean NOT NULL DEFAULT true;
ALTER TABLE batch_lines ADD COLUMN priced boolean NOT NULL DEFAULT true;
UPDATE batch_lines SET priced = false
FROM jobs
WHERE jobs.batch_id IS NOT NULL AND jobs.id = batch_lines.job_id AND batch_lines.state NOT IN ('queued', 'live')
  AND (NOT usage_is_priced(jobs.usage) OR CASE WHEN EXISTS (SELECT FROM job_children WHERE parent_id = jobs.id)
    THEN NOT (jobs_costs_below(jobs.id)).below_priced ELSE false END);
UPDATE batches SET priced = false
WHERE EXISTS (SELECT FROM batch_lines WHERE batch_id = batches.id AND NOT batch_lines.priced);

CREATE OR REPLACE FUNCTION jobs_tell_parent(parent uuid) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE ended record; before bigint;
BEGIN
  FOR ended IN
    SELECT link.key, child.id, child.state, child.reason, child.cost_usd + below_usd AS cost_usd,
      usage_is_priced(child.usage) AND below_priced AS priced
    FROM job_children AS link JOIN jobs AS child ON child.id = link.child_id
    CROSS JOIN LATERAL jobs_costs_below(child.id) AS below
    WHERE link.parent_id = parent AND NOT link.told AND child.finished_at IS NOT NULL
    ORDER BY child.finished_at, link.position
  LOOP
    UPDATE job_children SET told = true WHERE parent_id = parent AND key = ended.key;
    UPDATE jobs SET event_last = event_limit + 1, event_limit = event_limit + 1 WHERE id = parent
    RETURNING old.event_last INTO before;
    INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
    SELECT id, event_last, before, organization_id, 'child.finished', attempt, jsonb_build_object('key', ended.key,
      'job_id', typeid('job', ended.id), 'state', ended.state, 'reason', ended.reason,
      'cost_usd', cost_text(ended.cost_usd, ended.priced), 'priced', ended.priced)
    FROM jobs WHERE id = parent;
  END LOOP;
  IF EXISTS (
    SELECT FROM job_children AS link JOIN jobs AS child ON child.id = link.child_id
    WHERE link.parent_id = parent AND child.finished_at IS NULL
  ) THEN
    RETURN;
  END IF;
  UPDATE jobs SET state = 'queued', reason = NULL, error = NULL, run_at = now(), dispatched_at = NULL,
    event_last = event_limit + 1, event_limit = event_limit + 1
  WHERE id = parent AND state = 'waiting' AND reason = 'children'
  RETURNING old.event_last INTO before;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, before, organization_id, 'job.queued', attempt, '{"resumed": "children"}'
  FROM jobs WHERE id = parent;
  INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, attempt, detail)
  SELECT organization_id, project_id, 'api:job:resume', typeid('job', id), 'system', attempt,
    '{"waited_for": "children"}'
  FROM jobs WHERE id = parent;
END $$;

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
    'cost_usd', cost_text(NEW.cost_usd, usage_is_priced(NEW.usage)),
    'priced', usage_is_priced(NEW.usage),
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

CREATE OR REPLACE FUNCTION batch_ended() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE told text := 'batch.' || NEW.state; shown_id text := typeid('batch', NEW.id); facts jsonb;
BEGIN
  facts := jsonb_build_object(
    'id', shown_id,
    'project_id', typeid('prj', NEW.project_id),
    'state', NEW.state,
    'metadata', NEW.metadata,
    'counts', jsonb_build_object('total', NEW.total, 'succeeded', NEW.succeeded, 'failed', NEW.failed,
      'cancelled', NEW.cancelled, 'expired', NEW.expired),
    'bad_lines', NEW.bad_lines,
    'cost_usd', cost_text(NEW.cost_usd, NEW.priced),
    'priced', NEW.priced,
    'results_file_id', typeid('file', NEW.results_file_id),
    'created_at', webhook_time(NEW.created_at),
    'finished_at', webhook_time(NEW.finished_at),
    'links', jsonb_build_object('self', '/v1/batches/' || shown_id, 'results', '/v1/batches/' || shown_id || '/results'));
  PERFORM webhook_tell(NEW.organization_id, NEW.project_id, told, facts);
  IF NEW.webhook IS NOT NULL THEN
    INSERT INTO webhook_deliveries (id, organization_id, project_id, url, lane, event, body, traceparent)
    VALUES (uuidv7(), NEW.organization_id, NEW.project_id, NEW.webhook->>'url',
      md5(NEW.project_id::text || (NEW.webhook->>'url'))::uuid, told, webhook_body(told, facts), NEW.traceparent);
  END IF;
  RETURN NULL;
END $$;

-- Jobs that are to stop and have nobody to stop them: none, or a few. Without it, each sweep of a pool reads its backlog.
CREATE INDEX jobs_stopping ON jobs (pool) WHERE cancel_requested_at IS NOT NULL AND state IN ('queued', 'running');
