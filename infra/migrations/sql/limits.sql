-- Limits and what is used of them.
--
-- Quotas are counted here, in the transaction of what they count: a job in that of its submission, tokens and money in
-- that of the ledger's line. Usage changes only through the functions below, which run as the tables' owner. Rows are
-- locked from the organisation down to the key, and after the ledger's balances; submissions lock counts of jobs,
-- settlements lock counts of tokens and money: so no two of them can wait for each other.

CREATE TABLE limits (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid NOT NULL REFERENCES organizations,
  scope text NOT NULL CONSTRAINT limits_scope CHECK (scope IN ('organization', 'project', 'key')),
  scope_id uuid NOT NULL,
  kind text NOT NULL CONSTRAINT limits_kind CHECK (kind IN (
    'requests_per_minute', 'tokens_per_minute', 'concurrent_jobs', 'jobs_per_day', 'jobs_per_month',
    'tokens_per_day', 'tokens_per_month', 'cost_per_day', 'cost_per_month')),
  value numeric(21, 9) NOT NULL CONSTRAINT limits_value CHECK (value >= 0),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT limits_organization_is_its_own_scope CHECK ((scope = 'organization') = (scope_id = organization_id)),
  CONSTRAINT limits_rate_lets_something_pass CHECK (
    kind NOT IN ('requests_per_minute', 'tokens_per_minute') OR value >= 1)
);
CREATE UNIQUE INDEX limits_once ON limits (organization_id, scope_id, kind);
CREATE INDEX limits_concurrency ON limits (scope_id) WHERE kind = 'concurrent_jobs';

-- What a period of a quota has seen; a day and a month are UTC's. For tokens_per_minute, which has no periods, `used`
-- is the level of a bucket at `updated_at`, from which the limit drains in a minute.
CREATE TABLE quota_usage (
  organization_id uuid NOT NULL,
  scope_id uuid NOT NULL,
  kind text NOT NULL,
  period_start timestamptz NOT NULL,
  used numeric(30, 9) NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, scope_id, kind, period_start)
);
CREATE INDEX quota_usage_period ON quota_usage (period_start);

-- Null for kinds that have no period.
CREATE FUNCTION limits_period(kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN kind LIKE '%\_per\_day' THEN 'day' WHEN kind LIKE '%\_per\_month' THEN 'month' END
$$;

CREATE FUNCTION limits_period_start(kind text, moment timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT coalesce(date_trunc(limits_period(kind), moment, 'UTC'), '-infinity'::timestamptz)
$$;

CREATE FUNCTION limits_period_end(kind text, moment timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT (date_trunc(limits_period(kind), moment AT TIME ZONE 'UTC') + ('1 ' || limits_period(kind))::interval)
    AT TIME ZONE 'UTC'
$$;

-- A bucket's level now (Turner's leaky bucket as a meter, the same as GCRA: ITU-T I.371, annex A); clocks that step back
-- drain nothing.
CREATE FUNCTION limits_level(kind text, used numeric, since timestamptz, value numeric, moment timestamptz)
RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN kind = 'tokens_per_minute'
    THEN greatest(0, used - greatest(0, extract(epoch FROM moment - since)) * value / 60) ELSE used END
$$;

-- The limits of some kinds that count for a caller. Called with constants, it is planned as part of its caller.
CREATE FUNCTION limits_in_scope(organization uuid, project uuid, api_key uuid, kinds text[]) RETURNS SETOF limits
LANGUAGE sql STABLE AS $$
  SELECT * FROM limits
  WHERE organization_id = organization AND scope_id IN (organization, project, api_key) AND kind = ANY(kinds)
$$;

-- Have a row of usage for each of these limits, locked. Missing ones are made first, in the one order: whoever waits
-- for another's insertion holds nothing but its own.
CREATE FUNCTION limits_lock(organization uuid, project uuid, api_key uuid, kinds text[]) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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

-- Count one job against every quota of jobs, or raise when a quota has no room: WB403 says which; WB429 for a rate.
-- Jobs are counted here, tokens and money when they are spent: those refuse once they are used up.
CREATE FUNCTION limits_admit(organization uuid, project uuid, api_key uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- Count tokens and money. Never refuses: they are spent.
CREATE FUNCTION limits_spend(organization uuid, project uuid, api_key uuid, tokens numeric, cost numeric) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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

CREATE FUNCTION limits_tokens(quantities jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(sum(amount::numeric), 0) FROM jsonb_each_text(quantities) AS quantity (unit, amount)
  WHERE unit LIKE '%\_tokens'
$$;

-- Every line of the ledger is written once, whoever writes it: a worker, the sweep, a correction. So it counts once.
CREATE FUNCTION limits_count_entry() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM limits_spend(NEW.organization_id, NEW.project_id, NEW.key_id, limits_tokens(NEW.quantities), NEW.amount_usd);
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_entries_count AFTER INSERT ON ledger_entries FOR EACH ROW
  WHEN (NEW.entry > 0) EXECUTE FUNCTION limits_count_entry();

-- A quota was set: add up what its current period has seen before, since nothing was counted then.
CREATE FUNCTION limits_open(organization uuid, scoped uuid, wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

REVOKE ALL ON FUNCTION limits_in_scope, limits_lock, limits_admit, limits_spend, limits_count_entry, limits_open
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION limits_admit, limits_open TO waybill_app, waybill_system;
