-- Questions to people, and child jobs. Both are keyed by the job they belong to, so that they are partitioned, and go,
-- with it.

CREATE TABLE job_questions (
  job_id uuid NOT NULL,
  key text NOT NULL CONSTRAINT job_questions_key CHECK (length(key) BETWEEN 1 AND 200),
  organization_id uuid NOT NULL,
  question text NOT NULL,
  schema jsonb NOT NULL,
  details jsonb,
  asked_at timestamptz NOT NULL DEFAULT now(),
  due_at timestamptz NOT NULL,
  value jsonb,
  answered_by text,
  answered_at timestamptz,
  timed_out_at timestamptz,
  PRIMARY KEY (job_id, key),
  CONSTRAINT job_questions_answer CHECK (
    (answered_at IS NULL) = (value IS NULL) AND (answered_at IS NULL) = (answered_by IS NULL)),
  CONSTRAINT job_questions_one_end CHECK (answered_at IS NULL OR timed_out_at IS NULL)
) PARTITION BY RANGE (job_id);
CREATE INDEX job_questions_due ON job_questions (due_at) WHERE answered_at IS NULL AND timed_out_at IS NULL;

-- Which child a job's call became: the key is the idempotency key, and the row is written with the child.
CREATE TABLE job_children (
  parent_id uuid NOT NULL,
  key text NOT NULL CONSTRAINT job_children_key CHECK (length(key) BETWEEN 1 AND 200),
  organization_id uuid NOT NULL,
  child_id uuid NOT NULL,
  position int NOT NULL,
  told boolean NOT NULL DEFAULT false,
  PRIMARY KEY (parent_id, key)
) PARTITION BY RANGE (parent_id);

-- The children that the dispatcher looks through: few, whatever the number of jobs.
CREATE INDEX jobs_open_children ON jobs (pool)
  WHERE parent_id IS NOT NULL AND state IN ('queued', 'running', 'waiting');

-- Every job below one, however deep.
CREATE FUNCTION jobs_below(top uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  WITH RECURSIVE tree AS (
    SELECT child_id FROM job_children WHERE parent_id = top
    UNION ALL SELECT job_children.child_id FROM tree JOIN job_children ON job_children.parent_id = tree.child_id
  )
  SELECT child_id FROM tree
$$;

-- What all jobs below one have cost.
CREATE FUNCTION jobs_cost_below(top uuid) RETURNS numeric LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT coalesce(sum(cost_usd), 0) FROM jobs WHERE id IN (SELECT jobs_below(top))
$$;

-- Tell a waiting parent which children have ended, and put it back in the queue after the last one. The caller holds
-- the parent's row; each statement here sees what was committed before it was locked.
CREATE FUNCTION jobs_tell_parent(parent uuid) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE ended record; before bigint;
BEGIN
  FOR ended IN
    SELECT link.key, child.id, child.state, child.reason, child.cost_usd + jobs_cost_below(child.id) AS cost_usd
    FROM job_children AS link JOIN jobs AS child ON child.id = link.child_id
    WHERE link.parent_id = parent AND NOT link.told AND child.finished_at IS NOT NULL
    ORDER BY child.finished_at, link.position
  LOOP
    UPDATE job_children SET told = true WHERE parent_id = parent AND key = ended.key;
    UPDATE jobs SET event_last = event_limit + 1, event_limit = event_limit + 1 WHERE id = parent
    RETURNING old.event_last INTO before;
    INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
    SELECT id, event_last, before, organization_id, 'child.finished', attempt, jsonb_build_object('key', ended.key,
      'job_id', typeid('job', ended.id), 'state', ended.state, 'reason', ended.reason,
      'cost_usd', ended.cost_usd::text)
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

-- A child has ended, whoever ended it. Its parent's row is locked, so that a parent that is just about to wait either
-- waits already when this looks, or looks itself after this has committed. Order of locks: the child, then its parent.
CREATE FUNCTION jobs_child_ended() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE parent record;
BEGIN
  SELECT state, reason INTO parent FROM jobs WHERE id = NEW.parent_id AND finished_at IS NULL FOR NO KEY UPDATE;
  IF parent.state = 'waiting' AND parent.reason = 'children' THEN
    PERFORM jobs_tell_parent(NEW.parent_id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_child_ended AFTER UPDATE OF state ON jobs FOR EACH ROW
  WHEN (NEW.parent_id IS NOT NULL AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
  EXECUTE FUNCTION jobs_child_ended();

-- A job waits for its children: perhaps all of them have ended meanwhile.
CREATE FUNCTION jobs_waits_for_children() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM jobs_tell_parent(NEW.id);
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_waits_for_children AFTER UPDATE OF state ON jobs FOR EACH ROW
  WHEN (NEW.state = 'waiting' AND NEW.reason = 'children' AND OLD.state = 'running')
  EXECUTE FUNCTION jobs_waits_for_children();

-- A child's call must fit under the cap of every job above it but the root, whose cap stands in the reservation. The
-- caller has locked the tree's reservation, so nothing else of the tree opens or settles a call meanwhile.
CREATE FUNCTION ledger_check_caps() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
CREATE TRIGGER open_calls_under_caps BEFORE INSERT ON open_calls FOR EACH ROW
  WHEN (NEW.job_id <> NEW.root_job_id AND NEW.bound_usd > 0) EXECUTE FUNCTION ledger_check_caps();

-- A reservation that opens with nothing in it is opened by a call: the tree may have spent before, and gave back what
-- it held when it stepped aside. Its cap counts from the beginning.
CREATE FUNCTION ledger_remember_tree() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  NEW.spent_usd := greatest(NEW.spent_usd,
    (SELECT cost_usd FROM jobs WHERE id = NEW.root_job_id) + jobs_cost_below(NEW.root_job_id));
  RETURN NEW;
END $$;
CREATE TRIGGER reservations_remember_tree BEFORE INSERT ON reservations FOR EACH ROW
  WHEN (NEW.held_usd = 0) EXECUTE FUNCTION ledger_remember_tree();

REVOKE ALL ON FUNCTION ledger_check_caps, ledger_remember_tree FROM PUBLIC;
