-- Payloads of a data class and above may go earlier than the others.

-- A table of its own: the release before would take a row of `retention_policies` that names a class for the clock of
-- all payloads, and its upsert needs the unique index without the class.
CREATE TABLE retention_class_policies (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid NOT NULL REFERENCES organizations,
  project_id uuid,
  data_class data_class NOT NULL,
  days int NOT NULL CONSTRAINT retention_class_policies_days CHECK (days BETWEEN 1 AND 36500),
  set_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT retention_class_policies_project FOREIGN KEY (organization_id, project_id)
    REFERENCES projects (organization_id, id)
);
CREATE UNIQUE INDEX retention_class_policies_once ON retention_class_policies
  (organization_id, data_class, project_id) NULLS NOT DISTINCT;

-- How long each project keeps the payloads of which classes: the shortest of its clock for payloads and of the clocks
-- for a class and above, where its own for a class takes the place of its organization's. Classes that are kept equally
-- long are one row; NULL is for ever.
CREATE FUNCTION retention_payload_clocks(default_days int)
RETURNS TABLE (organization_id uuid, project_id uuid, data_classes data_class[], days int) LANGUAGE sql STABLE AS $$
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
REVOKE ALL ON FUNCTION retention_payload_clocks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_payload_clocks TO waybill_system;

-- The old one goes last: dropping it first would keep readers out while the new one is built.
CREATE INDEX jobs_with_payload_of_class ON jobs (project_id, data_class, id)
  WHERE finished_at IS NOT NULL AND payload_erased_at IS NULL;
DROP INDEX jobs_with_payload;
