-- How long things are kept, and how what is past every clock goes.

CREATE TABLE retention_policies (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid,
  kind text NOT NULL CONSTRAINT retention_policies_kind CHECK (
    kind IN ('payloads', 'events', 'jobs', 'ledger', 'audit')),
  days int CONSTRAINT retention_policies_days CHECK (days BETWEEN 1 AND 36500),
  set_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT retention_policies_project FOREIGN KEY (organization_id, project_id)
    REFERENCES projects (organization_id, id)
);
CREATE UNIQUE INDEX retention_policies_once ON retention_policies (organization_id, kind, project_id)
  NULLS NOT DISTINCT;

ALTER TABLE jobs ADD COLUMN payload_erased_at timestamptz;
CREATE INDEX jobs_with_payload ON jobs (project_id, id) WHERE finished_at IS NOT NULL AND payload_erased_at IS NULL;

-- What dropped partitions of the ledger had added to each balance: spent stays the sum of the ledger and of this.
CREATE TABLE ledger_carried (
  balance_id uuid PRIMARY KEY REFERENCES budget_balances,
  organization_id uuid NOT NULL,
  amount_usd numeric(18, 9) NOT NULL
);
-- Lines of jobs below `until_id` are gone.
CREATE TABLE ledger_retired (until_id uuid PRIMARY KEY, retired_at timestamptz NOT NULL DEFAULT now());

-- The clock of every project: its own, else its organisation's, else the installation's; NULL is for ever.
CREATE FUNCTION retention_clocks(of_kind text, default_days int)
RETURNS TABLE (organization_id uuid, project_id uuid, days int) LANGUAGE sql STABLE AS $$
  SELECT projects.organization_id, projects.id,
    CASE WHEN own.kind IS NOT NULL THEN own.days WHEN common.kind IS NOT NULL THEN common.days ELSE default_days END
  FROM projects
  LEFT JOIN retention_policies AS own ON own.organization_id = projects.organization_id
    AND own.project_id = projects.id AND own.kind = of_kind
  LEFT JOIN retention_policies AS common ON common.organization_id = projects.organization_id
    AND common.project_id IS NULL AND common.kind = of_kind
$$;

-- Monthly partitions of `parent` that end at or before `before`, oldest first.
CREATE FUNCTION partitions_before(parent text, before timestamptz)
RETURNS TABLE (name text, first timestamptz, past timestamptz) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT child, month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
  FROM (
    SELECT relname::text AS child, to_date(right(relname, 6), 'YYYYMM')::timestamp AT TIME ZONE 'UTC' AS month
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = to_regclass(parent) AND relname ~ ('^' || parent || '_\d{6}$')
  ) AS partition
  WHERE (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' <= before ORDER BY month
$$;

-- Drop one of them. False, and nothing is done, while a job of its month has not ended or money is unsettled.
CREATE FUNCTION drop_partition(parent text, child text) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

REVOKE ALL ON FUNCTION retention_clocks, partitions_before, drop_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_clocks, partitions_before, drop_partition TO waybill_system;
GRANT SELECT ON ledger_retired TO waybill_system;
