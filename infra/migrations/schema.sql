CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

COMMENT ON EXTENSION vector IS 'vector data type and ivfflat and hnsw access methods';

CREATE TYPE public.data_class AS ENUM (
    'public',
    'internal',
    'confidential',
    'restricted'
);

CREATE TYPE public.job_state AS ENUM (
    'queued',
    'running',
    'waiting',
    'succeeded',
    'failed',
    'cancelled',
    'expired',
    'rejected'
);

CREATE FUNCTION public.audit_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION public.batch_ended() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.batch_job_corrected() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE settled uuid;
BEGIN
  UPDATE batch_lines SET cost_usd = cost_usd + NEW.cost_usd - OLD.cost_usd
  WHERE job_id = coalesce(NEW.root_id, NEW.id) AND state NOT IN ('queued', 'live') RETURNING batch_id INTO settled;
  IF FOUND THEN
    UPDATE batches SET cost_usd = cost_usd + NEW.cost_usd - OLD.cost_usd WHERE id = settled;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.caller_standing(organization uuid, api_key uuid, caller text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  SELECT CASE
    WHEN api_key IS NOT NULL THEN (
      SELECT jsonb_build_object('scopes', scopes, 'ended', revoked_at IS NOT NULL) FROM api_keys
      WHERE id = api_key AND organization_id = organization)
    WHEN starts_with(caller, 'mem_') THEN coalesce((
      SELECT jsonb_build_object('role', role) FROM members
      WHERE organization_id = organization AND typeid('mem', id) = caller), '{"ended": true}')
  END
$$;

CREATE FUNCTION public.cost_text(amount numeric, priced boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE WHEN priced OR amount <> 0 THEN amount::text END
$$;

CREATE FUNCTION public.drop_partition(parent text, child text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE month record; low uuid; high uuid;
BEGIN
  SELECT * INTO month FROM partitions_before(parent, now()) AS partition
  WHERE partition.name = child AND parent IN (SELECT name FROM partitioned_tables);
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is no past partition of %', child, parent USING ERRCODE = 'invalid_parameter_value';
  END IF;
  low := uuid7_floor(month.first);
  high := uuid7_floor(month.past);
  IF parent <> 'audit_records' AND (
    EXISTS (SELECT FROM jobs WHERE id >= low AND id < high AND finished_at IS NULL)
    OR EXISTS (SELECT FROM reservations WHERE root_job_id >= low AND root_job_id < high)
    OR EXISTS (SELECT FROM open_calls WHERE job_id >= low AND job_id < high)) THEN
    RETURN false;
  END IF;
  -- Waiting for this lock holds up every statement on the table, so the wait is short and the next run tries again.
  SET LOCAL lock_timeout = '500ms';
  EXECUTE format('LOCK TABLE ONLY %I, %I IN ACCESS EXCLUSIVE MODE', parent, child);
  IF parent = 'ledger_entries' THEN
    EXECUTE format(
      'INSERT INTO ledger_carried (balance_id, organization_id, amount_usd)
       SELECT balance_id, organization_id, sum(amount_usd) FROM %I, unnest(balance_ids) AS balance_id
       WHERE amount_usd <> 0 GROUP BY 1, 2
       ON CONFLICT (balance_id) DO UPDATE SET amount_usd = ledger_carried.amount_usd + excluded.amount_usd', child);
    INSERT INTO ledger_retired (until_id) VALUES (high);
  END IF;
  EXECUTE format('DROP TABLE %I', child);
  RETURN true;
END $$;

CREATE FUNCTION public.ensure_partitions(months_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  parent text; first timestamptz; child text; made int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7201946);
  FOR parent IN SELECT name FROM partitioned_tables ORDER BY name LOOP
    FOR ahead IN 0..months_ahead LOOP
      first := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
      child := parent || '_' || to_char(first AT TIME ZONE 'UTC', 'YYYYMM');
      IF to_regclass(child) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, parent,
          uuid7_floor(first), uuid7_floor((first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'));
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

CREATE FUNCTION public.events_epoch() RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT 0::bigint$$;

CREATE FUNCTION public.events_horizon() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + events_epoch()$$;

CREATE FUNCTION public.events_last_position(child text) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE last bigint;
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_inherits WHERE inhrelid = to_regclass(quote_ident(child)) AND inhparent = 'job_events'::regclass) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('SELECT max(position) FROM %I', child) INTO last;
  RETURN last;
END $$;

CREATE FUNCTION public.events_restart(lost bigint DEFAULT 0) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE epoch bigint;
BEGIN
  SELECT greatest(0, coalesce(max(position), 0) + 1 + lost - pg_current_xact_id()::text::bigint)
  INTO epoch FROM job_events;
  EXECUTE format(
    'CREATE OR REPLACE FUNCTION events_epoch() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
    format('SELECT %s::bigint', greatest(epoch, events_epoch())));
  RETURN greatest(epoch, events_epoch());
END $$;

CREATE FUNCTION public.job_events_take_position() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.position := pg_current_xact_id()::text::bigint + events_epoch();
  IF NEW.previous > 0 THEN
    NEW.position := greatest(NEW.position, (
      SELECT before.position FROM job_events AS before WHERE before.job_id = NEW.job_id AND before.id = NEW.previous));
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.job_shadowed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  INSERT INTO shadow_runs (arm_id, job_id, organization_id, project_id, experiment_id)
  SELECT arm.id, NEW.id, NEW.organization_id, NEW.project_id, experiment.id
  FROM (
    SELECT id, salt FROM experiments
    WHERE organization_id = NEW.organization_id AND capability = NEW.capability AND state = 'running'
      AND (project_id IS NULL OR project_id = NEW.project_id)
    ORDER BY project_id IS NULL LIMIT 1
  ) AS experiment
  JOIN experiment_arms AS arm ON arm.experiment_id = experiment.id AND arm.kind = 'shadow'
  WHERE shadow_place(experiment.salt, arm.id, NEW.id) < arm.weight;
  RETURN NULL;
END $$;

CREATE FUNCTION public.jobs_below(top uuid) RETURNS SETOF uuid
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  WITH RECURSIVE tree AS (
    SELECT child_id FROM job_children WHERE parent_id = top
    UNION ALL SELECT job_children.child_id FROM tree JOIN job_children ON job_children.parent_id = tree.child_id
  )
  SELECT child_id FROM tree
$$;

CREATE FUNCTION public.jobs_child_ended() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE parent record;
BEGIN
  SELECT state, reason INTO parent FROM jobs WHERE id = NEW.parent_id AND finished_at IS NULL FOR NO KEY UPDATE;
  IF parent.state = 'waiting' AND parent.reason = 'children' THEN
    PERFORM jobs_tell_parent(NEW.parent_id);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.jobs_cost_below(top uuid) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  SELECT coalesce(sum(cost_usd), 0) FROM jobs WHERE id IN (SELECT jobs_below(top))
$$;

CREATE FUNCTION public.jobs_costs_below(top uuid, OUT below_usd numeric, OUT below_priced boolean) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  SELECT coalesce(sum(cost_usd), 0), coalesce(bool_and(usage_is_priced(usage)), true)
  FROM jobs WHERE id = ANY(ARRAY(SELECT jobs_below(top)))
$$;

CREATE FUNCTION public.jobs_guard_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF OLD.state::text || '>' || NEW.state::text NOT IN (
    'queued>cancelled', 'queued>expired', 'queued>rejected', 'queued>running', 'running>cancelled',
    'running>expired', 'running>failed', 'running>queued', 'running>succeeded', 'running>waiting',
    'waiting>cancelled', 'waiting>expired', 'waiting>queued') THEN
    RAISE EXCEPTION 'a job may not go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation',
      CONSTRAINT = 'jobs_guard_transition';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.jobs_tell_parent(parent uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.jobs_waits_for_children() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM jobs_tell_parent(NEW.id);
  RETURN NULL;
END $$;

CREATE FUNCTION public.knowledge_lexical_search(base uuid, covering tsquery, query public.sparsevec, mean_length double precision, depth integer) RETURNS TABLE(id uuid, score double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  SELECT chunks.id, -(chunks.weights <#> query) / (0.8 + 0.2 * chunks.length / mean_length)
  FROM chunks
  WHERE chunks.lexemes @@ covering AND chunks.knowledge_base_id = base
    AND chunks.organization_id = nullif(current_setting('waybill.organization_id', true), '')::uuid
  ORDER BY 2 DESC, 1 LIMIT depth
$$;

CREATE FUNCTION public.knowledge_nearest(base uuid, query public.halfvec, depth integer) RETURNS TABLE(id uuid, score double precision)
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET "hnsw.ef_search" TO '200'
    SET "hnsw.iterative_scan" TO 'relaxed_order'
    SET "hnsw.max_scan_tuples" TO '200000'
    SET "hnsw.scan_mem_multiplier" TO '4'
    AS $$
  SELECT chunks.id, -(chunks.embedding <#> query) FROM chunks WHERE chunks.knowledge_base_id = base
  ORDER BY chunks.embedding <#> query LIMIT depth
$$;

CREATE FUNCTION public.knowledge_refresh_statistics() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET lock_timeout TO '500ms'
    AS $$
DECLARE stale record;
BEGIN
  FOR stale IN
    SELECT held.relname FROM pg_class AS held LEFT JOIN pg_stat_user_tables AS counted ON counted.relid = held.oid
    WHERE held.oid IN ('public.knowledge_bases'::regclass, 'public.documents'::regclass, 'public.chunks'::regclass,
      'public.knowledge_terms'::regclass)
      AND (held.reltuples <= 0
        OR pg_relation_size(held.oid) > 1.2 * held.relpages * current_setting('block_size')::bigint
        OR coalesce(counted.n_mod_since_analyze, 0) > least(0.2 * held.reltuples, 2000))
    ORDER BY held.relname
  LOOP
    BEGIN
      EXECUTE format('ANALYZE public.%I', stale.relname);
    EXCEPTION WHEN lock_not_available THEN NULL;
    END;
  END LOOP;
END $$;

CREATE FUNCTION public.knowledge_term(lexeme text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT (('x' || left(md5(lexeme), 8))::bit(32)::bigint & 536870911)::int + 1
$$;

CREATE FUNCTION public.ledger_alert(ids uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE crossed record;
BEGIN
  FOR crossed IN
    SELECT balance.id, balance.budget_id, balance.organization_id, balance.period_start, balance.spent_usd,
      budgets.limit_usd, budgets.name, threshold
    FROM budget_balances AS balance JOIN budgets ON budgets.id = balance.budget_id, unnest(budgets.thresholds) AS threshold
    WHERE balance.id = ANY(ids) AND NOT threshold = ANY(balance.alerted)
      AND balance.spent_usd > 0
      AND balance.spent_usd * 100 >= budgets.limit_usd * threshold
    ORDER BY balance.id, threshold
  LOOP
    INSERT INTO budget_alerts (organization_id, budget_id, period_start, threshold, spent_usd, limit_usd)
    VALUES (crossed.organization_id, crossed.budget_id, crossed.period_start, crossed.threshold, crossed.spent_usd,
      crossed.limit_usd) ON CONFLICT DO NOTHING;
    UPDATE budget_balances SET alerted = alerted || crossed.threshold WHERE id = crossed.id;
    INSERT INTO audit_inbox (organization_id, action, subject_id, actor_kind, detail)
    VALUES (crossed.organization_id, 'ledger:budget:alert', typeid('bud', crossed.budget_id), 'system',
      jsonb_build_object('threshold', crossed.threshold, 'spent_usd', crossed.spent_usd::text,
        'limit_usd', crossed.limit_usd::text));
  END LOOP;
END $$;

CREATE FUNCTION public.ledger_balances(organization uuid, project uuid, api_key uuid) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE ids uuid[]; budget_count int;
BEGIN
  SELECT array_agg(balance.id ORDER BY balance.id) FILTER (WHERE balance.id IS NOT NULL), count(*)
  INTO ids, budget_count
  FROM budgets
  LEFT JOIN budget_balances AS balance ON balance.budget_id = budgets.id AND balance.period_start = ledger_period_start(budgets.period, now())
  WHERE budgets.organization_id = organization AND budgets.archived_at IS NULL
    AND budgets.scope_id IN (organization, project, api_key);
  IF budget_count = coalesce(cardinality(ids), 0) THEN
    RETURN coalesce(ids, '{}');
  END IF;
  INSERT INTO budget_balances (id, budget_id, organization_id, period_start)
  SELECT uuidv7(), budgets.id, organization, ledger_period_start(budgets.period, now())
  FROM budgets
  WHERE budgets.organization_id = organization AND budgets.archived_at IS NULL
    AND budgets.scope_id IN (organization, project, api_key)
  ORDER BY budgets.id
  ON CONFLICT (budget_id, period_start) DO NOTHING;
  RETURN ledger_balances(organization, project, api_key);
END $$;

CREATE FUNCTION public.ledger_begin_call(job uuid, running_attempt integer, number integer, bound numeric, called_provider text, called_model text, called_version text, running_step text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE owner jobs; root uuid; held reservations; ids uuid[]; missing numeric;
BEGIN
  SELECT * INTO STRICT owner FROM jobs WHERE id = job;
  PERFORM ledger_require_tenant(owner.organization_id);
  root := coalesce(owner.root_id, owner.id);
  IF bound > 0 THEN
    SELECT * INTO held FROM reservations WHERE root_job_id = root FOR UPDATE;
    IF NOT FOUND THEN
      ids := ledger_balances(owner.organization_id, owner.project_id, owner.key_id);
      INSERT INTO reservations (root_job_id, organization_id, project_id, key_id, balance_ids, spent_usd, cap_usd)
      SELECT root, owner.organization_id, owner.project_id, owner.key_id, ids,
        (SELECT coalesce(sum(amount_usd), 0) FROM ledger_entries WHERE job_id = root), max_cost_usd
      FROM jobs WHERE id = root
      ON CONFLICT (root_job_id) DO NOTHING;
      SELECT * INTO STRICT held FROM reservations WHERE root_job_id = root FOR UPDATE;
    END IF;
    IF held.spent_usd + held.committed_usd + bound > held.cap_usd THEN
      RAISE EXCEPTION 'the job may not cost that much' USING ERRCODE = 'WB402', DETAIL = jsonb_build_object(
        'cap_usd', held.cap_usd::text, 'spent_usd', held.spent_usd::text, 'reserved_usd', held.committed_usd::text,
        'wanted_usd', bound::text, 'on_exhaustion', 'fail')::text;
    END IF;
    missing := greatest(0, bound - (held.held_usd - held.committed_usd));
    IF missing > 0 THEN
      PERFORM ledger_set_aside(held.balance_ids, missing);
    END IF;
    UPDATE reservations SET held_usd = held_usd + missing, committed_usd = committed_usd + bound
    WHERE root_job_id = root;
  END IF;
  INSERT INTO open_calls (job_id, attempt, call, root_job_id, organization_id, bound_usd)
  VALUES (job, running_attempt, number, root, owner.organization_id, bound);
  INSERT INTO ledger_entries (job_id, attempt, call, entry, organization_id, project_id, key_id, root_job_id, kind,
    capability, provider, model, model_version, bound_usd, amount_usd, step, labels)
  VALUES (job, running_attempt, number, 0, owner.organization_id, owner.project_id, owner.key_id, root, 'intent',
    owner.capability, called_provider, called_model, called_version, bound, 0, running_step, owner.metadata);
END $$;

CREATE FUNCTION public.ledger_check_caps() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE capped record; spent numeric; pending numeric;
BEGIN
  FOR capped IN
    WITH RECURSIVE line AS (
      SELECT id, parent_id, max_cost_usd FROM jobs WHERE id = NEW.job_id
      UNION ALL SELECT jobs.id, jobs.parent_id, jobs.max_cost_usd FROM line JOIN jobs ON jobs.id = line.parent_id
    )
    SELECT id, max_cost_usd FROM line WHERE parent_id IS NOT NULL AND max_cost_usd IS NOT NULL
  LOOP
    SELECT cost_usd + jobs_cost_below(id) INTO spent FROM jobs WHERE id = capped.id;
    SELECT coalesce(sum(bound_usd), 0) INTO pending FROM open_calls
    WHERE root_job_id = NEW.root_job_id AND (job_id = capped.id OR job_id IN (SELECT jobs_below(capped.id)));
    IF spent + pending + NEW.bound_usd > capped.max_cost_usd THEN
      RAISE EXCEPTION 'the job may not cost that much' USING ERRCODE = 'WB402', DETAIL = jsonb_build_object(
        'cap_usd', capped.max_cost_usd::text, 'spent_usd', spent::text, 'reserved_usd', pending::text,
        'wanted_usd', NEW.bound_usd::text, 'on_exhaustion', 'fail')::text;
    END IF;
  END LOOP;
  RETURN NEW;
END $$;

CREATE FUNCTION public.ledger_correct(job uuid, corrected_attempt integer, number integer, amount numeric, because text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE settled ledger_entries; following smallint;
BEGIN
  SELECT * INTO settled FROM ledger_entries
  WHERE job_id = job AND attempt = corrected_attempt AND call = number AND entry = 1;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  PERFORM ledger_require_tenant(settled.organization_id);
  UPDATE jobs SET cost_usd = cost_usd + amount WHERE id = job;
  PERFORM ledger_lock(settled.balance_ids);
  SELECT max(entry) + 1 INTO following FROM ledger_entries
  WHERE job_id = job AND attempt = corrected_attempt AND call = number;
  UPDATE budget_balances SET spent_usd = spent_usd + amount WHERE id = ANY(settled.balance_ids);
  PERFORM ledger_alert(settled.balance_ids);
  INSERT INTO ledger_entries (job_id, attempt, call, entry, organization_id, project_id, key_id, root_job_id, kind,
    capability, provider, model, model_version, bound_usd, amount_usd, estimated, reason, balance_ids, step, labels)
  VALUES (job, corrected_attempt, number, following, settled.organization_id, settled.project_id, settled.key_id,
    settled.root_job_id, 'correction', settled.capability, settled.provider, settled.model, settled.model_version,
    settled.bound_usd, amount, false, because, settled.balance_ids, settled.step, settled.labels);
  RETURN following;
END $$;

CREATE FUNCTION public.ledger_correction_pending() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO rollup_pending (job_id, attempt, call, entry, organization_id)
  VALUES (NEW.job_id, NEW.attempt, NEW.call, NEW.entry, NEW.organization_id);
  RETURN NULL;
END $$;

CREATE FUNCTION public.ledger_entries_audited() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, attempt, detail)
  VALUES (NEW.organization_id, NEW.project_id, 'worker:model:call', typeid('job', NEW.job_id),
    CASE NEW.reason WHEN 'worker_lost' THEN 'dispatcher' ELSE 'worker' END, NEW.attempt,
    jsonb_strip_nulls(jsonb_build_object('call', NEW.call, 'provider', NEW.provider, 'model', NEW.model,
      'model_version', NEW.model_version, 'step', NEW.step, 'amount_usd', NEW.amount_usd::text,
      'quantities', NEW.quantities, 'estimated', NEW.estimated, 'reason', NEW.reason)));
  RETURN NULL;
END $$;

CREATE FUNCTION public.ledger_entries_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: write a correction' USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION public.ledger_lock(ids uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM FROM budget_balances WHERE id = ANY(ids) ORDER BY id FOR UPDATE;
END $$;

CREATE FUNCTION public.ledger_period_start(period text, moment timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  SELECT CASE period WHEN 'total' THEN '-infinity'::timestamptz ELSE date_trunc(period, moment, 'UTC') END
$$;

CREATE FUNCTION public.ledger_release(roots uuid[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE ended uuid[]; released int;
BEGIN
  PERFORM ledger_require_tenant(organization_id) FROM reservations WHERE root_job_id = ANY(roots);
  ended := ARRAY(SELECT root_job_id FROM reservations WHERE root_job_id = ANY(roots) AND committed_usd = 0
    ORDER BY root_job_id FOR UPDATE);
  IF ended = '{}' THEN
    RETURN 0;
  END IF;
  PERFORM ledger_lock(ARRAY(
    SELECT DISTINCT unnest(balance_ids) FROM reservations WHERE root_job_id = ANY(ended) AND held_usd > 0));
  UPDATE budget_balances SET reserved_usd = reserved_usd - given_back.held
  FROM (
    SELECT balance_id, sum(held_usd) AS held FROM reservations, unnest(balance_ids) AS balance_id
    WHERE root_job_id = ANY(ended) GROUP BY balance_id HAVING sum(held_usd) > 0
  ) AS given_back
  WHERE budget_balances.id = given_back.balance_id;
  DELETE FROM reservations WHERE root_job_id = ANY(ended);
  GET DIAGNOSTICS released = ROW_COUNT;
  RETURN released;
END $$;

CREATE FUNCTION public.ledger_remember_tree() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  NEW.spent_usd := greatest(NEW.spent_usd,
    (SELECT cost_usd FROM jobs WHERE id = NEW.root_job_id) + jobs_cost_below(NEW.root_job_id));
  RETURN NEW;
END $$;

CREATE FUNCTION public.ledger_require_tenant(organization uuid) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE named uuid := nullif(current_setting('waybill.organization_id', true), '')::uuid;
BEGIN
  IF named IS DISTINCT FROM organization AND (named IS NOT NULL OR current_setting('role') = 'waybill_app') THEN
    RAISE EXCEPTION 'this transaction may not touch that organisation''s money'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

CREATE FUNCTION public.ledger_reserve(job uuid, organization uuid, project uuid, api_key uuid, amount numeric, cap numeric) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE ids uuid[];
BEGIN
  PERFORM ledger_require_tenant(organization);
  IF amount = 0 THEN
    RETURN; -- the first call that costs anything opens the reservation
  END IF;
  ids := ledger_balances(organization, project, api_key);
  INSERT INTO reservations (root_job_id, organization_id, project_id, key_id, balance_ids, held_usd, cap_usd)
  VALUES (job, organization, project, api_key, ids, amount, cap);
  PERFORM ledger_set_aside(ids, amount);
END $$;

CREATE FUNCTION public.ledger_review(organization uuid, budget uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE ids uuid[];
BEGIN
  PERFORM ledger_require_tenant(organization);
  ids := ARRAY(SELECT balance.id FROM budget_balances AS balance JOIN budgets ON budgets.id = balance.budget_id
    WHERE budgets.id = budget AND budgets.organization_id = organization
      AND balance.period_start = ledger_period_start(budgets.period, now()));
  PERFORM ledger_lock(ids);
  PERFORM ledger_alert(ids);
END $$;

CREATE FUNCTION public.ledger_set_aside(ids uuid[], amount numeric) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE refusal jsonb;
BEGIN
  PERFORM ledger_lock(ids);
  SELECT jsonb_build_object('budget_id', budgets.id, 'name', budgets.name, 'scope', budgets.scope,
    'period', budgets.period, 'limit_usd', budgets.limit_usd::text, 'spent_usd', balance.spent_usd::text,
    'reserved_usd', balance.reserved_usd::text, 'wanted_usd', amount::text, 'on_exhaustion', budgets.on_exhaustion)
  INTO refusal
  FROM budget_balances AS balance JOIN budgets ON budgets.id = balance.budget_id
  WHERE balance.id = ANY(ids) AND budgets.hard AND budgets.archived_at IS NULL
    AND balance.spent_usd + balance.reserved_usd + amount > budgets.limit_usd
  ORDER BY (budgets.on_exhaustion = 'pause'), balance.id LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'a budget has no room for this' USING ERRCODE = 'WB402', DETAIL = refusal::text;
  END IF;
  UPDATE budget_balances SET reserved_usd = reserved_usd + amount WHERE id = ANY(ids);
END $$;

CREATE FUNCTION public.ledger_settle_call(job uuid, running_attempt integer, number integer, amount numeric, used jsonb, priced jsonb, prices_used uuid[], is_estimated boolean, because text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE pending open_calls; held reservations; intent ledger_entries; ids uuid[]; kept numeric; given_back numeric;
BEGIN
  SELECT * INTO pending FROM open_calls WHERE job_id = job AND attempt = running_attempt AND call = number;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM ledger_require_tenant(pending.organization_id);
  SELECT * INTO held FROM reservations WHERE root_job_id = pending.root_job_id FOR UPDATE;
  DELETE FROM open_calls WHERE job_id = job AND attempt = running_attempt AND call = number;
  IF NOT FOUND THEN
    RETURN false; -- settled by another while this one waited for the reservation
  END IF;
  SELECT * INTO STRICT intent FROM ledger_entries
  WHERE job_id = job AND attempt = running_attempt AND call = number AND entry = 0;
  IF held.root_job_id IS NULL THEN
    ids := CASE WHEN amount = 0 THEN '{}'
      ELSE ledger_balances(intent.organization_id, intent.project_id, intent.key_id) END;
  ELSE
    ids := held.balance_ids;
    kept := held.committed_usd - pending.bound_usd;
    given_back := least(amount, held.held_usd - kept);
    UPDATE reservations SET committed_usd = kept, held_usd = held_usd - given_back, spent_usd = spent_usd + amount
    WHERE root_job_id = pending.root_job_id;
  END IF;
  IF amount <> 0 THEN
    PERFORM ledger_lock(ids);
    UPDATE budget_balances SET reserved_usd = reserved_usd - coalesce(given_back, 0), spent_usd = spent_usd + amount
    WHERE id = ANY(ids);
    PERFORM ledger_alert(ids);
  END IF;
  INSERT INTO ledger_entries (job_id, attempt, call, entry, organization_id, project_id, key_id, root_job_id, kind,
    capability, provider, model, model_version, price_ids, quantities, amounts, bound_usd, amount_usd, estimated, reason,
    balance_ids, step, labels)
  VALUES (job, running_attempt, number, 1, intent.organization_id, intent.project_id, intent.key_id, intent.root_job_id,
    'settlement', intent.capability, intent.provider, intent.model, intent.model_version, prices_used, used, priced,
    intent.bound_usd, amount, is_estimated, because, ids, intent.step, intent.labels);
  RETURN true;
END $$;

CREATE FUNCTION public.ledger_sweep(grace_seconds double precision, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE lost open_calls[]; each open_calls; settled int := 0;
BEGIN
  lost := ARRAY(
    SELECT pending FROM open_calls AS pending LEFT JOIN jobs ON jobs.id = pending.job_id
    WHERE pending.opened_at < now() - make_interval(secs => grace_seconds)
      AND (jobs.id IS NULL OR jobs.state <> 'running' OR jobs.attempt <> pending.attempt)
    ORDER BY pending.job_id, pending.attempt, pending.call LIMIT most);
  IF lost = '{}' THEN
    RETURN 0;
  END IF;
  -- Children before their parents, as where a child ends.
  PERFORM FROM jobs WHERE id IN (SELECT job_id FROM unnest(lost)) ORDER BY id DESC FOR NO KEY UPDATE;
  PERFORM FROM reservations WHERE root_job_id IN (SELECT root_job_id FROM unnest(lost))
    ORDER BY root_job_id FOR UPDATE;
  PERFORM ledger_lock(ARRAY(SELECT DISTINCT unnest(balance_ids) FROM reservations
    WHERE root_job_id IN (SELECT root_job_id FROM unnest(lost))));
  FOREACH each IN ARRAY lost LOOP
    IF ledger_settle_call(each.job_id, each.attempt, each.call, each.bound_usd, '{}', '{}', '{}', true,
      'worker_lost') THEN
      UPDATE jobs SET cost_usd = cost_usd + each.bound_usd WHERE id = each.job_id;
      settled := settled + 1;
    END IF;
  END LOOP;
  RETURN settled;
END $$;

CREATE FUNCTION public.limits_admit(organization uuid, project uuid, api_key uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  of_jobs CONSTANT text[] := ARRAY['jobs_per_day', 'jobs_per_month'];
  all_kinds CONSTANT text[] := of_jobs || ARRAY['tokens_per_minute', 'tokens_per_day', 'tokens_per_month',
    'cost_per_day', 'cost_per_month'];
  counts_jobs boolean;
  refusal jsonb;
BEGIN
  PERFORM ledger_require_tenant(organization);
  SELECT bool_or(kind = ANY(of_jobs)) INTO counts_jobs
  FROM limits_in_scope(organization, project, api_key, all_kinds);
  IF counts_jobs IS NULL THEN
    RETURN;
  END IF;
  IF counts_jobs THEN
    PERFORM limits_lock(organization, project, api_key, of_jobs);
  END IF;
  SELECT jsonb_build_object('scope', wanted.scope, 'scope_id', wanted.scope_id, 'kind', wanted.kind,
    'limit', wanted.value::text, 'used', level.used::text,
    'period_start', nullif(limits_period_start(wanted.kind, now()), '-infinity'),
    'resets_at', limits_period_end(wanted.kind, now()),
    'retry_after_seconds', ceil(CASE WHEN wanted.kind = 'tokens_per_minute'
      THEN (level.used - wanted.value) * 60 / wanted.value
      ELSE extract(epoch FROM limits_period_end(wanted.kind, now()) - now()) END))
  INTO refusal
  FROM limits_in_scope(organization, project, api_key, all_kinds) AS wanted
  LEFT JOIN quota_usage AS usage ON usage.organization_id = organization AND usage.scope_id = wanted.scope_id
    AND usage.kind = wanted.kind AND usage.period_start = limits_period_start(wanted.kind, now())
  CROSS JOIN LATERAL (
    SELECT coalesce(limits_level(wanted.kind, usage.used, usage.updated_at, wanted.value, now()), 0) AS used
  ) AS level
  WHERE level.used >= wanted.value
  ORDER BY limits_period_end(wanted.kind, now()) DESC NULLS LAST,
    array_position(ARRAY['organization', 'project', 'key'], wanted.scope), wanted.kind
  LIMIT 1;
  IF FOUND THEN
    IF refusal ->> 'kind' = 'tokens_per_minute' THEN
      RAISE EXCEPTION 'a rate is used up' USING ERRCODE = 'WB429', DETAIL = refusal::text;
    END IF;
    RAISE EXCEPTION 'a quota is used up' USING ERRCODE = 'WB403', DETAIL = refusal::text;
  END IF;
  IF counts_jobs THEN
    UPDATE quota_usage AS usage SET used = usage.used + 1, updated_at = now()
    FROM limits_in_scope(organization, project, api_key, of_jobs) AS wanted
    WHERE usage.organization_id = organization AND usage.scope_id = wanted.scope_id AND usage.kind = wanted.kind
      AND usage.period_start = limits_period_start(wanted.kind, now());
  END IF;
END $$;

CREATE FUNCTION public.limits_count_entry() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM limits_spend(NEW.organization_id, NEW.project_id, NEW.key_id, limits_tokens(NEW.quantities), NEW.amount_usd);
  RETURN NULL;
END $$;

CREATE TABLE public.limits (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid NOT NULL,
    scope text NOT NULL,
    scope_id uuid NOT NULL,
    kind text NOT NULL,
    value numeric(21,9) NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT limits_kind CHECK ((kind = ANY (ARRAY['requests_per_minute'::text, 'tokens_per_minute'::text, 'concurrent_jobs'::text, 'jobs_per_day'::text, 'jobs_per_month'::text, 'tokens_per_day'::text, 'tokens_per_month'::text, 'cost_per_day'::text, 'cost_per_month'::text]))),
    CONSTRAINT limits_organization_is_its_own_scope CHECK (((scope = 'organization'::text) = (scope_id = organization_id))),
    CONSTRAINT limits_rate_lets_something_pass CHECK (((kind <> ALL (ARRAY['requests_per_minute'::text, 'tokens_per_minute'::text])) OR (value >= (1)::numeric))),
    CONSTRAINT limits_scope CHECK ((scope = ANY (ARRAY['organization'::text, 'project'::text, 'key'::text]))),
    CONSTRAINT limits_value CHECK ((value >= (0)::numeric))
);

CREATE FUNCTION public.limits_in_scope(organization uuid, project uuid, api_key uuid, kinds text[]) RETURNS SETOF public.limits
    LANGUAGE sql STABLE
    AS $$
  SELECT * FROM limits
  WHERE organization_id = organization AND scope_id IN (organization, project, api_key) AND kind = ANY(kinds)
$$;

CREATE FUNCTION public.limits_level(kind text, used numeric, since timestamp with time zone, value numeric, moment timestamp with time zone) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT CASE WHEN kind = 'tokens_per_minute'
    THEN greatest(0, used - greatest(0, extract(epoch FROM moment - since)) * value / 60) ELSE used END
$$;

CREATE FUNCTION public.limits_lock(organization uuid, project uuid, api_key uuid, kinds text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO quota_usage (organization_id, scope_id, kind, period_start)
  SELECT organization, wanted.scope_id, wanted.kind, limits_period_start(wanted.kind, now())
  FROM limits_in_scope(organization, project, api_key, kinds) AS wanted
  WHERE NOT EXISTS (
    SELECT FROM quota_usage AS usage
    WHERE usage.organization_id = organization AND usage.scope_id = wanted.scope_id AND usage.kind = wanted.kind
      AND usage.period_start = limits_period_start(wanted.kind, now()))
  ORDER BY array_position(ARRAY['organization', 'project', 'key'], wanted.scope), wanted.kind
  ON CONFLICT DO NOTHING;
  PERFORM FROM limits_in_scope(organization, project, api_key, kinds) AS wanted
  JOIN quota_usage AS usage ON usage.organization_id = organization AND usage.scope_id = wanted.scope_id
    AND usage.kind = wanted.kind AND usage.period_start = limits_period_start(wanted.kind, now())
  ORDER BY array_position(ARRAY['organization', 'project', 'key'], wanted.scope), wanted.kind
  FOR UPDATE OF usage;
END $$;

CREATE FUNCTION public.limits_open(organization uuid, scoped uuid, wanted text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE began timestamptz := limits_period_start(wanted, now()); seen numeric;
BEGIN
  PERFORM ledger_require_tenant(organization);
  IF limits_period(wanted) IS NULL THEN
    RETURN;
  END IF;
  IF wanted LIKE 'jobs%' THEN
    SELECT count(*) INTO seen FROM jobs
    WHERE organization_id = organization AND scoped IN (organization_id, project_id, key_id)
      AND created_at >= began AND id >= uuid7_floor(began - interval '1 minute');
  ELSE
    SELECT coalesce(sum(CASE WHEN wanted LIKE 'tokens%' THEN limits_tokens(quantities) ELSE amount_usd END), 0)
    INTO seen FROM ledger_entries
    WHERE organization_id = organization AND scoped IN (organization_id, project_id, key_id)
      AND recorded_at >= began AND entry > 0;
  END IF;
  INSERT INTO quota_usage AS usage (organization_id, scope_id, kind, period_start, used)
  VALUES (organization, scoped, wanted, began, seen)
  ON CONFLICT (organization_id, scope_id, kind, period_start)
  DO UPDATE SET used = greatest(usage.used, EXCLUDED.used), updated_at = now();
END $$;

CREATE FUNCTION public.limits_period(kind text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT CASE WHEN kind LIKE '%\_per\_day' THEN 'day' WHEN kind LIKE '%\_per\_month' THEN 'month' END
$$;

CREATE FUNCTION public.limits_period_end(kind text, moment timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  SELECT (date_trunc(limits_period(kind), moment AT TIME ZONE 'UTC') + ('1 ' || limits_period(kind))::interval)
    AT TIME ZONE 'UTC'
$$;

CREATE FUNCTION public.limits_period_start(kind text, moment timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  SELECT coalesce(date_trunc(limits_period(kind), moment, 'UTC'), '-infinity'::timestamptz)
$$;

CREATE FUNCTION public.limits_spend(organization uuid, project uuid, api_key uuid, tokens numeric, cost numeric) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  kinds CONSTANT text[] := CASE WHEN tokens <> 0
    THEN ARRAY['tokens_per_minute', 'tokens_per_day', 'tokens_per_month'] ELSE ARRAY[]::text[] END
    || CASE WHEN cost <> 0 THEN ARRAY['cost_per_day', 'cost_per_month'] ELSE ARRAY[]::text[] END;
BEGIN
  IF kinds = '{}' OR NOT EXISTS (SELECT FROM limits_in_scope(organization, project, api_key, kinds)) THEN
    RETURN;
  END IF;
  PERFORM limits_lock(organization, project, api_key, kinds);
  UPDATE quota_usage AS usage SET updated_at = clock_timestamp(),
    used = limits_level(wanted.kind, usage.used, usage.updated_at, wanted.value, clock_timestamp())
      + CASE WHEN wanted.kind LIKE 'tokens%' THEN tokens ELSE cost END
  FROM limits_in_scope(organization, project, api_key, kinds) AS wanted
  WHERE usage.organization_id = organization AND usage.scope_id = wanted.scope_id AND usage.kind = wanted.kind
    AND usage.period_start = limits_period_start(wanted.kind, now());
END $$;

CREATE FUNCTION public.limits_tokens(quantities jsonb) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT coalesce(sum(amount::numeric), 0) FROM jsonb_each_text(quantities) AS quantity (unit, amount)
  WHERE unit LIKE '%\_tokens'
$$;

CREATE FUNCTION public.partitions_before(parent text, before timestamp with time zone) RETURNS TABLE(name text, first timestamp with time zone, past timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $_$
  SELECT child, month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
  FROM (
    SELECT relname::text AS child, to_date(right(relname, 6), 'YYYYMM')::timestamp AT TIME ZONE 'UTC' AS month
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = to_regclass(parent) AND relname ~ ('^' || parent || '_\d{6}$')
  ) AS partition
  WHERE (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' <= before ORDER BY month
$_$;

CREATE FUNCTION public.prices_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'prices are never changed: add a new dated one' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION public.quality_alert_announce() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM webhook_tell(NEW.organization_id, NULL, 'quality.alert', jsonb_build_object(
    'alert_id', typeid('qal', NEW.id), 'capability', NEW.capability, 'model_version', NEW.model_version,
    'signal', NEW.signal, 'direction', NEW.direction, 'is_worse', NEW.is_worse,
    'baseline', jsonb_build_object('model_version', NEW.baseline_version, 'mean', NEW.baseline_mean,
      'jobs', NEW.baseline_jobs),
    'observed', jsonb_build_object('mean', NEW.observed_mean, 'jobs', NEW.observed_jobs),
    'began_at', webhook_time(NEW.began_at), 'raised_at', webhook_time(NEW.raised_at),
    'job_ids', (SELECT coalesce(jsonb_agg(typeid('job', id) ORDER BY place), '[]')
      FROM unnest(NEW.job_ids) WITH ORDINALITY AS listed (id, place))));
  RETURN NULL;
END $$;

CREATE FUNCTION public.quality_note_feedback() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  INSERT INTO quality_pending (job_id, organization_id) VALUES (NEW.job_id, NEW.organization_id)
  ON CONFLICT (job_id) DO UPDATE SET noted_at = now();
  RETURN NULL;
END $$;

CREATE FUNCTION public.registry_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION '% are never changed: write a new row', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION public.retention_clocks(of_kind text, default_days integer) RETURNS TABLE(organization_id uuid, project_id uuid, days integer)
    LANGUAGE sql STABLE
    AS $$
  SELECT projects.organization_id, projects.id,
    CASE WHEN own.kind IS NOT NULL THEN own.days WHEN common.kind IS NOT NULL THEN common.days ELSE default_days END
  FROM projects
  LEFT JOIN retention_policies AS own ON own.organization_id = projects.organization_id
    AND own.project_id = projects.id AND own.kind = of_kind
  LEFT JOIN retention_policies AS common ON common.organization_id = projects.organization_id
    AND common.project_id IS NULL AND common.kind = of_kind
$$;

CREATE FUNCTION public.retention_payload_clocks(default_days integer) RETURNS TABLE(organization_id uuid, project_id uuid, data_classes public.data_class[], days integer)
    LANGUAGE sql STABLE
    AS $$
  SELECT kept.organization_id, kept.project_id, array_agg(kept.data_class), kept.days
  FROM (
    SELECT clock.organization_id, clock.project_id, held.data_class, least(clock.days,
      min(coalesce(own.days, common.days)) OVER (PARTITION BY clock.project_id ORDER BY held.data_class)) AS days
    FROM retention_clocks('payloads', default_days) AS clock
    CROSS JOIN unnest(enum_range(NULL::data_class)) AS held (data_class)
    LEFT JOIN retention_class_policies AS own ON own.organization_id = clock.organization_id
      AND own.project_id = clock.project_id AND own.data_class = held.data_class
    LEFT JOIN retention_class_policies AS common ON common.organization_id = clock.organization_id
      AND common.project_id IS NULL AND common.data_class = held.data_class
  ) AS kept
  GROUP BY kept.organization_id, kept.project_id, kept.days
$$;

CREATE FUNCTION public.rollup_add(one jsonb, other jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT coalesce(jsonb_object_agg(key, total), '{}')
  FROM (
    SELECT key, sum(value::numeric) AS total
    FROM (SELECT * FROM jsonb_each_text(one) UNION ALL SELECT * FROM jsonb_each_text(other)) AS both_of_them
    GROUP BY key) AS added
$$;

CREATE FUNCTION public.rollup_partitions(days integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.shadow_place(salt bytea, arm uuid, job uuid) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT (get_byte(digest, 0) * 65536 + get_byte(digest, 1) * 256 + get_byte(digest, 2)) / 16777216.0
  FROM sha256(salt || uuid_send(arm) || uuid_send(job)) AS digest
$$;

CREATE FUNCTION public.typeid(prefix text, id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT prefix || '_' || string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',
    substring(B'00' || ('x' || replace(id::text, '-', ''))::bit(128) FROM place * 5 + 1 FOR 5)::bit(5)::int + 1, 1),
    '' ORDER BY place)
  FROM generate_series(0, 25) AS place
$$;

CREATE FUNCTION public.usage_is_priced(usage jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT NOT usage @> '[{"priced": false}]'
$$;

CREATE FUNCTION public.uuid7_floor(moment timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE FUNCTION public.waybill_pool_demand(pool_name text) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  SELECT (SELECT count(*) FROM (
      SELECT FROM jobs WHERE pool = pool_name AND state = 'queued' AND dispatched_at IS NULL AND run_at <= now()
        AND cancel_requested_at IS NULL LIMIT 10000) AS due)
    + (SELECT count(*) FROM jobs
      WHERE pool = pool_name AND (state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)))
$$;

CREATE FUNCTION public.webhook_announce_keys(ahead interval) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE announced int := 0; expiring record;
BEGIN
  FOR expiring IN
    INSERT INTO webhook_notices (subject_id, event, organization_id)
    SELECT key.id, 'key.expiring', key.organization_id FROM api_keys AS key
    WHERE key.expires_at BETWEEN now() AND now() + ahead AND key.revoked_at IS NULL AND key.replaced_by IS NULL
      AND EXISTS (SELECT FROM webhook_endpoints AS endpoint
        WHERE endpoint.project_id = key.project_id AND endpoint.state <> 'disabled')
    ON CONFLICT DO NOTHING RETURNING subject_id
  LOOP
    PERFORM webhook_tell(organization_id, project_id, 'key.expiring', jsonb_build_object(
      'key_id', typeid('key', id), 'project_id', typeid('prj', project_id), 'name', name, 'prefix', prefix,
      'expires_at', webhook_time(expires_at)))
    FROM api_keys WHERE id = expiring.subject_id;
    announced := announced + 1;
  END LOOP;
  RETURN announced;
END $$;

CREATE FUNCTION public.webhook_body(event text, data jsonb) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT convert_to(
    jsonb_build_object('type', event, 'timestamp', webhook_time(clock_timestamp()), 'data', data)::text, 'UTF8')
$$;

CREATE FUNCTION public.webhook_body_with_result(event text, facts jsonb, result json) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT convert_to(
    left(jsonb_build_object('type', event, 'timestamp', webhook_time(clock_timestamp()))::text, -1)
    || ', "data": ' || left(facts::text, -1) || ', "result": ' || coalesce(result::text, 'null') || '}}', 'UTF8')
$$;

CREATE FUNCTION public.webhook_budget_alerted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE budget record;
BEGIN
  IF NOT EXISTS (SELECT FROM webhook_endpoints WHERE organization_id = NEW.organization_id AND state <> 'disabled') THEN
    RETURN NULL;
  END IF;
  SELECT budgets.*, CASE scope WHEN 'project' THEN scope_id
    WHEN 'key' THEN (SELECT project_id FROM api_keys WHERE api_keys.id = scope_id) END AS of_project INTO budget
  FROM budgets WHERE id = NEW.budget_id;
  PERFORM webhook_tell(NEW.organization_id, budget.of_project, 'budget.threshold', jsonb_build_object(
    'budget_id', typeid('bud', NEW.budget_id), 'name', budget.name, 'scope', budget.scope,
    'threshold', NEW.threshold, 'spent_usd', NEW.spent_usd::text, 'limit_usd', NEW.limit_usd::text,
    'raised_at', webhook_time(NEW.raised_at)));
  RETURN NULL;
END $$;

CREATE FUNCTION public.webhook_experiment_decided() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM webhook_tell(NEW.organization_id, NEW.project_id, 'experiment.decided', jsonb_build_object(
    'experiment_id', typeid('exp', NEW.id), 'name', NEW.name, 'capability', NEW.capability, 'state', NEW.state,
    'promoted_arm_id', typeid('arm', NEW.promoted_arm_id), 'reason', NEW.reason,
    'decided_at', webhook_time(now())));
  RETURN NULL;
END $$;

CREATE FUNCTION public.webhook_job_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
    'data_class', NEW.data_class,
    'state', NEW.state,
    'reason', NEW.reason,
    'error', NEW.error,
    'metadata', NEW.metadata,
    'attempt', NEW.attempt,
    'created_at', webhook_time(NEW.created_at),
    'finished_at', webhook_time(NEW.finished_at),
    'cost_usd', cost_text(NEW.cost_usd, usage_is_priced(NEW.usage)),
    'priced', usage_is_priced(NEW.usage),
    'links', jsonb_build_object('self', '/v1/jobs/' || shown_id))
    || CASE WHEN NEW.disclosure IS NULL THEN '{}' ELSE jsonb_build_object('disclosure', NEW.disclosure) END;
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
      (NEW.webhook->>'include_result')::boolean AND NEW.data_class <= coalesce((SELECT clearance FROM api_keys
        WHERE id = NEW.key_id AND organization_id = NEW.organization_id), 'restricted')
    WHERE NEW.webhook IS NOT NULL
      AND (NEW.webhook->'events' = '[]' OR NEW.webhook->'events' ? told)
  ) AS receiver;
  RETURN NULL;
END $$;

CREATE FUNCTION public.webhook_job_erased() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE webhook_deliveries SET body = NULL, is_held = false, finished_at = coalesce(finished_at, now()),
    state = CASE WHEN state = 'pending' THEN 'failed' ELSE state END,
    last_error = CASE WHEN state = 'pending' THEN 'body_erased' ELSE last_error END
  WHERE job_id = NEW.id AND has_result;
  RETURN NULL;
END $$;

CREATE FUNCTION public.webhook_response_ended() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE told text := 'response.' || CASE NEW.state
    WHEN 'succeeded' THEN
      CASE WHEN NEW.capability = 'models.chat' AND NEW.result->>'finish' IN ('length', 'content_filter')
        THEN 'incomplete' ELSE 'completed' END
    WHEN 'cancelled' THEN 'cancelled'
    ELSE 'failed' END;
BEGIN
  INSERT INTO webhook_deliveries (id, organization_id, project_id, endpoint_id, lane, event, job_id, body, traceparent)
  SELECT uuidv7(), NEW.organization_id, NEW.project_id, id, id, told, NEW.id,
    convert_to(jsonb_build_object(
      'id', typeid('evt', uuidv7()), 'object', 'event', 'type', told,
      'created_at', extract(epoch FROM clock_timestamp())::bigint,
      'data', jsonb_build_object('id', typeid('resp', NEW.id)))::text, 'UTF8'),
    NEW.traceparent
  FROM webhook_endpoints
  WHERE project_id = NEW.project_id AND organization_id = NEW.organization_id AND state <> 'disabled'
    AND told = ANY(events);
  RETURN NULL;
END $$;

CREATE FUNCTION public.webhook_tell(of_organization uuid, of_project uuid, told text, data jsonb, except_id uuid DEFAULT NULL::uuid) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE made int;
BEGIN
  INSERT INTO webhook_deliveries (id, organization_id, project_id, endpoint_id, lane, event, body)
  SELECT uuidv7(), organization_id, project_id, id, id, told, webhook_body(told, data)
  FROM webhook_endpoints
  WHERE organization_id = of_organization AND state <> 'disabled' AND id IS DISTINCT FROM except_id
    AND CASE WHEN of_project IS NULL THEN told = ANY(events)
      ELSE project_id = of_project AND (events = '{}' OR told = ANY(events)) END;
  GET DIAGNOSTICS made = ROW_COUNT;
  RETURN made;
END $$;

CREATE FUNCTION public.webhook_time(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    replaced_by uuid,
    created_by text,
    clearance public.data_class DEFAULT 'restricted'::public.data_class NOT NULL
);

CREATE TABLE public.audit_exports (
    organization_id uuid NOT NULL,
    first_number bigint NOT NULL,
    last_number bigint NOT NULL,
    blob_key text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    exported_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.audit_inbox (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    action text NOT NULL,
    subject_id text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    attempt integer,
    payload_digest bytea,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE public.audit_records (
    organization_id uuid NOT NULL,
    sequence bigint NOT NULL,
    seal_id uuid NOT NULL,
    id uuid NOT NULL,
    project_id uuid,
    recorded_at timestamp with time zone NOT NULL,
    action text NOT NULL,
    subject_id text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    attempt integer,
    payload_digest bytea,
    detail jsonb NOT NULL,
    leaf bytea NOT NULL,
    CONSTRAINT audit_records_sequence CHECK ((sequence >= 1))
)
PARTITION BY RANGE (seal_id);

CREATE VIEW public.audit_log WITH (security_invoker='true') AS
 SELECT audit_inbox.organization_id,
    NULL::bigint AS sequence,
    audit_inbox.id,
    audit_inbox.project_id,
    audit_inbox.recorded_at,
    audit_inbox.action,
    audit_inbox.subject_id,
    audit_inbox.actor_kind,
    audit_inbox.actor_id,
    audit_inbox.attempt,
    audit_inbox.payload_digest,
    audit_inbox.detail,
    NULL::bytea AS leaf,
    NULL::uuid AS seal_id
   FROM public.audit_inbox
UNION ALL
 SELECT audit_records.organization_id,
    audit_records.sequence,
    audit_records.id,
    audit_records.project_id,
    audit_records.recorded_at,
    audit_records.action,
    audit_records.subject_id,
    audit_records.actor_kind,
    audit_records.actor_id,
    audit_records.attempt,
    audit_records.payload_digest,
    audit_records.detail,
    audit_records.leaf,
    audit_records.seal_id
   FROM public.audit_records;

CREATE TABLE public.audit_personal (
    organization_id uuid NOT NULL,
    digest bytea NOT NULL,
    data_subject text NOT NULL,
    field text NOT NULL,
    salt bytea NOT NULL,
    value text NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.audit_retirements (
    organization_id uuid NOT NULL,
    through_number bigint NOT NULL,
    seal_hash bytea NOT NULL,
    retired_at timestamp with time zone NOT NULL,
    signature bytea NOT NULL,
    key_id text NOT NULL
);

CREATE TABLE public.audit_seals (
    organization_id uuid NOT NULL,
    number bigint NOT NULL,
    id uuid NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL,
    root bytea NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    signature bytea NOT NULL,
    key_id text NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    CONSTRAINT audit_seals_number CHECK ((number >= 1)),
    CONSTRAINT audit_seals_range CHECK ((first_sequence <= last_sequence))
);

CREATE TABLE public.batch_lines (
    batch_id uuid NOT NULL,
    line integer NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    custom_id text NOT NULL,
    capability text NOT NULL,
    input json,
    metadata jsonb,
    state text DEFAULT 'queued'::text NOT NULL,
    job_id uuid,
    cap_usd numeric(18,9),
    cost_usd numeric(18,9) DEFAULT 0 NOT NULL,
    error jsonb,
    priced boolean DEFAULT true NOT NULL,
    CONSTRAINT batch_lines_job CHECK (
CASE state
    WHEN 'queued'::text THEN (job_id IS NULL)
    WHEN 'live'::text THEN (job_id IS NOT NULL)
    ELSE true
END),
    CONSTRAINT batch_lines_line CHECK ((line >= 1)),
    CONSTRAINT batch_lines_state CHECK ((state = ANY (ARRAY['queued'::text, 'live'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text, 'expired'::text])))
);

CREATE TABLE public.batches (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    key_id uuid,
    state text NOT NULL,
    outcome text,
    capability text,
    allowed text[] NOT NULL,
    priority smallint NOT NULL,
    max_cost_usd numeric(18,9),
    max_line_cost_usd numeric(18,9),
    deadline_at timestamp with time zone,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    webhook jsonb,
    input_file_id uuid,
    total integer DEFAULT 0 NOT NULL,
    succeeded integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    cancelled integer DEFAULT 0 NOT NULL,
    expired integer DEFAULT 0 NOT NULL,
    cost_usd numeric(18,9) DEFAULT 0 NOT NULL,
    errors jsonb DEFAULT '[]'::jsonb NOT NULL,
    bad_lines integer DEFAULT 0 NOT NULL,
    delayed_reason text,
    next_feed_at timestamp with time zone DEFAULT now() NOT NULL,
    results_file_id uuid,
    results_sha256 text,
    results_size_bytes bigint,
    traceparent text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    payload_erased_at timestamp with time zone,
    submitted_by text,
    grants text[],
    priced boolean DEFAULT true NOT NULL,
    CONSTRAINT batches_finished CHECK (((state = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text, 'expired'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT batches_max_cost CHECK ((max_cost_usd > (0)::numeric)),
    CONSTRAINT batches_max_line_cost CHECK ((max_line_cost_usd > (0)::numeric)),
    CONSTRAINT batches_outcome CHECK ((outcome = ANY (ARRAY['completed'::text, 'cancelled'::text, 'expired'::text]))),
    CONSTRAINT batches_priority CHECK (((priority >= 0) AND (priority <= 2))),
    CONSTRAINT batches_settled CHECK (((((succeeded + failed) + cancelled) + expired) <= total)),
    CONSTRAINT batches_state CHECK ((state = ANY (ARRAY['validating'::text, 'in_progress'::text, 'finalizing'::text, 'completed'::text, 'failed'::text, 'cancelling'::text, 'cancelled'::text, 'expired'::text])))
);

CREATE TABLE public.budget_alerts (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid NOT NULL,
    budget_id uuid NOT NULL,
    period_start timestamp with time zone NOT NULL,
    threshold integer NOT NULL,
    spent_usd numeric(18,9) NOT NULL,
    limit_usd numeric(18,9) NOT NULL,
    raised_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.budget_balances (
    id uuid NOT NULL,
    budget_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    period_start timestamp with time zone NOT NULL,
    reserved_usd numeric(18,9) DEFAULT 0 NOT NULL,
    spent_usd numeric(18,9) DEFAULT 0 NOT NULL,
    alerted integer[] DEFAULT '{}'::integer[] NOT NULL,
    CONSTRAINT budget_balances_reserved CHECK ((reserved_usd >= (0)::numeric))
);

CREATE TABLE public.budgets (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid NOT NULL,
    name text NOT NULL,
    scope text NOT NULL,
    scope_id uuid NOT NULL,
    period text NOT NULL,
    limit_usd numeric(18,9) NOT NULL,
    hard boolean DEFAULT true NOT NULL,
    on_exhaustion text DEFAULT 'fail'::text NOT NULL,
    thresholds integer[] DEFAULT '{50,80,100}'::integer[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    archived_at timestamp with time zone,
    CONSTRAINT budgets_limit CHECK ((limit_usd >= (0)::numeric)),
    CONSTRAINT budgets_on_exhaustion CHECK ((on_exhaustion = ANY (ARRAY['fail'::text, 'pause'::text]))),
    CONSTRAINT budgets_organization_is_its_own_scope CHECK (((scope = 'organization'::text) = (scope_id = organization_id))),
    CONSTRAINT budgets_period CHECK ((period = ANY (ARRAY['day'::text, 'month'::text, 'total'::text]))),
    CONSTRAINT budgets_scope CHECK ((scope = ANY (ARRAY['organization'::text, 'project'::text, 'key'::text])))
);

CREATE TABLE public.call_rollups (
    grain text NOT NULL,
    bucket timestamp with time zone NOT NULL,
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
    amount_usd numeric(18,9) NOT NULL,
    quantities jsonb NOT NULL,
    duration jsonb NOT NULL,
    CONSTRAINT call_rollups_grain CHECK ((grain = ANY (ARRAY['minute'::text, 'hour'::text, 'day'::text])))
)
PARTITION BY RANGE (bucket);

CREATE TABLE public.chunks (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    document_id uuid NOT NULL,
    ordinal integer NOT NULL,
    page integer,
    section text,
    char_start integer NOT NULL,
    char_end integer NOT NULL,
    text text NOT NULL,
    content_hash text NOT NULL,
    length integer NOT NULL,
    weights public.sparsevec(536870912) NOT NULL,
    lexemes tsvector NOT NULL,
    embedding public.halfvec(384) NOT NULL
);
ALTER TABLE ONLY public.chunks ALTER COLUMN weights SET STORAGE MAIN;
ALTER TABLE ONLY public.chunks ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE TABLE public.console_links (
    hash bytea NOT NULL,
    organization_id uuid NOT NULL,
    key_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.console_sessions (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    hash bytea NOT NULL,
    key_id uuid,
    issuer text,
    subject text,
    roles text[],
    project_id uuid,
    user_agent text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    active_until timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT console_sessions_ends CHECK ((active_until <= expires_at)),
    CONSTRAINT console_sessions_whose CHECK (((num_nonnulls(key_id, issuer) = 1) AND (num_nonnulls(issuer, subject) <> 1)))
);

CREATE TABLE public.console_views (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    key_id uuid,
    issuer text,
    subject text,
    name text NOT NULL,
    query text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT console_views_name CHECK (((length(name) >= 1) AND (length(name) <= 60))),
    CONSTRAINT console_views_query CHECK ((length(query) <= 4000)),
    CONSTRAINT console_views_whose CHECK (((num_nonnulls(key_id, issuer) = 1) AND (num_nonnulls(issuer, subject) <> 1)))
);

CREATE TABLE public.documents (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    blob_key text NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    failure_code text,
    failure_message text,
    page_count integer,
    chunk_count integer DEFAULT 0 NOT NULL,
    ingested text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    left_out json,
    CONSTRAINT documents_failure CHECK (((state = 'failed'::text) = (failure_code IS NOT NULL))),
    CONSTRAINT documents_state CHECK ((state = ANY (ARRAY['pending'::text, 'ready'::text, 'failed'::text])))
);

CREATE TABLE public.event_cursors (
    reader text NOT NULL,
    "position" bigint DEFAULT '-1'::integer NOT NULL,
    job_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    event_id bigint DEFAULT 0 NOT NULL,
    moved_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.experiment_allocations (
    experiment_id uuid NOT NULL,
    number integer NOT NULL,
    organization_id uuid NOT NULL,
    share numeric(9,8) NOT NULL,
    weights jsonb NOT NULL,
    began_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.experiment_arms (
    id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    "position" smallint NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    weight numeric(9,8) NOT NULL,
    model text,
    model_version_id uuid,
    prompt text,
    prompt_digest text,
    CONSTRAINT experiment_arms_kind CHECK ((kind = ANY (ARRAY['control'::text, 'treatment'::text, 'shadow'::text]))),
    CONSTRAINT experiment_arms_model CHECK (((model IS NULL) = (model_version_id IS NULL))),
    CONSTRAINT experiment_arms_name_length CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT experiment_arms_prompt CHECK (((prompt IS NULL) = (prompt_digest IS NULL))),
    CONSTRAINT experiment_arms_weight CHECK (((weight > (0)::numeric) AND (weight <= (1)::numeric)))
);

CREATE TABLE public.experiment_exposures (
    experiment_id uuid NOT NULL,
    job_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    arm_id uuid NOT NULL,
    allocation integer NOT NULL,
    unit_digest bytea NOT NULL,
    exposed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.experiments (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    capability text NOT NULL,
    name text NOT NULL,
    unit text NOT NULL,
    state text DEFAULT 'draft'::text NOT NULL,
    salt bytea NOT NULL,
    plan jsonb NOT NULL,
    guardrails jsonb DEFAULT '[]'::jsonb NOT NULL,
    ramp jsonb DEFAULT '[]'::jsonb NOT NULL,
    canary jsonb,
    share numeric(9,8) DEFAULT 1 NOT NULL,
    allocation integer DEFAULT 0 NOT NULL,
    promoted_arm_id uuid,
    reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    evaluate_after timestamp with time zone DEFAULT now() NOT NULL,
    shadow jsonb,
    CONSTRAINT experiments_allocation CHECK ((allocation >= 0)),
    CONSTRAINT experiments_capability CHECK (((length(capability) >= 3) AND (length(capability) <= 200))),
    CONSTRAINT experiments_name_length CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT experiments_promoted_arm CHECK (((state = 'promoted'::text) <= (promoted_arm_id IS NOT NULL))),
    CONSTRAINT experiments_salt CHECK ((octet_length(salt) = 32)),
    CONSTRAINT experiments_share CHECK (((share > (0)::numeric) AND (share <= (1)::numeric))),
    CONSTRAINT experiments_started CHECK (((state = ANY (ARRAY['draft'::text, 'stopped'::text])) OR (started_at IS NOT NULL))),
    CONSTRAINT experiments_state CHECK ((state = ANY (ARRAY['draft'::text, 'running'::text, 'paused'::text, 'promoted'::text, 'rolled_back'::text, 'stopped'::text]))),
    CONSTRAINT experiments_unit CHECK ((unit = ANY (ARRAY['job'::text, 'end_user'::text, 'key'::text, 'project'::text])))
);

CREATE TABLE public.file_uploads (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text,
    received_bytes bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    data_class public.data_class DEFAULT 'internal'::public.data_class NOT NULL,
    CONSTRAINT file_uploads_received CHECK (((received_bytes >= 0) AND (received_bytes <= size_bytes)))
);

CREATE TABLE public.files (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    blob_key text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    data_class public.data_class DEFAULT 'internal'::public.data_class NOT NULL,
    CONSTRAINT files_size CHECK ((size_bytes > 0))
);

CREATE TABLE public.guard_policies (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    version integer NOT NULL,
    document jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text,
    CONSTRAINT guard_policies_document CHECK ((jsonb_typeof(document) = 'object'::text)),
    CONSTRAINT guard_policies_version CHECK ((version >= 1))
);

CREATE TABLE public.guard_pseudonyms (
    root_job_id uuid NOT NULL,
    kind text NOT NULL,
    number integer NOT NULL,
    organization_id uuid NOT NULL,
    digest bytea NOT NULL,
    sealed bytea,
    CONSTRAINT guard_pseudonyms_digest CHECK ((octet_length(digest) = 32)),
    CONSTRAINT guard_pseudonyms_kind CHECK ((kind ~ '^[a-z][a-z0-9_]{0,39}$'::text)),
    CONSTRAINT guard_pseudonyms_number CHECK ((number >= 1))
);

CREATE TABLE public.guard_reviews (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    job_id uuid,
    kind text NOT NULL,
    value bytea,
    verdict text NOT NULL,
    is_allowed boolean DEFAULT false NOT NULL,
    reviewed_by text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT guard_reviews_allows_false_positives CHECK (((verdict = 'false_positive'::text) OR (NOT is_allowed))),
    CONSTRAINT guard_reviews_kind CHECK ((kind ~ '^[a-z][a-z0-9_]{0,39}$'::text)),
    CONSTRAINT guard_reviews_value CHECK ((length(value) <= 4096)),
    CONSTRAINT guard_reviews_verdict CHECK ((verdict = ANY (ARRAY['false_positive'::text, 'correct'::text])))
);

CREATE TABLE public.idempotency_keys (
    project_id uuid NOT NULL,
    key text NOT NULL,
    organization_id uuid NOT NULL,
    request_digest bytea NOT NULL,
    status integer NOT NULL,
    location text,
    body bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.job_artifacts (
    job_id uuid NOT NULL,
    name text NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    attempt integer NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    blob_key text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.job_backlog (
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    capability text NOT NULL,
    state public.job_state NOT NULL,
    jobs bigint NOT NULL,
    oldest_at timestamp with time zone NOT NULL,
    counted_at timestamp with time zone NOT NULL
);

CREATE TABLE public.job_checkpoint_writes (
    job_id uuid NOT NULL,
    namespace text NOT NULL,
    checkpoint_id text NOT NULL,
    task_id text NOT NULL,
    index integer NOT NULL,
    organization_id uuid NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.job_checkpoints (
    job_id uuid NOT NULL,
    namespace text NOT NULL,
    id text NOT NULL,
    parent_id text,
    organization_id uuid NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    metadata jsonb NOT NULL
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.job_children (
    parent_id uuid NOT NULL,
    key text NOT NULL,
    organization_id uuid NOT NULL,
    child_id uuid NOT NULL,
    "position" integer NOT NULL,
    told boolean DEFAULT false NOT NULL,
    CONSTRAINT job_children_key CHECK (((length(key) >= 1) AND (length(key) <= 200)))
)
PARTITION BY RANGE (parent_id);

CREATE TABLE public.job_cost_rollups (
    bucket timestamp with time zone NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    capability text NOT NULL,
    model text NOT NULL,
    size_band smallint NOT NULL,
    jobs bigint NOT NULL,
    cost jsonb NOT NULL
)
PARTITION BY RANGE (bucket);

CREATE TABLE public.job_effects (
    job_id uuid NOT NULL,
    call text NOT NULL,
    organization_id uuid NOT NULL,
    operation text NOT NULL,
    tool text NOT NULL,
    server text NOT NULL,
    effect text NOT NULL,
    arguments_digest text NOT NULL,
    attempt integer NOT NULL,
    tries integer DEFAULT 1 NOT NULL,
    tried_at timestamp with time zone DEFAULT now() NOT NULL,
    asked_at timestamp with time zone,
    outcome json,
    settled_at timestamp with time zone,
    CONSTRAINT job_effects_call CHECK (((length(call) >= 1) AND (length(call) <= 400))),
    CONSTRAINT job_effects_effect CHECK ((effect = ANY (ARRAY['write'::text, 'money'::text]))),
    CONSTRAINT job_effects_settled CHECK (((outcome IS NULL) = (settled_at IS NULL)))
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.job_events (
    job_id uuid NOT NULL,
    id bigint NOT NULL,
    previous bigint NOT NULL,
    organization_id uuid NOT NULL,
    type text NOT NULL,
    attempt integer NOT NULL,
    data json DEFAULT '{}'::json NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.job_events_dropped (
    "position" bigint NOT NULL,
    dropped_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.job_feedback (
    job_id uuid NOT NULL,
    actor text NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    score numeric(5,4) NOT NULL,
    comment text,
    given_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT job_feedback_score CHECK (((score >= (0)::numeric) AND (score <= (1)::numeric)))
);

CREATE TABLE public.job_questions (
    job_id uuid NOT NULL,
    key text NOT NULL,
    organization_id uuid NOT NULL,
    question text NOT NULL,
    schema json NOT NULL,
    details json,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    due_at timestamp with time zone NOT NULL,
    value json,
    answered_by text,
    answered_at timestamp with time zone,
    timed_out_at timestamp with time zone,
    approves text,
    CONSTRAINT job_questions_answer CHECK ((((answered_at IS NULL) = (value IS NULL)) AND ((answered_at IS NULL) = (answered_by IS NULL)))),
    CONSTRAINT job_questions_approves CHECK ((approves = ANY (ARRAY['write'::text, 'money'::text]))),
    CONSTRAINT job_questions_key CHECK (((length(key) >= 1) AND (length(key) <= 200))),
    CONSTRAINT job_questions_one_end CHECK (((answered_at IS NULL) OR (timed_out_at IS NULL)))
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.job_rollups (
    grain text NOT NULL,
    bucket timestamp with time zone NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    capability text NOT NULL,
    state text NOT NULL,
    jobs bigint NOT NULL,
    failures bigint NOT NULL,
    outages bigint NOT NULL,
    cost_usd numeric(18,9) NOT NULL,
    wait jsonb NOT NULL,
    duration jsonb NOT NULL,
    CONSTRAINT job_rollups_grain CHECK ((grain = ANY (ARRAY['minute'::text, 'hour'::text, 'day'::text])))
)
PARTITION BY RANGE (bucket);

CREATE TABLE public.jobs (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    key_id uuid,
    capability text NOT NULL,
    pool text NOT NULL,
    state public.job_state DEFAULT 'queued'::public.job_state NOT NULL,
    reason text,
    error jsonb,
    priority smallint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    deadline_at timestamp with time zone,
    dispatched_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    attempt integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    max_attempts integer DEFAULT 3 NOT NULL,
    lease_expires_at timestamp with time zone,
    worker text,
    parent_id uuid,
    root_id uuid,
    traceparent text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    input json,
    input_ref text,
    result json,
    result_ref text,
    usage jsonb DEFAULT '[]'::jsonb NOT NULL,
    cost_usd numeric(18,9) DEFAULT 0 NOT NULL,
    max_cost_usd numeric(18,9),
    input_digest bytea,
    result_digest bytea,
    event_last bigint DEFAULT 1 NOT NULL,
    event_limit bigint DEFAULT 1 NOT NULL,
    payload_erased_at timestamp with time zone,
    webhook jsonb,
    shadow_arm_id uuid,
    batch_id uuid,
    submitted_by text,
    grants text[],
    outages integer DEFAULT 0 NOT NULL,
    data_class public.data_class DEFAULT 'internal'::public.data_class NOT NULL,
    declared_class public.data_class,
    disclosure jsonb,
    CONSTRAINT jobs_attempt CHECK ((attempt >= 0)),
    CONSTRAINT jobs_event_ids CHECK ((event_last <= event_limit)),
    CONSTRAINT jobs_failed_reason CHECK (((state <> ALL (ARRAY['failed'::public.job_state, 'rejected'::public.job_state])) OR (reason IS NOT NULL))),
    CONSTRAINT jobs_input_once CHECK (((input IS NULL) OR (input_ref IS NULL))),
    CONSTRAINT jobs_max_attempts CHECK (((max_attempts >= 1) AND (max_attempts <= 100))),
    CONSTRAINT jobs_max_cost CHECK ((max_cost_usd > (0)::numeric)),
    CONSTRAINT jobs_priority CHECK (((priority >= 0) AND (priority <= 2))),
    CONSTRAINT jobs_result_once CHECK (((result IS NULL) OR (result_ref IS NULL))),
    CONSTRAINT jobs_running_has_lease CHECK (((state = 'running'::public.job_state) = (lease_expires_at IS NOT NULL))),
    CONSTRAINT jobs_terminal_is_finished CHECK (((state = ANY (ARRAY['succeeded'::public.job_state, 'failed'::public.job_state, 'cancelled'::public.job_state, 'expired'::public.job_state, 'rejected'::public.job_state])) = (finished_at IS NOT NULL))),
    CONSTRAINT jobs_waiting_reason CHECK (((state <> 'waiting'::public.job_state) OR (reason = ANY (ARRAY['input'::text, 'children'::text, 'budget'::text]))))
)
PARTITION BY RANGE (id);

CREATE TABLE public.knowledge_bases (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    embedding_model text NOT NULL,
    chunk_count bigint DEFAULT 0 NOT NULL,
    token_count bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    data_class public.data_class DEFAULT 'internal'::public.data_class NOT NULL
);

CREATE TABLE public.knowledge_terms (
    knowledge_base_id uuid NOT NULL,
    term text NOT NULL,
    organization_id uuid NOT NULL,
    chunks integer NOT NULL
);

CREATE TABLE public.ledger_carried (
    balance_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    amount_usd numeric(18,9) NOT NULL
);

CREATE TABLE public.ledger_entries (
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    call integer NOT NULL,
    entry smallint NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    key_id uuid,
    root_job_id uuid NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    kind text NOT NULL,
    capability text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    model_version text,
    price_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    quantities jsonb DEFAULT '{}'::jsonb NOT NULL,
    amounts jsonb DEFAULT '{}'::jsonb NOT NULL,
    bound_usd numeric(18,9) NOT NULL,
    amount_usd numeric(18,9) NOT NULL,
    estimated boolean DEFAULT false NOT NULL,
    reason text,
    balance_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    step text,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT ledger_entries_attempt CHECK ((attempt >= 1)),
    CONSTRAINT ledger_entries_call CHECK ((call >= 1)),
    CONSTRAINT ledger_entries_intent CHECK (((entry > 0) OR (amount_usd = (0)::numeric))),
    CONSTRAINT ledger_entries_kind CHECK ((kind =
CASE entry
    WHEN 0 THEN 'intent'::text
    WHEN 1 THEN 'settlement'::text
    ELSE 'correction'::text
END))
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.ledger_retired (
    until_id uuid NOT NULL,
    retired_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.members (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    email text,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT members_role CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'developer'::text, 'operator'::text, 'auditor'::text])))
);

CREATE TABLE public.model_aliases (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid,
    project_id uuid,
    capability text,
    alias text NOT NULL,
    model_id uuid NOT NULL,
    model_version_id uuid,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT model_aliases_alias CHECK ((alias ~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$'::text)),
    CONSTRAINT model_aliases_capability CHECK (((length(capability) >= 1) AND (length(capability) <= 129))),
    CONSTRAINT model_aliases_project CHECK (((project_id IS NULL) OR (organization_id IS NOT NULL)))
);

CREATE TABLE public.model_stage_changes (
    id uuid DEFAULT uuidv7() NOT NULL,
    model_id uuid NOT NULL,
    model_version_id uuid NOT NULL,
    organization_id uuid,
    number integer NOT NULL,
    stage text NOT NULL,
    cause text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT model_stage_changes_cause CHECK ((cause = ANY (ARRAY['created'::text, 'promoted'::text, 'rolled_back'::text, 'superseded'::text, 'retired'::text, 'restored'::text]))),
    CONSTRAINT model_stage_changes_reason CHECK ((length(reason) <= 1000)),
    CONSTRAINT model_stage_changes_stage CHECK ((stage = ANY (ARRAY['candidate'::text, 'champion'::text, 'retired'::text])))
);

CREATE TABLE public.model_stages (
    version_id uuid NOT NULL,
    model_id uuid NOT NULL,
    organization_id uuid,
    stage text NOT NULL,
    CONSTRAINT model_stages_stage CHECK ((stage = ANY (ARRAY['candidate'::text, 'champion'::text, 'retired'::text])))
);

CREATE TABLE public.model_versions (
    id uuid DEFAULT uuidv7() NOT NULL,
    model_id uuid NOT NULL,
    organization_id uuid,
    number integer NOT NULL,
    provider text NOT NULL,
    deployment text NOT NULL,
    provider_model text NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    context_window bigint,
    max_output_tokens bigint,
    abilities text[] DEFAULT '{}'::text[] NOT NULL,
    price_provider text NOT NULL,
    price_model text NOT NULL,
    data_class_ceiling text NOT NULL,
    regions text[] DEFAULT '{}'::text[] NOT NULL,
    prompt_set jsonb DEFAULT '{}'::jsonb NOT NULL,
    fallbacks text[] DEFAULT '{}'::text[] NOT NULL,
    digest text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT model_versions_abilities CHECK ((abilities <@ ARRAY['streams'::text, 'quotes'::text, 'writes'::text, 'abstains'::text, 'tools'::text, 'json_schema'::text, 'vision'::text])),
    CONSTRAINT model_versions_context_window CHECK ((context_window >= 1)),
    CONSTRAINT model_versions_data_class_ceiling CHECK ((data_class_ceiling = ANY (ARRAY['public'::text, 'internal'::text, 'confidential'::text, 'restricted'::text]))),
    CONSTRAINT model_versions_deployment CHECK (((length(deployment) >= 1) AND (length(deployment) <= 100))),
    CONSTRAINT model_versions_digest CHECK ((digest ~ '^sha256:[0-9a-f]{64}$'::text)),
    CONSTRAINT model_versions_max_output_tokens CHECK ((max_output_tokens >= 1)),
    CONSTRAINT model_versions_number_positive CHECK ((number >= 1)),
    CONSTRAINT model_versions_output_fits_the_window CHECK ((max_output_tokens <= context_window)),
    CONSTRAINT model_versions_parameters CHECK ((jsonb_typeof(parameters) = 'object'::text)),
    CONSTRAINT model_versions_prompt_set CHECK ((jsonb_typeof(prompt_set) = 'object'::text)),
    CONSTRAINT model_versions_provider CHECK ((provider = ANY (ARRAY['openai-compatible'::text, 'azure-openai'::text, 'anthropic'::text, 'local'::text]))),
    CONSTRAINT model_versions_provider_model CHECK (((length(provider_model) >= 1) AND (length(provider_model) <= 200)))
);

CREATE TABLE public.models (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT models_description CHECK ((length(description) <= 1000)),
    CONSTRAINT models_name CHECK ((name ~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$'::text))
);

CREATE TABLE public.open_calls (
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    call integer NOT NULL,
    root_job_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    bound_usd numeric(18,9) NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT open_calls_bound CHECK ((bound_usd >= (0)::numeric))
);

CREATE TABLE public.organizations (
    id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.partitioned_tables (
    name text NOT NULL
);

CREATE TABLE public.prices (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid,
    provider text NOT NULL,
    model text NOT NULL,
    unit text NOT NULL,
    above_input_tokens bigint DEFAULT 0 NOT NULL,
    usd_per_unit numeric(24,15) NOT NULL,
    valid_from timestamp with time zone DEFAULT now() NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    source text NOT NULL,
    CONSTRAINT prices_above_input_tokens CHECK ((above_input_tokens >= 0)),
    CONSTRAINT prices_model CHECK (((length(model) >= 1) AND (length(model) <= 200))),
    CONSTRAINT prices_provider CHECK (((length(provider) >= 1) AND (length(provider) <= 100))),
    CONSTRAINT prices_source CHECK ((source = ANY (ARRAY['genai-prices'::text, 'operator'::text, 'built-in'::text]))),
    CONSTRAINT prices_unit CHECK ((unit = ANY (ARRAY['input_tokens'::text, 'cached_input_tokens'::text, 'cache_write_tokens'::text, 'output_tokens'::text, 'reasoning_tokens'::text, 'embedding_tokens'::text, 'image'::text, 'audio_second'::text, 'ocr_page'::text, 'worker_second'::text]))),
    CONSTRAINT prices_usd_per_unit CHECK ((usd_per_unit >= (0)::numeric))
);

CREATE TABLE public.projects (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text NOT NULL,
    weight integer DEFAULT 1 NOT NULL,
    max_concurrent_jobs integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    cost_centre text,
    owner text,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    archived_at timestamp with time zone,
    data_class public.data_class DEFAULT 'public'::public.data_class NOT NULL,
    CONSTRAINT projects_max_concurrent_jobs CHECK ((max_concurrent_jobs >= 1)),
    CONSTRAINT projects_weight CHECK (((weight >= 1) AND (weight <= 1000)))
);

CREATE TABLE public.prompts (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid,
    name text NOT NULL,
    number integer NOT NULL,
    digest text NOT NULL,
    text text NOT NULL,
    takes_force boolean NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT prompts_digest_form CHECK ((digest ~ '^sha256:[0-9a-f]{64}$'::text)),
    CONSTRAINT prompts_name CHECK ((name ~ '^[a-z][a-z0-9_]{0,63}/[a-z][a-z0-9_]{0,63}$'::text)),
    CONSTRAINT prompts_number CHECK ((number >= 1)),
    CONSTRAINT prompts_text CHECK (((length(text) >= 1) AND (length(text) <= 65536)))
);

CREATE TABLE public.quality_alerts (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    capability text NOT NULL,
    model_version text NOT NULL,
    signal text NOT NULL,
    direction text NOT NULL,
    is_worse boolean NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    baseline_version text NOT NULL,
    baseline_mean double precision,
    baseline_jobs bigint NOT NULL,
    observed_mean double precision,
    observed_jobs bigint NOT NULL,
    evidence double precision NOT NULL,
    threshold double precision NOT NULL,
    began_at timestamp with time zone NOT NULL,
    raised_at timestamp with time zone DEFAULT now() NOT NULL,
    job_ids uuid[] NOT NULL,
    acknowledged_by text,
    acknowledged_at timestamp with time zone,
    closed_by text,
    closed_at timestamp with time zone,
    reason text,
    CONSTRAINT quality_alerts_acknowledged CHECK (((state <> 'acknowledged'::text) OR (acknowledged_at IS NOT NULL))),
    CONSTRAINT quality_alerts_cases CHECK ((cardinality(job_ids) <= 10)),
    CONSTRAINT quality_alerts_closed CHECK (((state = 'closed'::text) = (closed_at IS NOT NULL))),
    CONSTRAINT quality_alerts_direction CHECK ((direction = ANY (ARRAY['lower'::text, 'higher'::text, 'drift'::text]))),
    CONSTRAINT quality_alerts_reason CHECK ((length(reason) <= 1000)),
    CONSTRAINT quality_alerts_state CHECK ((state = ANY (ARRAY['open'::text, 'acknowledged'::text, 'closed'::text])))
);

CREATE TABLE public.quality_annotations (
    job_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    capability text NOT NULL,
    how text NOT NULL,
    labels_wanted smallint NOT NULL,
    labels smallint DEFAULT 0 NOT NULL,
    created_by text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT quality_annotations_how CHECK ((how = ANY (ARRAY['random'::text, 'uncertain'::text, 'named'::text]))),
    CONSTRAINT quality_annotations_labels CHECK ((labels >= 0)),
    CONSTRAINT quality_annotations_wanted CHECK (((labels_wanted >= 1) AND (labels_wanted <= 5)))
);

CREATE TABLE public.quality_gates (
    model_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    dataset text NOT NULL,
    min_share double precision NOT NULL,
    min_cases integer NOT NULL,
    set_by text,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT quality_gates_cases CHECK ((min_cases >= 1)),
    CONSTRAINT quality_gates_dataset CHECK (((length(dataset) >= 1) AND (length(dataset) <= 200))),
    CONSTRAINT quality_gates_share CHECK (((min_share >= (0)::double precision) AND (min_share <= (1)::double precision)))
);

CREATE TABLE public.quality_hours (
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    capability text NOT NULL,
    model_version text NOT NULL,
    prompt_version text NOT NULL,
    signal text NOT NULL,
    hour timestamp with time zone NOT NULL,
    jobs bigint NOT NULL,
    denominators double precision NOT NULL,
    numerators double precision NOT NULL,
    numerators_squared double precision NOT NULL,
    products double precision NOT NULL,
    denominators_squared double precision NOT NULL
);

CREATE TABLE public.quality_inputs (
    job_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    capability text NOT NULL,
    words bytea NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    CONSTRAINT quality_inputs_words CHECK ((octet_length(words) = 512))
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.quality_labels (
    job_id uuid NOT NULL,
    labeler text NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    capability text NOT NULL,
    is_judge boolean NOT NULL,
    verdict text NOT NULL,
    expected json,
    note text,
    labeled_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT quality_labels_note CHECK ((length(note) <= 4000)),
    CONSTRAINT quality_labels_verdict CHECK ((verdict = ANY (ARRAY['good'::text, 'bad'::text, 'unsure'::text])))
);

CREATE TABLE public.quality_pending (
    job_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.quality_runs (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    dataset text NOT NULL,
    dataset_digest text NOT NULL,
    model_version text NOT NULL,
    cases integer NOT NULL,
    checked integer NOT NULL,
    passed integer NOT NULL,
    recorded_by text,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT quality_runs_counts CHECK (((0 <= passed) AND (passed <= checked) AND (checked <= cases))),
    CONSTRAINT quality_runs_dataset CHECK (((length(dataset) >= 1) AND (length(dataset) <= 200))),
    CONSTRAINT quality_runs_digest CHECK ((dataset_digest ~ '^sha256:[0-9a-f]{64}$'::text))
);

CREATE TABLE public.quality_signals (
    job_id uuid NOT NULL,
    signal text NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    capability text NOT NULL,
    model_version text NOT NULL,
    prompt_version text NOT NULL,
    arm_id uuid,
    is_shadow boolean NOT NULL,
    numerator double precision NOT NULL,
    denominator double precision NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    CONSTRAINT quality_signals_denominator CHECK ((denominator > (0)::double precision)),
    CONSTRAINT quality_signals_signal CHECK ((signal ~ '^[a-z_]{1,40}$'::text))
)
PARTITION BY RANGE (job_id);

CREATE TABLE public.quality_streams (
    organization_id uuid NOT NULL,
    capability text NOT NULL,
    model_version text NOT NULL,
    signal text NOT NULL,
    state jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.quota_usage (
    organization_id uuid NOT NULL,
    scope_id uuid NOT NULL,
    kind text NOT NULL,
    period_start timestamp with time zone NOT NULL,
    used numeric(30,9) DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.reservations (
    root_job_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    key_id uuid,
    balance_ids uuid[] NOT NULL,
    held_usd numeric(18,9) DEFAULT 0 NOT NULL,
    committed_usd numeric(18,9) DEFAULT 0 NOT NULL,
    spent_usd numeric(18,9) DEFAULT 0 NOT NULL,
    cap_usd numeric(18,9),
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reservations_committed CHECK (((committed_usd >= (0)::numeric) AND (committed_usd <= held_usd)))
);

CREATE TABLE public.retention_class_policies (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    data_class public.data_class NOT NULL,
    days integer NOT NULL,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT retention_class_policies_days CHECK (((days >= 1) AND (days <= 36500)))
);

CREATE TABLE public.retention_policies (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    kind text NOT NULL,
    days integer,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT retention_policies_days CHECK (((days >= 1) AND (days <= 36500))),
    CONSTRAINT retention_policies_kind CHECK ((kind = ANY (ARRAY['payloads'::text, 'events'::text, 'jobs'::text, 'ledger'::text, 'audit'::text])))
);

CREATE TABLE public.rollup_pending (
    job_id uuid NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    call integer DEFAULT 0 NOT NULL,
    entry smallint DEFAULT 0 NOT NULL,
    organization_id uuid NOT NULL
);

CREATE TABLE public.shadow_runs (
    arm_id uuid NOT NULL,
    job_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    state text DEFAULT 'due'::text NOT NULL,
    reason text,
    shadow_job_id uuid,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT shadow_runs_dropped CHECK (((state = 'dropped'::text) = (reason IS NOT NULL))),
    CONSTRAINT shadow_runs_started CHECK (((state = 'started'::text) = (shadow_job_id IS NOT NULL))),
    CONSTRAINT shadow_runs_state CHECK ((state = ANY (ARRAY['due'::text, 'started'::text, 'dropped'::text])))
);

CREATE TABLE public.webhook_attempts (
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    began_at timestamp with time zone NOT NULL,
    latency_ms integer NOT NULL,
    status integer,
    error text
)
PARTITION BY RANGE (delivery_id);

CREATE TABLE public.webhook_deliveries (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    endpoint_id uuid,
    url text,
    lane uuid NOT NULL,
    event text NOT NULL,
    job_id uuid,
    body bytea,
    has_result boolean DEFAULT false NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    is_held boolean DEFAULT false NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    last_status integer,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    traceparent text,
    CONSTRAINT webhook_deliveries_body CHECK (((state <> 'pending'::text) OR (body IS NOT NULL))),
    CONSTRAINT webhook_deliveries_finished CHECK (((state = 'pending'::text) = (finished_at IS NULL))),
    CONSTRAINT webhook_deliveries_held CHECK (((state = 'pending'::text) OR (NOT is_held))),
    CONSTRAINT webhook_deliveries_receiver CHECK (((endpoint_id IS NULL) <> (url IS NULL))),
    CONSTRAINT webhook_deliveries_state CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
)
PARTITION BY RANGE (id);

CREATE TABLE public.webhook_endpoints (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    url text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    events text[] DEFAULT '{}'::text[] NOT NULL,
    include_result boolean DEFAULT false NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    disabled_reason text,
    failing_since timestamp with time zone,
    is_slow boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT webhook_endpoints_description CHECK ((length(description) <= 500)),
    CONSTRAINT webhook_endpoints_disabled CHECK (((state = 'disabled'::text) = (disabled_reason IS NOT NULL))),
    CONSTRAINT webhook_endpoints_state CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text, 'disabled'::text]))),
    CONSTRAINT webhook_endpoints_url CHECK (((length(url) >= 1) AND (length(url) <= 2048)))
);

CREATE TABLE public.webhook_notices (
    subject_id uuid NOT NULL,
    event text NOT NULL,
    organization_id uuid NOT NULL,
    announced_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.webhook_secrets (
    owner_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    sealed bytea NOT NULL,
    previous bytea,
    previous_until timestamp with time zone,
    rotated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT webhook_secrets_previous CHECK (((previous IS NULL) = (previous_until IS NULL)))
);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_exports
    ADD CONSTRAINT audit_exports_pkey PRIMARY KEY (organization_id, first_number);

ALTER TABLE ONLY public.audit_inbox
    ADD CONSTRAINT audit_inbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_personal
    ADD CONSTRAINT audit_personal_pkey PRIMARY KEY (organization_id, digest);

ALTER TABLE ONLY public.audit_records
    ADD CONSTRAINT audit_records_pkey PRIMARY KEY (organization_id, sequence, seal_id);

ALTER TABLE ONLY public.audit_retirements
    ADD CONSTRAINT audit_retirements_pkey PRIMARY KEY (organization_id, through_number);

ALTER TABLE ONLY public.audit_seals
    ADD CONSTRAINT audit_seals_first UNIQUE (organization_id, first_sequence);

ALTER TABLE ONLY public.audit_seals
    ADD CONSTRAINT audit_seals_pkey PRIMARY KEY (organization_id, number);

ALTER TABLE ONLY public.batch_lines
    ADD CONSTRAINT batch_lines_pkey PRIMARY KEY (batch_id, line);

ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.budget_alerts
    ADD CONSTRAINT budget_alerts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.budget_balances
    ADD CONSTRAINT budget_balances_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.console_links
    ADD CONSTRAINT console_links_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.console_views
    ADD CONSTRAINT console_views_names UNIQUE NULLS NOT DISTINCT (organization_id, key_id, issuer, subject, name);

ALTER TABLE ONLY public.console_views
    ADD CONSTRAINT console_views_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.event_cursors
    ADD CONSTRAINT event_cursors_pkey PRIMARY KEY (reader);

ALTER TABLE ONLY public.experiment_allocations
    ADD CONSTRAINT experiment_allocations_pkey PRIMARY KEY (experiment_id, number);

ALTER TABLE ONLY public.experiment_arms
    ADD CONSTRAINT experiment_arms_name UNIQUE (experiment_id, name);

ALTER TABLE ONLY public.experiment_arms
    ADD CONSTRAINT experiment_arms_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.experiment_arms
    ADD CONSTRAINT experiment_arms_position UNIQUE (experiment_id, "position");

ALTER TABLE ONLY public.experiment_exposures
    ADD CONSTRAINT experiment_exposures_pkey PRIMARY KEY (experiment_id, job_id);

ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.file_uploads
    ADD CONSTRAINT file_uploads_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.guard_policies
    ADD CONSTRAINT guard_policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.guard_pseudonyms
    ADD CONSTRAINT guard_pseudonyms_pkey PRIMARY KEY (root_job_id, kind, number);

ALTER TABLE ONLY public.guard_pseudonyms
    ADD CONSTRAINT guard_pseudonyms_value UNIQUE (root_job_id, kind, digest);

ALTER TABLE ONLY public.guard_reviews
    ADD CONSTRAINT guard_reviews_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (project_id, key);

ALTER TABLE ONLY public.job_artifacts
    ADD CONSTRAINT job_artifacts_pkey PRIMARY KEY (job_id, name);

ALTER TABLE ONLY public.job_backlog
    ADD CONSTRAINT job_backlog_pkey PRIMARY KEY (organization_id, project_id, capability, state);

ALTER TABLE ONLY public.job_checkpoint_writes
    ADD CONSTRAINT job_checkpoint_writes_pkey PRIMARY KEY (job_id, namespace, checkpoint_id, task_id, index);

ALTER TABLE ONLY public.job_checkpoints
    ADD CONSTRAINT job_checkpoints_pkey PRIMARY KEY (job_id, namespace, id);

ALTER TABLE ONLY public.job_children
    ADD CONSTRAINT job_children_pkey PRIMARY KEY (parent_id, key);

ALTER TABLE ONLY public.job_cost_rollups
    ADD CONSTRAINT job_cost_rollups_pkey PRIMARY KEY (organization_id, capability, bucket, project_id, model, size_band);

ALTER TABLE ONLY public.job_effects
    ADD CONSTRAINT job_effects_pkey PRIMARY KEY (job_id, call);

ALTER TABLE ONLY public.job_events_dropped
    ADD CONSTRAINT job_events_dropped_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.job_events
    ADD CONSTRAINT job_events_pkey PRIMARY KEY (job_id, id);

ALTER TABLE ONLY public.job_feedback
    ADD CONSTRAINT job_feedback_pkey PRIMARY KEY (job_id, actor);

ALTER TABLE ONLY public.job_questions
    ADD CONSTRAINT job_questions_pkey PRIMARY KEY (job_id, key);

ALTER TABLE ONLY public.job_rollups
    ADD CONSTRAINT job_rollups_pkey PRIMARY KEY (organization_id, grain, project_id, bucket, capability, state);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.knowledge_bases
    ADD CONSTRAINT knowledge_bases_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.knowledge_terms
    ADD CONSTRAINT knowledge_terms_pkey PRIMARY KEY (knowledge_base_id, term);

ALTER TABLE ONLY public.ledger_carried
    ADD CONSTRAINT ledger_carried_pkey PRIMARY KEY (balance_id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_pkey PRIMARY KEY (job_id, attempt, call, entry);

ALTER TABLE ONLY public.ledger_retired
    ADD CONSTRAINT ledger_retired_pkey PRIMARY KEY (until_id);

ALTER TABLE ONLY public.limits
    ADD CONSTRAINT limits_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_subject UNIQUE (organization_id, issuer, subject);

ALTER TABLE ONLY public.model_aliases
    ADD CONSTRAINT model_aliases_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.model_stage_changes
    ADD CONSTRAINT model_stage_changes_number UNIQUE (model_id, number);

ALTER TABLE ONLY public.model_stage_changes
    ADD CONSTRAINT model_stage_changes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.model_stages
    ADD CONSTRAINT model_stages_pkey PRIMARY KEY (version_id);

ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_model_id UNIQUE (model_id, id);

ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_number UNIQUE (model_id, number);

ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_organization_id UNIQUE (organization_id, id);

ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_organization_id UNIQUE (organization_id, id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.open_calls
    ADD CONSTRAINT open_calls_pkey PRIMARY KEY (job_id, attempt, call);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_name_key UNIQUE (name);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.partitioned_tables
    ADD CONSTRAINT partitioned_tables_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.prices
    ADD CONSTRAINT prices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_organization_id UNIQUE (organization_id, id);

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.prompts
    ADD CONSTRAINT prompts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quality_alerts
    ADD CONSTRAINT quality_alerts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quality_annotations
    ADD CONSTRAINT quality_annotations_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.quality_gates
    ADD CONSTRAINT quality_gates_pkey PRIMARY KEY (model_id);

ALTER TABLE ONLY public.quality_hours
    ADD CONSTRAINT quality_hours_pkey PRIMARY KEY (organization_id, capability, signal, hour, project_id, model_version, prompt_version);

ALTER TABLE ONLY public.quality_inputs
    ADD CONSTRAINT quality_inputs_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.quality_labels
    ADD CONSTRAINT quality_labels_pkey PRIMARY KEY (job_id, labeler);

ALTER TABLE ONLY public.quality_pending
    ADD CONSTRAINT quality_pending_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.quality_runs
    ADD CONSTRAINT quality_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quality_signals
    ADD CONSTRAINT quality_signals_pkey PRIMARY KEY (job_id, signal);

ALTER TABLE ONLY public.quality_streams
    ADD CONSTRAINT quality_streams_pkey PRIMARY KEY (organization_id, capability, signal, model_version);

ALTER TABLE ONLY public.quota_usage
    ADD CONSTRAINT quota_usage_pkey PRIMARY KEY (organization_id, scope_id, kind, period_start);

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (root_job_id);

ALTER TABLE ONLY public.retention_class_policies
    ADD CONSTRAINT retention_class_policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.retention_policies
    ADD CONSTRAINT retention_policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rollup_pending
    ADD CONSTRAINT rollup_pending_pkey PRIMARY KEY (job_id, attempt, call, entry);

ALTER TABLE ONLY public.shadow_runs
    ADD CONSTRAINT shadow_runs_pkey PRIMARY KEY (arm_id, job_id);

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_pkey PRIMARY KEY (delivery_id, number);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_notices
    ADD CONSTRAINT webhook_notices_pkey PRIMARY KEY (subject_id, event);

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_pkey PRIMARY KEY (owner_id);

CREATE INDEX api_keys_organization ON public.api_keys USING btree (organization_id, id);

CREATE INDEX api_keys_project ON public.api_keys USING btree (project_id);

CREATE INDEX audit_personal_subject ON public.audit_personal USING btree (organization_id, data_subject);

CREATE INDEX audit_records_actor ON ONLY public.audit_records USING btree (organization_id, actor_id, id);

CREATE INDEX audit_records_id ON ONLY public.audit_records USING btree (organization_id, id);

CREATE INDEX audit_records_subject ON ONLY public.audit_records USING btree (organization_id, subject_id, id);

CREATE UNIQUE INDEX batch_lines_custom_id ON public.batch_lines USING btree (batch_id, custom_id);

CREATE INDEX batch_lines_live ON public.batch_lines USING btree (batch_id, line) WHERE (state = 'live'::text);

CREATE UNIQUE INDEX batch_lines_of_job ON public.batch_lines USING btree (job_id) WHERE (job_id IS NOT NULL);

CREATE INDEX batch_lines_queued ON public.batch_lines USING btree (batch_id, line) WHERE (state = 'queued'::text);

CREATE INDEX batches_of_project ON public.batches USING btree (project_id, id);

CREATE INDEX batches_open ON public.batches USING btree (state, id) WHERE (finished_at IS NULL);

CREATE INDEX batches_with_payload ON public.batches USING btree (project_id, finished_at) WHERE ((finished_at IS NOT NULL) AND (payload_erased_at IS NULL));

CREATE UNIQUE INDEX budget_alerts_once ON public.budget_alerts USING btree (budget_id, period_start, threshold);

CREATE UNIQUE INDEX budget_balances_period ON public.budget_balances USING btree (budget_id, period_start);

CREATE INDEX budgets_in_force ON public.budgets USING btree (organization_id, scope_id) WHERE (archived_at IS NULL);

CREATE UNIQUE INDEX budgets_organization_name ON public.budgets USING btree (organization_id, name) WHERE (archived_at IS NULL);

CREATE UNIQUE INDEX call_rollups_once ON ONLY public.call_rollups USING btree (organization_id, grain, project_id, bucket, key_id, capability, provider, model, model_version) NULLS NOT DISTINCT;

CREATE INDEX chunks_base ON public.chunks USING btree (knowledge_base_id);

CREATE UNIQUE INDEX chunks_document ON public.chunks USING btree (document_id, ordinal);

CREATE INDEX chunks_embedding ON public.chunks USING hnsw (embedding public.halfvec_ip_ops) WITH (m='16', ef_construction='64');

CREATE INDEX chunks_lexemes ON public.chunks USING gin (lexemes) WITH (fastupdate=off);

CREATE INDEX console_links_expires_at ON public.console_links USING btree (expires_at);

CREATE INDEX console_sessions_active_until ON public.console_sessions USING btree (active_until);

CREATE INDEX console_sessions_organization ON public.console_sessions USING btree (organization_id, id);

CREATE UNIQUE INDEX documents_base_name ON public.documents USING btree (knowledge_base_id, name);

CREATE UNIQUE INDEX experiment_arms_one_control ON public.experiment_arms USING btree (experiment_id) WHERE (kind = 'control'::text);

CREATE INDEX experiment_exposures_job ON public.experiment_exposures USING btree (job_id);

CREATE INDEX experiment_exposures_unit ON public.experiment_exposures USING btree (experiment_id, unit_digest, exposed_at);

CREATE INDEX experiments_due ON public.experiments USING btree (evaluate_after) WHERE (state = 'running'::text);

CREATE UNIQUE INDEX experiments_name ON public.experiments USING btree (organization_id, name);

CREATE UNIQUE INDEX experiments_one_at_a_time ON public.experiments USING btree (organization_id, capability, project_id) NULLS NOT DISTINCT WHERE (state = ANY (ARRAY['running'::text, 'paused'::text, 'promoted'::text]));

CREATE INDEX file_uploads_expired ON public.file_uploads USING btree (expires_at);

CREATE INDEX files_expired ON public.files USING btree (expires_at) WHERE (expires_at IS NOT NULL);

CREATE INDEX files_project ON public.files USING btree (project_id, id);

CREATE UNIQUE INDEX guard_policies_once ON public.guard_policies USING btree (organization_id, project_id, version) NULLS NOT DISTINCT;

CREATE INDEX guard_pseudonyms_of_value ON public.guard_pseudonyms USING btree (organization_id, digest);

CREATE INDEX guard_reviews_job ON public.guard_reviews USING btree (job_id) WHERE (value IS NOT NULL);

CREATE INDEX guard_reviews_organization ON public.guard_reviews USING btree (organization_id, id);

CREATE INDEX idempotency_keys_expires_at ON public.idempotency_keys USING btree (expires_at);

CREATE INDEX job_events_ended ON ONLY public.job_events USING btree ("position", job_id, id) WHERE (type = ANY (ARRAY['job.succeeded'::text, 'job.failed'::text, 'job.cancelled'::text, 'job.expired'::text, 'job.rejected'::text]));

CREATE INDEX job_events_order ON ONLY public.job_events USING btree (organization_id, "position", job_id, id);

CREATE INDEX job_questions_due ON ONLY public.job_questions USING btree (due_at) WHERE ((answered_at IS NULL) AND (timed_out_at IS NULL));

CREATE INDEX jobs_batch ON ONLY public.jobs USING btree (batch_id, id) WHERE (batch_id IS NOT NULL);

CREATE INDEX jobs_deadline ON ONLY public.jobs USING btree (deadline_at) WHERE (state = ANY (ARRAY['queued'::public.job_state, 'running'::public.job_state, 'waiting'::public.job_state]));

CREATE INDEX jobs_due ON ONLY public.jobs USING btree (pool, priority, project_id, run_at, id) WHERE ((state = 'queued'::public.job_state) AND (dispatched_at IS NULL));

CREATE INDEX jobs_failed ON ONLY public.jobs USING btree (project_id, id) WHERE (state = ANY (ARRAY['failed'::public.job_state, 'expired'::public.job_state, 'rejected'::public.job_state]));

CREATE INDEX jobs_in_flight ON ONLY public.jobs USING btree (pool, project_id, organization_id, key_id) WHERE ((state = 'running'::public.job_state) OR ((state = 'queued'::public.job_state) AND (dispatched_at IS NOT NULL)));

CREATE INDEX jobs_open_children ON ONLY public.jobs USING btree (pool) WHERE ((parent_id IS NOT NULL) AND (state = ANY (ARRAY['queued'::public.job_state, 'running'::public.job_state, 'waiting'::public.job_state])));

CREATE INDEX jobs_parent ON ONLY public.jobs USING btree (parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX jobs_project ON ONLY public.jobs USING btree (project_id, id);

CREATE INDEX jobs_stopping ON ONLY public.jobs USING btree (pool) WHERE ((cancel_requested_at IS NOT NULL) AND (state = ANY (ARRAY['queued'::public.job_state, 'running'::public.job_state])));

CREATE INDEX jobs_unpaid ON ONLY public.jobs USING btree (pool) WHERE ((state = 'waiting'::public.job_state) AND (reason = 'budget'::text));

CREATE INDEX jobs_with_payload_of_class ON ONLY public.jobs USING btree (project_id, data_class, id) WHERE ((finished_at IS NOT NULL) AND (payload_erased_at IS NULL));

CREATE UNIQUE INDEX knowledge_bases_project_name ON public.knowledge_bases USING btree (project_id, name);

CREATE INDEX ledger_entries_project ON ONLY public.ledger_entries USING btree (project_id, job_id);

CREATE INDEX limits_concurrency ON public.limits USING btree (scope_id) WHERE (kind = 'concurrent_jobs'::text);

CREATE UNIQUE INDEX limits_once ON public.limits USING btree (organization_id, scope_id, kind);

CREATE INDEX model_aliases_model ON public.model_aliases USING btree (model_id);

CREATE UNIQUE INDEX model_aliases_once ON public.model_aliases USING btree (organization_id, project_id, capability, alias) NULLS NOT DISTINCT;

CREATE UNIQUE INDEX model_stages_champion ON public.model_stages USING btree (model_id) WHERE (stage = 'champion'::text);

CREATE UNIQUE INDEX models_organization_name ON public.models USING btree (organization_id, name) NULLS NOT DISTINCT;

CREATE INDEX open_calls_root ON public.open_calls USING btree (root_job_id);

CREATE UNIQUE INDEX prices_model_unit ON public.prices USING btree (provider, model, unit, organization_id, valid_from, recorded_at, above_input_tokens) NULLS NOT DISTINCT;

CREATE UNIQUE INDEX projects_organization_name ON public.projects USING btree (organization_id, name);

CREATE INDEX prompts_digest ON public.prompts USING btree (digest);

CREATE UNIQUE INDEX prompts_name_number ON public.prompts USING btree (organization_id, name, number) NULLS NOT DISTINCT;

CREATE INDEX quality_alerts_of_organization ON public.quality_alerts USING btree (organization_id, id);

CREATE UNIQUE INDEX quality_alerts_one_at_a_time ON public.quality_alerts USING btree (organization_id, capability, signal, model_version) WHERE (state <> 'closed'::text);

CREATE INDEX quality_annotations_of_project ON public.quality_annotations USING btree (project_id, created_at, job_id);

CREATE INDEX quality_annotations_open ON public.quality_annotations USING btree (project_id, created_at, job_id) WHERE (labels < labels_wanted);

CREATE INDEX quality_gates_of_organization ON public.quality_gates USING btree (organization_id, model_id);

CREATE INDEX quality_hours_age ON public.quality_hours USING btree (hour);

CREATE INDEX quality_inputs_series ON ONLY public.quality_inputs USING btree (organization_id, capability, ended_at, job_id);

CREATE INDEX quality_labels_of_project ON public.quality_labels USING btree (project_id, capability, labeled_at);

CREATE INDEX quality_runs_of_version ON public.quality_runs USING btree (organization_id, model_version, dataset, recorded_at);

CREATE UNIQUE INDEX quality_runs_once ON public.quality_runs USING btree (batch_id, dataset_digest);

CREATE INDEX quality_signals_series ON ONLY public.quality_signals USING btree (organization_id, capability, signal, ended_at);

CREATE INDEX quota_usage_period ON public.quota_usage USING btree (period_start);

CREATE UNIQUE INDEX retention_class_policies_once ON public.retention_class_policies USING btree (organization_id, data_class, project_id) NULLS NOT DISTINCT;

CREATE UNIQUE INDEX retention_policies_once ON public.retention_policies USING btree (organization_id, kind, project_id) NULLS NOT DISTINCT;

CREATE INDEX shadow_runs_due ON public.shadow_runs USING btree (made_at) WHERE (state = 'due'::text);

CREATE INDEX shadow_runs_experiment ON public.shadow_runs USING btree (experiment_id, state);

CREATE INDEX webhook_deliveries_held ON ONLY public.webhook_deliveries USING btree (lane, next_attempt_at) WHERE is_held;

CREATE INDEX webhook_deliveries_of_endpoint ON ONLY public.webhook_deliveries USING btree (endpoint_id, id) WHERE (endpoint_id IS NOT NULL);

CREATE INDEX webhook_deliveries_of_job ON ONLY public.webhook_deliveries USING btree (job_id) WHERE (job_id IS NOT NULL);

CREATE INDEX webhook_deliveries_of_project ON ONLY public.webhook_deliveries USING btree (project_id, id);

CREATE INDEX webhook_deliveries_pending ON ONLY public.webhook_deliveries USING btree (lane, next_attempt_at) WHERE (state = 'pending'::text);

CREATE INDEX webhook_endpoints_of_organization ON public.webhook_endpoints USING btree (organization_id);

CREATE INDEX webhook_endpoints_of_project ON public.webhook_endpoints USING btree (project_id, id);

CREATE TRIGGER audit_exports_immutable BEFORE DELETE OR UPDATE ON public.audit_exports FOR EACH ROW EXECUTE FUNCTION public.audit_immutable();

CREATE TRIGGER audit_inbox_immutable BEFORE UPDATE ON public.audit_inbox FOR EACH ROW EXECUTE FUNCTION public.audit_immutable();

CREATE TRIGGER audit_records_immutable BEFORE DELETE OR UPDATE ON public.audit_records FOR EACH ROW EXECUTE FUNCTION public.audit_immutable();

CREATE TRIGGER audit_records_untruncated BEFORE TRUNCATE ON public.audit_records FOR EACH STATEMENT EXECUTE FUNCTION public.audit_immutable();

CREATE TRIGGER audit_retirements_immutable BEFORE DELETE OR UPDATE ON public.audit_retirements FOR EACH ROW EXECUTE FUNCTION public.audit_immutable();

CREATE TRIGGER audit_seals_immutable BEFORE DELETE OR UPDATE ON public.audit_seals FOR EACH ROW EXECUTE FUNCTION public.audit_immutable();

CREATE TRIGGER audit_seals_untruncated BEFORE TRUNCATE ON public.audit_seals FOR EACH STATEMENT EXECUTE FUNCTION public.audit_immutable();

CREATE TRIGGER batch_ended AFTER UPDATE OF state ON public.batches FOR EACH ROW WHEN (((old.finished_at IS NULL) AND (new.finished_at IS NOT NULL))) EXECUTE FUNCTION public.batch_ended();

CREATE TRIGGER batch_job_corrected AFTER UPDATE OF cost_usd ON public.jobs FOR EACH ROW WHEN (((new.finished_at IS NOT NULL) AND (old.cost_usd IS DISTINCT FROM new.cost_usd))) EXECUTE FUNCTION public.batch_job_corrected();

CREATE TRIGGER guard_policies_refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.guard_policies FOR EACH STATEMENT EXECUTE FUNCTION public.registry_refuse_change();

CREATE TRIGGER job_events_take_position BEFORE INSERT ON public.job_events FOR EACH ROW EXECUTE FUNCTION public.job_events_take_position();

CREATE TRIGGER job_shadowed AFTER UPDATE OF state ON public.jobs FOR EACH ROW WHEN (((old.state IS DISTINCT FROM new.state) AND (new.state = 'succeeded'::public.job_state) AND (new.shadow_arm_id IS NULL))) EXECUTE FUNCTION public.job_shadowed();

CREATE TRIGGER jobs_child_ended AFTER UPDATE OF state ON public.jobs FOR EACH ROW WHEN (((new.parent_id IS NOT NULL) AND (new.finished_at IS NOT NULL) AND (old.finished_at IS NULL))) EXECUTE FUNCTION public.jobs_child_ended();

CREATE TRIGGER jobs_guard_transition BEFORE UPDATE OF state ON public.jobs FOR EACH ROW WHEN ((old.state IS DISTINCT FROM new.state)) EXECUTE FUNCTION public.jobs_guard_transition();

CREATE TRIGGER jobs_waits_for_children AFTER UPDATE OF state ON public.jobs FOR EACH ROW WHEN (((new.state = 'waiting'::public.job_state) AND (new.reason = 'children'::text) AND (old.state = 'running'::public.job_state))) EXECUTE FUNCTION public.jobs_waits_for_children();

CREATE TRIGGER ledger_correction_pending AFTER INSERT ON public.ledger_entries FOR EACH ROW WHEN ((new.kind = 'correction'::text)) EXECUTE FUNCTION public.ledger_correction_pending();

CREATE TRIGGER ledger_entries_audited AFTER INSERT ON public.ledger_entries FOR EACH ROW WHEN ((new.kind = 'settlement'::text)) EXECUTE FUNCTION public.ledger_entries_audited();

CREATE TRIGGER ledger_entries_count AFTER INSERT ON public.ledger_entries FOR EACH ROW WHEN ((new.entry > 0)) EXECUTE FUNCTION public.limits_count_entry();

CREATE TRIGGER ledger_entries_immutable BEFORE DELETE OR UPDATE ON public.ledger_entries FOR EACH ROW EXECUTE FUNCTION public.ledger_entries_immutable();

CREATE TRIGGER ledger_entries_untruncated BEFORE TRUNCATE ON public.ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_entries_immutable();

CREATE TRIGGER model_stage_changes_refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.model_stage_changes FOR EACH STATEMENT EXECUTE FUNCTION public.registry_refuse_change();

CREATE TRIGGER model_versions_refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.model_versions FOR EACH STATEMENT EXECUTE FUNCTION public.registry_refuse_change();

CREATE TRIGGER open_calls_under_caps BEFORE INSERT ON public.open_calls FOR EACH ROW WHEN (((new.job_id <> new.root_job_id) AND (new.bound_usd > (0)::numeric))) EXECUTE FUNCTION public.ledger_check_caps();

CREATE TRIGGER prices_refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.prices FOR EACH STATEMENT EXECUTE FUNCTION public.prices_refuse_change();

CREATE TRIGGER prompts_refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.prompts FOR EACH STATEMENT EXECUTE FUNCTION public.registry_refuse_change();

CREATE TRIGGER quality_alert_announce AFTER INSERT ON public.quality_alerts FOR EACH ROW EXECUTE FUNCTION public.quality_alert_announce();

CREATE TRIGGER quality_note_feedback AFTER INSERT OR UPDATE OF score ON public.job_feedback FOR EACH ROW EXECUTE FUNCTION public.quality_note_feedback();

CREATE TRIGGER quality_note_label AFTER INSERT OR UPDATE OF verdict ON public.quality_labels FOR EACH ROW EXECUTE FUNCTION public.quality_note_feedback();

CREATE TRIGGER reservations_remember_tree BEFORE INSERT ON public.reservations FOR EACH ROW WHEN ((new.held_usd = (0)::numeric)) EXECUTE FUNCTION public.ledger_remember_tree();

CREATE TRIGGER webhook_budget_alerted AFTER INSERT ON public.budget_alerts FOR EACH ROW EXECUTE FUNCTION public.webhook_budget_alerted();

CREATE TRIGGER webhook_experiment_decided AFTER UPDATE OF state ON public.experiments FOR EACH ROW WHEN (((old.state IS DISTINCT FROM new.state) AND (new.state = ANY (ARRAY['promoted'::text, 'rolled_back'::text, 'stopped'::text])) AND (old.state <> 'draft'::text))) EXECUTE FUNCTION public.webhook_experiment_decided();

CREATE TRIGGER webhook_job_changed AFTER UPDATE OF state ON public.jobs FOR EACH ROW WHEN (((old.state IS DISTINCT FROM new.state) AND (new.state <> ALL (ARRAY['queued'::public.job_state, 'running'::public.job_state])) AND (new.shadow_arm_id IS NULL) AND ((new.batch_id IS NULL) OR (new.state = 'waiting'::public.job_state)))) EXECUTE FUNCTION public.webhook_job_changed();

CREATE TRIGGER webhook_job_erased AFTER UPDATE OF payload_erased_at ON public.jobs FOR EACH ROW WHEN (((old.payload_erased_at IS NULL) AND (new.payload_erased_at IS NOT NULL))) EXECUTE FUNCTION public.webhook_job_erased();

CREATE TRIGGER webhook_response_ended AFTER UPDATE OF state ON public.jobs FOR EACH ROW WHEN (((old.state IS DISTINCT FROM new.state) AND (new.finished_at IS NOT NULL) AND (new.shadow_arm_id IS NULL) AND (new.batch_id IS NULL) AND ((new.metadata ->> 'openai.object'::text) = 'response'::text) AND ((new.metadata ->> 'openai.store'::text) = 'true'::text))) EXECUTE FUNCTION public.webhook_response_ended();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_project_of_organization FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_replaced_by_fkey FOREIGN KEY (replaced_by) REFERENCES public.api_keys(id);

ALTER TABLE ONLY public.batch_lines
    ADD CONSTRAINT batch_lines_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.batches(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.budget_alerts
    ADD CONSTRAINT budget_alerts_budget_id_fkey FOREIGN KEY (budget_id) REFERENCES public.budgets(id);

ALTER TABLE ONLY public.budget_balances
    ADD CONSTRAINT budget_balances_budget_id_fkey FOREIGN KEY (budget_id) REFERENCES public.budgets(id);

ALTER TABLE ONLY public.budgets
    ADD CONSTRAINT budgets_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT chunks_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.documents(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT chunks_knowledge_base_id_fkey FOREIGN KEY (knowledge_base_id) REFERENCES public.knowledge_bases(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.console_links
    ADD CONSTRAINT console_links_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_keys(id);

ALTER TABLE ONLY public.console_links
    ADD CONSTRAINT console_links_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_keys(id);

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_project_of_organization FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.console_views
    ADD CONSTRAINT console_views_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_keys(id);

ALTER TABLE ONLY public.console_views
    ADD CONSTRAINT console_views_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_knowledge_base_id_fkey FOREIGN KEY (knowledge_base_id) REFERENCES public.knowledge_bases(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.experiment_allocations
    ADD CONSTRAINT experiment_allocations_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);

ALTER TABLE ONLY public.experiment_arms
    ADD CONSTRAINT experiment_arms_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);

ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.guard_policies
    ADD CONSTRAINT guard_policies_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.guard_policies
    ADD CONSTRAINT guard_policies_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.guard_pseudonyms
    ADD CONSTRAINT guard_pseudonyms_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.guard_reviews
    ADD CONSTRAINT guard_reviews_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.guard_reviews
    ADD CONSTRAINT guard_reviews_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.knowledge_terms
    ADD CONSTRAINT knowledge_terms_knowledge_base_id_fkey FOREIGN KEY (knowledge_base_id) REFERENCES public.knowledge_bases(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ledger_carried
    ADD CONSTRAINT ledger_carried_balance_id_fkey FOREIGN KEY (balance_id) REFERENCES public.budget_balances(id);

ALTER TABLE ONLY public.limits
    ADD CONSTRAINT limits_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.model_aliases
    ADD CONSTRAINT model_aliases_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.models(id);

ALTER TABLE ONLY public.model_aliases
    ADD CONSTRAINT model_aliases_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.model_aliases
    ADD CONSTRAINT model_aliases_project_of_organization FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.model_aliases
    ADD CONSTRAINT model_aliases_version_of_model FOREIGN KEY (model_id, model_version_id) REFERENCES public.model_versions(model_id, id);

ALTER TABLE ONLY public.model_stage_changes
    ADD CONSTRAINT model_stage_changes_version_of_model FOREIGN KEY (model_id, model_version_id) REFERENCES public.model_versions(model_id, id);

ALTER TABLE ONLY public.model_stage_changes
    ADD CONSTRAINT model_stage_changes_version_of_organization FOREIGN KEY (organization_id, model_version_id) REFERENCES public.model_versions(organization_id, id);

ALTER TABLE ONLY public.model_stages
    ADD CONSTRAINT model_stages_version_of_model FOREIGN KEY (model_id, version_id) REFERENCES public.model_versions(model_id, id);

ALTER TABLE ONLY public.model_stages
    ADD CONSTRAINT model_stages_version_of_organization FOREIGN KEY (organization_id, version_id) REFERENCES public.model_versions(organization_id, id);

ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.models(id);

ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_model_of_organization FOREIGN KEY (organization_id, model_id) REFERENCES public.models(organization_id, id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.prices
    ADD CONSTRAINT prices_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.prompts
    ADD CONSTRAINT prompts_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.retention_class_policies
    ADD CONSTRAINT retention_class_policies_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.retention_class_policies
    ADD CONSTRAINT retention_class_policies_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.retention_policies
    ADD CONSTRAINT retention_policies_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.retention_policies
    ADD CONSTRAINT retention_policies_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_project FOREIGN KEY (organization_id, project_id) REFERENCES public.projects(organization_id, id);

ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_exports ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_inbox ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_personal ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_records ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_retirements ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_seals ENABLE ROW LEVEL SECURITY;

CREATE POLICY backup ON public.api_keys FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.audit_exports FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.audit_inbox FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.audit_personal FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.audit_records FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.audit_retirements FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.audit_seals FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.batch_lines FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.batches FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.budget_alerts FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.budget_balances FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.budgets FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.call_rollups FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.chunks FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.console_links FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.console_sessions FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.console_views FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.documents FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.experiment_allocations FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.experiment_arms FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.experiment_exposures FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.experiments FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.file_uploads FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.files FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.guard_policies FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.guard_pseudonyms FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.guard_reviews FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.idempotency_keys FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_artifacts FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_backlog FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_checkpoint_writes FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_checkpoints FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_children FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_cost_rollups FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_effects FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_events FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_feedback FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_questions FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.job_rollups FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.jobs FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.knowledge_bases FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.knowledge_terms FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.ledger_carried FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.ledger_entries FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.limits FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.members FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.model_aliases FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.model_stage_changes FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.model_stages FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.model_versions FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.models FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.open_calls FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.organizations FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.prices FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.projects FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.prompts FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_alerts FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_annotations FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_gates FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_hours FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_inputs FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_labels FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_pending FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_runs FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_signals FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quality_streams FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.quota_usage FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.reservations FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.retention_class_policies FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.retention_policies FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.rollup_pending FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.shadow_runs FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.webhook_attempts FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.webhook_deliveries FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.webhook_endpoints FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.webhook_notices FOR SELECT TO waybill_backup USING (true);

CREATE POLICY backup ON public.webhook_secrets FOR SELECT TO waybill_backup USING (true);

ALTER TABLE public.batch_lines ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.batches ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.budget_alerts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.budget_balances ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.budgets ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.call_rollups ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.chunks ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.console_links ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.console_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.console_views ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;

CREATE POLICY everybody ON public.model_aliases FOR SELECT TO waybill_app USING ((organization_id IS NULL));

CREATE POLICY everybody ON public.model_stage_changes FOR SELECT TO waybill_app USING ((organization_id IS NULL));

CREATE POLICY everybody ON public.model_stages FOR SELECT TO waybill_app USING ((organization_id IS NULL));

CREATE POLICY everybody ON public.model_versions FOR SELECT TO waybill_app USING ((organization_id IS NULL));

CREATE POLICY everybody ON public.models FOR SELECT TO waybill_app USING ((organization_id IS NULL));

CREATE POLICY everybody ON public.prices FOR SELECT TO waybill_app USING ((organization_id IS NULL));

CREATE POLICY everybody ON public.prompts FOR SELECT TO waybill_app USING ((organization_id IS NULL));

ALTER TABLE public.experiment_allocations ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.experiment_arms ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.experiment_exposures ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.experiments ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.file_uploads ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.files ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.guard_policies ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.guard_pseudonyms ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.guard_reviews ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_artifacts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_backlog ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_checkpoint_writes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_checkpoints ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_children ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_cost_rollups ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_effects ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_feedback ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_questions ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_rollups ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.jobs ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.knowledge_bases ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.knowledge_terms ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ledger_carried ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ledger_entries ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.limits ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.members ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.model_aliases ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.model_stage_changes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.model_stages ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.model_versions ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.models ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.open_calls ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.organizations ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.prices ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.projects ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.prompts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_alerts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_annotations ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_gates ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_hours ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_inputs ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_labels ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_pending ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_runs ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_signals ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quality_streams ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quota_usage ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.reservations ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.retention_class_policies ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.retention_policies ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.rollup_pending ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.shadow_runs ENABLE ROW LEVEL SECURITY;

CREATE POLICY system ON public.api_keys TO waybill_system USING (true);

CREATE POLICY system ON public.audit_exports TO waybill_system USING (true);

CREATE POLICY system ON public.audit_inbox TO waybill_system USING (true);

CREATE POLICY system ON public.audit_personal TO waybill_system USING (true);

CREATE POLICY system ON public.audit_records TO waybill_system USING (true);

CREATE POLICY system ON public.audit_retirements TO waybill_system USING (true);

CREATE POLICY system ON public.audit_seals TO waybill_system USING (true);

CREATE POLICY system ON public.batch_lines TO waybill_system USING (true);

CREATE POLICY system ON public.batches TO waybill_system USING (true);

CREATE POLICY system ON public.budget_alerts TO waybill_system USING (true);

CREATE POLICY system ON public.budget_balances TO waybill_system USING (true);

CREATE POLICY system ON public.budgets TO waybill_system USING (true);

CREATE POLICY system ON public.call_rollups TO waybill_system USING (true);

CREATE POLICY system ON public.chunks TO waybill_system USING (true);

CREATE POLICY system ON public.console_links TO waybill_system USING (true);

CREATE POLICY system ON public.console_sessions TO waybill_system USING (true);

CREATE POLICY system ON public.console_views TO waybill_system USING (true);

CREATE POLICY system ON public.documents TO waybill_system USING (true);

CREATE POLICY system ON public.experiment_allocations TO waybill_system USING (true);

CREATE POLICY system ON public.experiment_arms TO waybill_system USING (true);

CREATE POLICY system ON public.experiment_exposures TO waybill_system USING (true);

CREATE POLICY system ON public.experiments TO waybill_system USING (true);

CREATE POLICY system ON public.file_uploads TO waybill_system USING (true);

CREATE POLICY system ON public.files TO waybill_system USING (true);

CREATE POLICY system ON public.guard_policies TO waybill_system USING (true);

CREATE POLICY system ON public.guard_pseudonyms TO waybill_system USING (true);

CREATE POLICY system ON public.guard_reviews TO waybill_system USING (true);

CREATE POLICY system ON public.idempotency_keys TO waybill_system USING (true);

CREATE POLICY system ON public.job_artifacts TO waybill_system USING (true);

CREATE POLICY system ON public.job_backlog TO waybill_system USING (true);

CREATE POLICY system ON public.job_checkpoint_writes TO waybill_system USING (true);

CREATE POLICY system ON public.job_checkpoints TO waybill_system USING (true);

CREATE POLICY system ON public.job_children TO waybill_system USING (true);

CREATE POLICY system ON public.job_cost_rollups TO waybill_system USING (true);

CREATE POLICY system ON public.job_effects TO waybill_system USING (true);

CREATE POLICY system ON public.job_events TO waybill_system USING (true);

CREATE POLICY system ON public.job_feedback TO waybill_system USING (true);

CREATE POLICY system ON public.job_questions TO waybill_system USING (true);

CREATE POLICY system ON public.job_rollups TO waybill_system USING (true);

CREATE POLICY system ON public.jobs TO waybill_system USING (true);

CREATE POLICY system ON public.knowledge_bases TO waybill_system USING (true);

CREATE POLICY system ON public.knowledge_terms TO waybill_system USING (true);

CREATE POLICY system ON public.ledger_carried TO waybill_system USING (true);

CREATE POLICY system ON public.ledger_entries TO waybill_system USING (true);

CREATE POLICY system ON public.limits TO waybill_system USING (true);

CREATE POLICY system ON public.members TO waybill_system USING (true);

CREATE POLICY system ON public.model_aliases TO waybill_system USING (true);

CREATE POLICY system ON public.model_stage_changes TO waybill_system USING (true);

CREATE POLICY system ON public.model_stages TO waybill_system USING (true);

CREATE POLICY system ON public.model_versions TO waybill_system USING (true);

CREATE POLICY system ON public.models TO waybill_system USING (true);

CREATE POLICY system ON public.open_calls TO waybill_system USING (true);

CREATE POLICY system ON public.organizations TO waybill_system USING (true);

CREATE POLICY system ON public.prices TO waybill_system USING (true);

CREATE POLICY system ON public.projects TO waybill_system USING (true);

CREATE POLICY system ON public.prompts TO waybill_system USING (true);

CREATE POLICY system ON public.quality_alerts TO waybill_system USING (true);

CREATE POLICY system ON public.quality_annotations TO waybill_system USING (true);

CREATE POLICY system ON public.quality_gates TO waybill_system USING (true);

CREATE POLICY system ON public.quality_hours TO waybill_system USING (true);

CREATE POLICY system ON public.quality_inputs TO waybill_system USING (true);

CREATE POLICY system ON public.quality_labels TO waybill_system USING (true);

CREATE POLICY system ON public.quality_pending TO waybill_system USING (true);

CREATE POLICY system ON public.quality_runs TO waybill_system USING (true);

CREATE POLICY system ON public.quality_signals TO waybill_system USING (true);

CREATE POLICY system ON public.quality_streams TO waybill_system USING (true);

CREATE POLICY system ON public.quota_usage TO waybill_system USING (true);

CREATE POLICY system ON public.reservations TO waybill_system USING (true);

CREATE POLICY system ON public.retention_class_policies TO waybill_system USING (true);

CREATE POLICY system ON public.retention_policies TO waybill_system USING (true);

CREATE POLICY system ON public.rollup_pending TO waybill_system USING (true);

CREATE POLICY system ON public.shadow_runs TO waybill_system USING (true);

CREATE POLICY system ON public.webhook_attempts TO waybill_system USING (true);

CREATE POLICY system ON public.webhook_deliveries TO waybill_system USING (true);

CREATE POLICY system ON public.webhook_endpoints TO waybill_system USING (true);

CREATE POLICY system ON public.webhook_notices TO waybill_system USING (true);

CREATE POLICY system ON public.webhook_secrets TO waybill_system USING (true);

CREATE POLICY tenant ON public.api_keys TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.audit_exports TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.audit_inbox TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.audit_personal TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.audit_records TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.audit_retirements TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.audit_seals TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.batch_lines TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.batches TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.budget_alerts TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.budget_balances TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.budgets TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.call_rollups TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.chunks TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.console_links TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.console_sessions TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.console_views TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.documents TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.experiment_allocations TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.experiment_arms TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.experiment_exposures TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.experiments TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.file_uploads TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.files TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.guard_policies TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.guard_pseudonyms TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.guard_reviews TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.idempotency_keys TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_artifacts TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_backlog TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_checkpoint_writes TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_checkpoints TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_children TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_cost_rollups TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_effects TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_events TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_feedback TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_questions TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.job_rollups TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.jobs TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.knowledge_bases TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.knowledge_terms TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.ledger_carried TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.ledger_entries TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.limits TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.members TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.model_aliases TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.model_stage_changes TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.model_stages TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.model_versions TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.models TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.open_calls TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.organizations TO waybill_app USING ((id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.prices TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.projects TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.prompts TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_alerts TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_annotations TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_gates TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_hours TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_inputs TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_labels TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_pending TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_runs TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_signals TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quality_streams TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.quota_usage TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.reservations TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.retention_class_policies TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.retention_policies TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.rollup_pending TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.shadow_runs TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.webhook_attempts TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.webhook_deliveries TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.webhook_endpoints TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.webhook_notices TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

CREATE POLICY tenant ON public.webhook_secrets TO waybill_app USING ((organization_id = ( SELECT (NULLIF(current_setting('waybill.organization_id'::text, true), ''::text))::uuid AS "nullif")));

ALTER TABLE public.webhook_attempts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_deliveries ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_endpoints ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_notices ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_secrets ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA public TO waybill_app;
GRANT USAGE ON SCHEMA public TO waybill_system;
GRANT USAGE ON SCHEMA public TO waybill_backup;

REVOKE ALL ON FUNCTION public.drop_partition(parent text, child text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.drop_partition(parent text, child text) TO waybill_system;

REVOKE ALL ON FUNCTION public.ensure_partitions(months_ahead integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ensure_partitions(months_ahead integer) TO waybill_system;

REVOKE ALL ON FUNCTION public.events_last_position(child text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.events_last_position(child text) TO waybill_system;

REVOKE ALL ON FUNCTION public.events_restart(lost bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.knowledge_lexical_search(base uuid, covering tsquery, query public.sparsevec, mean_length double precision, depth integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.knowledge_lexical_search(base uuid, covering tsquery, query public.sparsevec, mean_length double precision, depth integer) TO waybill_app;

REVOKE ALL ON FUNCTION public.knowledge_refresh_statistics() FROM PUBLIC;
GRANT ALL ON FUNCTION public.knowledge_refresh_statistics() TO waybill_app;

REVOKE ALL ON FUNCTION public.ledger_alert(ids uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_balances(organization uuid, project uuid, api_key uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_begin_call(job uuid, running_attempt integer, number integer, bound numeric, called_provider text, called_model text, called_version text, running_step text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_begin_call(job uuid, running_attempt integer, number integer, bound numeric, called_provider text, called_model text, called_version text, running_step text) TO waybill_app;
GRANT ALL ON FUNCTION public.ledger_begin_call(job uuid, running_attempt integer, number integer, bound numeric, called_provider text, called_model text, called_version text, running_step text) TO waybill_system;

REVOKE ALL ON FUNCTION public.ledger_check_caps() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_correct(job uuid, corrected_attempt integer, number integer, amount numeric, because text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_correct(job uuid, corrected_attempt integer, number integer, amount numeric, because text) TO waybill_app;
GRANT ALL ON FUNCTION public.ledger_correct(job uuid, corrected_attempt integer, number integer, amount numeric, because text) TO waybill_system;

REVOKE ALL ON FUNCTION public.ledger_correction_pending() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_entries_audited() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_lock(ids uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_release(roots uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_release(roots uuid[]) TO waybill_app;
GRANT ALL ON FUNCTION public.ledger_release(roots uuid[]) TO waybill_system;

REVOKE ALL ON FUNCTION public.ledger_remember_tree() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_require_tenant(organization uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_reserve(job uuid, organization uuid, project uuid, api_key uuid, amount numeric, cap numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_reserve(job uuid, organization uuid, project uuid, api_key uuid, amount numeric, cap numeric) TO waybill_app;
GRANT ALL ON FUNCTION public.ledger_reserve(job uuid, organization uuid, project uuid, api_key uuid, amount numeric, cap numeric) TO waybill_system;

REVOKE ALL ON FUNCTION public.ledger_review(organization uuid, budget uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_review(organization uuid, budget uuid) TO waybill_app;
GRANT ALL ON FUNCTION public.ledger_review(organization uuid, budget uuid) TO waybill_system;

REVOKE ALL ON FUNCTION public.ledger_set_aside(ids uuid[], amount numeric) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.ledger_settle_call(job uuid, running_attempt integer, number integer, amount numeric, used jsonb, priced jsonb, prices_used uuid[], is_estimated boolean, because text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_settle_call(job uuid, running_attempt integer, number integer, amount numeric, used jsonb, priced jsonb, prices_used uuid[], is_estimated boolean, because text) TO waybill_app;
GRANT ALL ON FUNCTION public.ledger_settle_call(job uuid, running_attempt integer, number integer, amount numeric, used jsonb, priced jsonb, prices_used uuid[], is_estimated boolean, because text) TO waybill_system;

REVOKE ALL ON FUNCTION public.ledger_sweep(grace_seconds double precision, most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_sweep(grace_seconds double precision, most integer) TO waybill_system;

REVOKE ALL ON FUNCTION public.limits_admit(organization uuid, project uuid, api_key uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.limits_admit(organization uuid, project uuid, api_key uuid) TO waybill_app;
GRANT ALL ON FUNCTION public.limits_admit(organization uuid, project uuid, api_key uuid) TO waybill_system;

REVOKE ALL ON FUNCTION public.limits_count_entry() FROM PUBLIC;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.limits TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.limits TO waybill_system;
GRANT SELECT ON TABLE public.limits TO waybill_backup;

REVOKE ALL ON FUNCTION public.limits_in_scope(organization uuid, project uuid, api_key uuid, kinds text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.limits_lock(organization uuid, project uuid, api_key uuid, kinds text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.limits_open(organization uuid, scoped uuid, wanted text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.limits_open(organization uuid, scoped uuid, wanted text) TO waybill_app;
GRANT ALL ON FUNCTION public.limits_open(organization uuid, scoped uuid, wanted text) TO waybill_system;

REVOKE ALL ON FUNCTION public.limits_spend(organization uuid, project uuid, api_key uuid, tokens numeric, cost numeric) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.partitions_before(parent text, before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.partitions_before(parent text, before timestamp with time zone) TO waybill_system;

REVOKE ALL ON FUNCTION public.retention_clocks(of_kind text, default_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.retention_clocks(of_kind text, default_days integer) TO waybill_system;

REVOKE ALL ON FUNCTION public.retention_payload_clocks(default_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.retention_payload_clocks(default_days integer) TO waybill_system;

REVOKE ALL ON FUNCTION public.rollup_partitions(days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rollup_partitions(days integer) TO waybill_system;

REVOKE ALL ON FUNCTION public.waybill_pool_demand(pool_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.waybill_pool_demand(pool_name text) TO waybill_scaler;

GRANT SELECT ON TABLE public.alembic_version TO waybill_api;
GRANT SELECT ON TABLE public.alembic_version TO waybill_worker;
GRANT SELECT ON TABLE public.alembic_version TO waybill_dispatcher;
GRANT SELECT ON TABLE public.alembic_version TO waybill_deliverer;
GRANT SELECT ON TABLE public.alembic_version TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.api_keys TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.api_keys TO waybill_system;
GRANT SELECT ON TABLE public.api_keys TO waybill_backup;

GRANT SELECT ON TABLE public.audit_exports TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.audit_exports TO waybill_system;
GRANT SELECT ON TABLE public.audit_exports TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.audit_inbox TO waybill_app;
GRANT SELECT,INSERT,DELETE ON TABLE public.audit_inbox TO waybill_system;
GRANT SELECT ON TABLE public.audit_inbox TO waybill_backup;

GRANT SELECT ON TABLE public.audit_records TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.audit_records TO waybill_system;
GRANT SELECT ON TABLE public.audit_records TO waybill_backup;

GRANT SELECT ON TABLE public.audit_log TO waybill_app;
GRANT SELECT ON TABLE public.audit_log TO waybill_system;
GRANT SELECT ON TABLE public.audit_log TO waybill_backup;

GRANT SELECT,INSERT,DELETE ON TABLE public.audit_personal TO waybill_app;
GRANT SELECT,INSERT,DELETE ON TABLE public.audit_personal TO waybill_system;
GRANT SELECT ON TABLE public.audit_personal TO waybill_backup;

GRANT SELECT ON TABLE public.audit_retirements TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.audit_retirements TO waybill_system;
GRANT SELECT ON TABLE public.audit_retirements TO waybill_backup;

GRANT SELECT ON TABLE public.audit_seals TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.audit_seals TO waybill_system;
GRANT SELECT ON TABLE public.audit_seals TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.batch_lines TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.batch_lines TO waybill_system;
GRANT SELECT ON TABLE public.batch_lines TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.batches TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.batches TO waybill_system;
GRANT SELECT ON TABLE public.batches TO waybill_backup;

GRANT SELECT ON TABLE public.budget_alerts TO waybill_app;
GRANT SELECT ON TABLE public.budget_alerts TO waybill_system;
GRANT SELECT ON TABLE public.budget_alerts TO waybill_backup;

GRANT SELECT ON TABLE public.budget_balances TO waybill_app;
GRANT SELECT ON TABLE public.budget_balances TO waybill_system;
GRANT SELECT ON TABLE public.budget_balances TO waybill_backup;

GRANT SELECT,INSERT,UPDATE ON TABLE public.budgets TO waybill_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.budgets TO waybill_system;
GRANT SELECT ON TABLE public.budgets TO waybill_backup;

GRANT SELECT ON TABLE public.call_rollups TO waybill_backup;
GRANT SELECT ON TABLE public.call_rollups TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.call_rollups TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chunks TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chunks TO waybill_system;
GRANT SELECT ON TABLE public.chunks TO waybill_backup;

GRANT SELECT ON TABLE public.console_links TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.console_links TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.console_links TO waybill_system;

GRANT SELECT ON TABLE public.console_sessions TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.console_sessions TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.console_sessions TO waybill_system;

GRANT SELECT ON TABLE public.console_views TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.console_views TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.console_views TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.documents TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.documents TO waybill_system;
GRANT SELECT ON TABLE public.documents TO waybill_backup;

GRANT SELECT ON TABLE public.event_cursors TO waybill_backup;
GRANT SELECT ON TABLE public.event_cursors TO waybill_app;
GRANT SELECT,UPDATE ON TABLE public.event_cursors TO waybill_system;

GRANT SELECT,INSERT ON TABLE public.experiment_allocations TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.experiment_allocations TO waybill_system;
GRANT SELECT ON TABLE public.experiment_allocations TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.experiment_arms TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.experiment_arms TO waybill_system;
GRANT SELECT ON TABLE public.experiment_arms TO waybill_backup;

GRANT UPDATE(weight) ON TABLE public.experiment_arms TO waybill_app;
GRANT UPDATE(weight) ON TABLE public.experiment_arms TO waybill_system;

GRANT SELECT,INSERT ON TABLE public.experiment_exposures TO waybill_app;
GRANT SELECT,INSERT,DELETE ON TABLE public.experiment_exposures TO waybill_system;
GRANT SELECT ON TABLE public.experiment_exposures TO waybill_backup;

GRANT SELECT,INSERT,UPDATE ON TABLE public.experiments TO waybill_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.experiments TO waybill_system;
GRANT SELECT ON TABLE public.experiments TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.file_uploads TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.file_uploads TO waybill_system;
GRANT SELECT ON TABLE public.file_uploads TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.files TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.files TO waybill_system;
GRANT SELECT ON TABLE public.files TO waybill_backup;

GRANT SELECT ON TABLE public.guard_policies TO waybill_backup;
GRANT SELECT,INSERT ON TABLE public.guard_policies TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.guard_policies TO waybill_system;

GRANT SELECT ON TABLE public.guard_pseudonyms TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.guard_pseudonyms TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.guard_pseudonyms TO waybill_system;

GRANT SELECT ON TABLE public.guard_reviews TO waybill_backup;
GRANT SELECT,INSERT ON TABLE public.guard_reviews TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.guard_reviews TO waybill_system;

GRANT UPDATE(value) ON TABLE public.guard_reviews TO waybill_app;
GRANT UPDATE(value) ON TABLE public.guard_reviews TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO waybill_system;
GRANT SELECT ON TABLE public.idempotency_keys TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_artifacts TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_artifacts TO waybill_system;
GRANT SELECT ON TABLE public.job_artifacts TO waybill_backup;

GRANT SELECT ON TABLE public.job_backlog TO waybill_backup;
GRANT SELECT ON TABLE public.job_backlog TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_backlog TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_checkpoint_writes TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_checkpoint_writes TO waybill_system;
GRANT SELECT ON TABLE public.job_checkpoint_writes TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_checkpoints TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_checkpoints TO waybill_system;
GRANT SELECT ON TABLE public.job_checkpoints TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_children TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_children TO waybill_system;
GRANT SELECT ON TABLE public.job_children TO waybill_backup;

GRANT SELECT ON TABLE public.job_cost_rollups TO waybill_backup;
GRANT SELECT ON TABLE public.job_cost_rollups TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_cost_rollups TO waybill_system;

GRANT SELECT ON TABLE public.job_effects TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_effects TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_effects TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_events TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_events TO waybill_system;
GRANT SELECT ON TABLE public.job_events TO waybill_backup;

GRANT SELECT ON TABLE public.job_events_dropped TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.job_events_dropped TO waybill_system;
GRANT SELECT ON TABLE public.job_events_dropped TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_feedback TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_feedback TO waybill_system;
GRANT SELECT ON TABLE public.job_feedback TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_questions TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_questions TO waybill_system;
GRANT SELECT ON TABLE public.job_questions TO waybill_backup;

GRANT SELECT ON TABLE public.job_rollups TO waybill_backup;
GRANT SELECT ON TABLE public.job_rollups TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_rollups TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.jobs TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.jobs TO waybill_system;
GRANT SELECT ON TABLE public.jobs TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.knowledge_bases TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.knowledge_bases TO waybill_system;
GRANT SELECT ON TABLE public.knowledge_bases TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.knowledge_terms TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.knowledge_terms TO waybill_system;
GRANT SELECT ON TABLE public.knowledge_terms TO waybill_backup;

GRANT SELECT ON TABLE public.ledger_carried TO waybill_app;
GRANT SELECT ON TABLE public.ledger_carried TO waybill_system;
GRANT SELECT ON TABLE public.ledger_carried TO waybill_backup;

GRANT SELECT ON TABLE public.ledger_entries TO waybill_app;
GRANT SELECT ON TABLE public.ledger_entries TO waybill_system;
GRANT SELECT ON TABLE public.ledger_entries TO waybill_backup;

GRANT SELECT ON TABLE public.ledger_retired TO waybill_system;
GRANT SELECT ON TABLE public.ledger_retired TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.members TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.members TO waybill_system;
GRANT SELECT ON TABLE public.members TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.model_aliases TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.model_aliases TO waybill_system;
GRANT SELECT ON TABLE public.model_aliases TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.model_stage_changes TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.model_stage_changes TO waybill_system;
GRANT SELECT ON TABLE public.model_stage_changes TO waybill_backup;

GRANT SELECT,INSERT,UPDATE ON TABLE public.model_stages TO waybill_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.model_stages TO waybill_system;
GRANT SELECT ON TABLE public.model_stages TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.model_versions TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.model_versions TO waybill_system;
GRANT SELECT ON TABLE public.model_versions TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.models TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.models TO waybill_system;
GRANT SELECT ON TABLE public.models TO waybill_backup;

GRANT UPDATE(description) ON TABLE public.models TO waybill_app;
GRANT UPDATE(description) ON TABLE public.models TO waybill_system;

GRANT SELECT ON TABLE public.open_calls TO waybill_app;
GRANT SELECT ON TABLE public.open_calls TO waybill_system;
GRANT SELECT ON TABLE public.open_calls TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.organizations TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.organizations TO waybill_system;
GRANT SELECT ON TABLE public.organizations TO waybill_backup;

GRANT SELECT ON TABLE public.partitioned_tables TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.prices TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.prices TO waybill_system;
GRANT SELECT ON TABLE public.prices TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.projects TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.projects TO waybill_system;
GRANT SELECT ON TABLE public.projects TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.prompts TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.prompts TO waybill_system;
GRANT SELECT ON TABLE public.prompts TO waybill_backup;

GRANT SELECT ON TABLE public.quality_alerts TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_alerts TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_alerts TO waybill_system;

GRANT SELECT ON TABLE public.quality_annotations TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_annotations TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_annotations TO waybill_system;

GRANT SELECT ON TABLE public.quality_gates TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_gates TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_gates TO waybill_system;

GRANT SELECT ON TABLE public.quality_hours TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_hours TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_hours TO waybill_system;

GRANT SELECT ON TABLE public.quality_inputs TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_inputs TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_inputs TO waybill_system;

GRANT SELECT ON TABLE public.quality_labels TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_labels TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_labels TO waybill_system;

GRANT SELECT ON TABLE public.quality_pending TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_pending TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_pending TO waybill_system;

GRANT SELECT ON TABLE public.quality_runs TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_runs TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_runs TO waybill_system;

GRANT SELECT ON TABLE public.quality_signals TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_signals TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_signals TO waybill_system;

GRANT SELECT ON TABLE public.quality_streams TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_streams TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quality_streams TO waybill_system;

GRANT SELECT ON TABLE public.quota_usage TO waybill_app;
GRANT SELECT,DELETE ON TABLE public.quota_usage TO waybill_system;
GRANT SELECT ON TABLE public.quota_usage TO waybill_backup;

GRANT SELECT ON TABLE public.reservations TO waybill_app;
GRANT SELECT ON TABLE public.reservations TO waybill_system;
GRANT SELECT ON TABLE public.reservations TO waybill_backup;

GRANT SELECT ON TABLE public.retention_class_policies TO waybill_backup;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.retention_class_policies TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.retention_class_policies TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.retention_policies TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.retention_policies TO waybill_system;
GRANT SELECT ON TABLE public.retention_policies TO waybill_backup;

GRANT SELECT ON TABLE public.rollup_pending TO waybill_backup;
GRANT SELECT ON TABLE public.rollup_pending TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rollup_pending TO waybill_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.shadow_runs TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.shadow_runs TO waybill_system;
GRANT SELECT ON TABLE public.shadow_runs TO waybill_backup;

GRANT SELECT,INSERT ON TABLE public.webhook_attempts TO waybill_app;
GRANT SELECT,INSERT ON TABLE public.webhook_attempts TO waybill_system;
GRANT SELECT ON TABLE public.webhook_attempts TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_deliveries TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_deliveries TO waybill_system;
GRANT SELECT ON TABLE public.webhook_deliveries TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_endpoints TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_endpoints TO waybill_system;
GRANT SELECT ON TABLE public.webhook_endpoints TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_notices TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_notices TO waybill_system;
GRANT SELECT ON TABLE public.webhook_notices TO waybill_backup;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_secrets TO waybill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_secrets TO waybill_system;
GRANT SELECT ON TABLE public.webhook_secrets TO waybill_backup;

ALTER DEFAULT PRIVILEGES FOR ROLE waybill_owner IN SCHEMA public GRANT SELECT ON TABLES TO waybill_backup;
