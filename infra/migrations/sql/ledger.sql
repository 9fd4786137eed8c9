-- Budgets, reservations and the ledger.
--
-- Money moves only through the functions below. They run as the tables' owner, so that no application role can write a
-- balance or an entry by hand, and they put up the tenant's fence themselves. Locks are always taken in this order:
-- job, reservation, balances by id; so no two of them can wait for each other.

CREATE TABLE budgets (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid NOT NULL REFERENCES organizations,
  name text NOT NULL,
  scope text NOT NULL CONSTRAINT budgets_scope CHECK (scope IN ('organization', 'project', 'key')),
  scope_id uuid NOT NULL,
  period text NOT NULL CONSTRAINT budgets_period CHECK (period IN ('day', 'month', 'total')),
  limit_usd numeric(18, 9) NOT NULL CONSTRAINT budgets_limit CHECK (limit_usd >= 0),
  hard boolean NOT NULL DEFAULT true,
  on_exhaustion text NOT NULL DEFAULT 'fail'
    CONSTRAINT budgets_on_exhaustion CHECK (on_exhaustion IN ('fail', 'pause')),
  thresholds int[] NOT NULL DEFAULT '{50,80,100}',
  created_at timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz,
  CONSTRAINT budgets_organization_is_its_own_scope CHECK ((scope = 'organization') = (scope_id = organization_id))
);
CREATE UNIQUE INDEX budgets_organization_name ON budgets (organization_id, name) WHERE archived_at IS NULL;
CREATE INDEX budgets_in_force ON budgets (organization_id, scope_id) WHERE archived_at IS NULL;

-- What a budget's period has seen. A day and a month are UTC's; a total has one period that never ends.
CREATE TABLE budget_balances (
  id uuid PRIMARY KEY,
  budget_id uuid NOT NULL REFERENCES budgets,
  organization_id uuid NOT NULL,
  period_start timestamptz NOT NULL,
  reserved_usd numeric(18, 9) NOT NULL DEFAULT 0 CONSTRAINT budget_balances_reserved CHECK (reserved_usd >= 0),
  spent_usd numeric(18, 9) NOT NULL DEFAULT 0,
  alerted int[] NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX budget_balances_period ON budget_balances (budget_id, period_start);

CREATE TABLE budget_alerts (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid NOT NULL,
  budget_id uuid NOT NULL REFERENCES budgets,
  period_start timestamptz NOT NULL,
  threshold int NOT NULL,
  spent_usd numeric(18, 9) NOT NULL,
  limit_usd numeric(18, 9) NOT NULL,
  raised_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX budget_alerts_once ON budget_alerts (budget_id, period_start, threshold);

-- One row while a job, or a tree of jobs, may still spend. `held` is set aside and unspent, `committed` the part of it
-- that open calls may use up.
CREATE TABLE reservations (
  root_job_id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  key_id uuid,
  balance_ids uuid[] NOT NULL,
  held_usd numeric(18, 9) NOT NULL DEFAULT 0,
  committed_usd numeric(18, 9) NOT NULL DEFAULT 0,
  spent_usd numeric(18, 9) NOT NULL DEFAULT 0,
  cap_usd numeric(18, 9),
  opened_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT reservations_committed CHECK (committed_usd >= 0 AND committed_usd <= held_usd)
);

CREATE TABLE open_calls (
  job_id uuid NOT NULL,
  attempt int NOT NULL,
  call int NOT NULL,
  root_job_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  bound_usd numeric(18, 9) NOT NULL CONSTRAINT open_calls_bound CHECK (bound_usd >= 0),
  opened_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, attempt, call)
);
CREATE INDEX open_calls_root ON open_calls (root_job_id);

-- Entry 0 is the intent, written before the call; 1 the settlement; from 2 on corrections, which add to it.
CREATE TABLE ledger_entries (
  job_id uuid NOT NULL,
  attempt int NOT NULL CONSTRAINT ledger_entries_attempt CHECK (attempt >= 1),
  call int NOT NULL CONSTRAINT ledger_entries_call CHECK (call >= 1),
  entry smallint NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  key_id uuid,
  root_job_id uuid NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL,
  capability text NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  model_version text,
  price_ids uuid[] NOT NULL DEFAULT '{}',
  quantities jsonb NOT NULL DEFAULT '{}',
  amounts jsonb NOT NULL DEFAULT '{}',
  bound_usd numeric(18, 9) NOT NULL,
  amount_usd numeric(18, 9) NOT NULL,
  estimated boolean NOT NULL DEFAULT false,
  reason text,
  balance_ids uuid[] NOT NULL DEFAULT '{}',
  step text,
  labels jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (job_id, attempt, call, entry),
  CONSTRAINT ledger_entries_kind CHECK (
    kind = CASE entry WHEN 0 THEN 'intent' WHEN 1 THEN 'settlement' ELSE 'correction' END),
  CONSTRAINT ledger_entries_intent CHECK (entry > 0 OR amount_usd = 0)
) PARTITION BY RANGE (job_id);
CREATE INDEX ledger_entries_project ON ledger_entries (project_id, job_id);

CREATE FUNCTION ledger_entries_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: write a correction' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_entries_immutable BEFORE UPDATE OR DELETE ON ledger_entries
  FOR EACH ROW EXECUTE FUNCTION ledger_entries_immutable();
CREATE TRIGGER ledger_entries_untruncated BEFORE TRUNCATE ON ledger_entries
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_immutable();

-- The transaction names its organisation; only the system's transactions name none.
CREATE FUNCTION ledger_require_tenant(organization uuid) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE named uuid := nullif(current_setting('waybill.organization_id', true), '')::uuid;
BEGIN
  IF named IS DISTINCT FROM organization AND (named IS NOT NULL OR current_setting('role') = 'waybill_app') THEN
    RAISE EXCEPTION 'this transaction may not touch that organisation''s money'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

CREATE FUNCTION ledger_period_start(period text, moment timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE period WHEN 'total' THEN '-infinity'::timestamptz ELSE date_trunc(period, moment, 'UTC') END
$$;

-- The balances of this moment's periods of every budget that counts for a job; made when they are missing.
CREATE FUNCTION ledger_balances(organization uuid, project uuid, api_key uuid) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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

CREATE FUNCTION ledger_lock(ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM budget_balances WHERE id = ANY(ids) ORDER BY id FOR UPDATE;
END $$;

-- Set `amount` aside in every balance, or raise: WB402 says which budget has no room for it.
CREATE FUNCTION ledger_set_aside(ids uuid[], amount numeric) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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

-- Say once for each period and threshold that so much of a budget is spent. The balances are locked by the caller.
CREATE FUNCTION ledger_alert(ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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

-- A budget was changed: say what it crosses by that.
CREATE FUNCTION ledger_review(organization uuid, budget uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE ids uuid[];
BEGIN
  PERFORM ledger_require_tenant(organization);
  ids := ARRAY(SELECT balance.id FROM budget_balances AS balance JOIN budgets ON budgets.id = balance.budget_id
    WHERE budgets.id = budget AND budgets.organization_id = organization
      AND balance.period_start = ledger_period_start(budgets.period, now()));
  PERFORM ledger_lock(ids);
  PERFORM ledger_alert(ids);
END $$;

CREATE FUNCTION ledger_reserve(
  job uuid, organization uuid, project uuid, api_key uuid, amount numeric, cap numeric
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

CREATE FUNCTION ledger_begin_call(
  job uuid, running_attempt int, number int, bound numeric, called_provider text, called_model text,
  called_version text, running_step text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- True when this settled the call; false when it was settled before, which changes nothing.
CREATE FUNCTION ledger_settle_call(
  job uuid, running_attempt int, number int, amount numeric, used jsonb, priced jsonb, prices_used uuid[],
  is_estimated boolean, because text
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- Give back what jobs that end still hold. One with a call that nobody has settled waits for the sweep.
CREATE FUNCTION ledger_release(roots uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- Settle, at their bound, the calls of attempts that run no more, and add them to their jobs. Returns how many.
CREATE FUNCTION ledger_sweep(grace_seconds float8, most int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- A correction adds `amount` (which may be negative) to what a settled call cost.
CREATE FUNCTION ledger_correct(job uuid, corrected_attempt int, number int, amount numeric, because text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

REVOKE ALL ON FUNCTION ledger_require_tenant, ledger_balances, ledger_lock, ledger_set_aside, ledger_alert,
  ledger_reserve, ledger_begin_call, ledger_settle_call, ledger_release, ledger_sweep, ledger_correct,
  ledger_review FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_reserve, ledger_begin_call, ledger_settle_call, ledger_release, ledger_correct,
  ledger_review TO waybill_app, waybill_system;
GRANT EXECUTE ON FUNCTION ledger_sweep TO waybill_system;
