"""The SQL of the dispatcher: what is due, what is in flight, whose lease or deadline has passed.

Works across organizations, as ``waybill_system``. Limits are counted on rows under a lock, never on a window of ids: a
row that committed late is counted the next time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.jobs.conditions import ACTIVE, DUE, IN_FLIGHT, OPEN_QUESTION, STATE_OF_NAMED
from core.jobs.records import Event
from core.jobs.states import Reason
from core.jobs.trail import DISPATCHER, audited
from core.kit.db import AVOID_SCANS, Executor, Step, execute_all

# One lock for every dispatch decision: a project's limit spans pools, so two pools may not count at the same time.
_DISPATCH_LOCK = 7_201_947

# No read under the lock justifies parallel workers, which cost milliseconds to start: the planner estimates the few
# rows in flight at a third of the table.
# A round that a crash of Postgres takes back leaves its jobs due, and messages that claim nothing; a claim that is kept
# keeps the round before it. So nothing waits until a round is on disk.
_LOCK = text(
    f"{AVOID_SCANS.text}, set_config('max_parallel_workers_per_gather', '0', true),"
    f" set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock({_DISPATCH_LOCK})"
)

# How many of a project's oldest due jobs are searched for keys with room once one key is at its limit.
_LOOK_PAST = 1000

# A skip scan: one index probe per (priority, project) that has anything due, however long its backlog is. A key at its
# limit is skipped, so that it does not block the project's other keys. The room is counted here too, so that a round
# need not know it before it asks.
_DUE = text(f"""
WITH RECURSIVE free AS (
  SELECT greatest(CAST(:window AS bigint) - count(*), 0) AS jobs FROM jobs WHERE pool = :pool AND ({IN_FLIGHT})
), heads AS (
  (SELECT priority, project_id FROM jobs WHERE pool = :pool AND {DUE} AND (SELECT jobs FROM free) > 0
    ORDER BY priority, project_id LIMIT 1)
  UNION ALL
  SELECT next.priority, next.project_id FROM heads CROSS JOIN LATERAL (
    SELECT priority, project_id FROM jobs
    WHERE pool = :pool AND {DUE} AND (priority, project_id) > (heads.priority, heads.project_id)
    ORDER BY priority, project_id LIMIT 1) AS next
)
SELECT job.id, heads.priority, heads.project_id, coalesce(projects.weight, 1) AS weight, projects.max_concurrent_jobs,
  job.organization_id, job.key_id
FROM heads LEFT JOIN projects ON projects.id = heads.project_id
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT id, run_at, organization_id, key_id FROM jobs
    WHERE pool = :pool AND {DUE} AND priority = heads.priority AND project_id = heads.project_id
      AND run_at <= now() AND cancel_requested_at IS NULL
    ORDER BY run_at, id
    LIMIT CASE WHEN heads.project_id = ANY(CAST(:shared AS uuid[])) THEN {_LOOK_PAST} ELSE (SELECT jobs FROM free) END
  ) AS oldest
  WHERE key_id IS NULL OR key_id <> ALL(CAST(:full_keys AS uuid[]))
  ORDER BY run_at, id LIMIT (SELECT jobs FROM free)) AS job
ORDER BY heads.priority, heads.project_id, job.run_at, job.id
""")

# One index probe per pool. The index also holds jobs due later: the due time is checked under the lock.
_POOLS_WITH_DUE = text(f"""
SELECT pool FROM unnest(CAST(:pools AS text[])) AS pool
WHERE (SELECT true FROM jobs WHERE jobs.pool = pool.pool AND {DUE} LIMIT 1)
""")

_UNCLAIMED_LONG = "dispatched_at < now() - make_interval(secs => CAST(:older_than_seconds AS float8))"

# One index probe per pool and reason to sweep it; if none of these matches, no statement of a sweep finds a job. Passed
# deadlines and questions are few, whatever their pools. Of the rows in flight all are read: an index on the lease would
# make its renewal write to every index of the table.
_POOLS_TO_SWEEP = text(
    "SELECT pool FROM unnest(CAST(:pools AS text[])) AS pool WHERE "
    + " OR ".join(
        f"(SELECT true FROM jobs WHERE jobs.pool = pool.pool AND {condition} LIMIT 1)"
        for condition in (
            f"({IN_FLIGHT}) AND (lease_expires_at < now() OR state = 'queued' AND {_UNCLAIMED_LONG})",
            "cancel_requested_at IS NOT NULL AND state IN ('queued', 'running')",
            f"state = 'waiting' AND reason = '{Reason.BUDGET}'",
            f"parent_id IS NOT NULL AND {ACTIVE}",
            f"{ACTIVE} AND deadline_at < now()",
        )
    )
    + f" OR (SELECT true FROM job_questions WHERE {OPEN_QUESTION} AND due_at <= now() LIMIT 1)"
)

# About as many rows as there are workers; an index-only scan.
_IN_FLIGHT = text(f"""
SELECT pool, organization_id, project_id, key_id, count(*) AS jobs FROM jobs WHERE {IN_FLIGHT}
GROUP BY pool, organization_id, project_id, key_id
""")
# A key whose limit is zero has nothing in flight to find it by.
_CONCURRENCY = text("""
SELECT limits.scope, limits.scope_id, limits.value, api_keys.project_id
FROM limits LEFT JOIN api_keys ON limits.scope = 'key' AND api_keys.id = limits.scope_id
WHERE kind = 'concurrent_jobs'
""")

_MARK = text(
    "UPDATE jobs SET dispatched_at = now()"
    f" WHERE id = ANY(CAST(:ids AS uuid[])) AND {STATE_OF_NAMED} = 'queued' AND dispatched_at IS NULL"
    " RETURNING id, organization_id, project_id, capability, pool, traceparent, run_at"
)
_UNMARK = text(
    "UPDATE jobs SET dispatched_at = NULL"
    f" WHERE id = ANY(CAST(:ids AS uuid[])) AND {STATE_OF_NAMED} = 'queued' AND dispatched_at IS NOT NULL RETURNING id"
)
_UNCLAIMED = text(f"SELECT id FROM jobs WHERE pool = :pool AND state = 'queued' AND {_UNCLAIMED_LONG} LIMIT 10000")
_UNMARK_POOL = text(
    "UPDATE jobs SET dispatched_at = NULL WHERE pool = :pool AND state = 'queued' AND dispatched_at IS NOT NULL"
)

_TO_EVENT = "job_id, id, previous, type, attempt, data, created_at"


# An array and a scalar subquery always become key lookups, whatever the statistics; IN, a join and EXISTS may become a
# hash of every job.
_IS_FOUND = "jobs.id = ANY(ARRAY(SELECT id FROM found))"

# A child's end wakes its parent, for which the parent's row is needed. It is locked without waiting; if that fails, the
# child is left for the next sweep. A parent that has ended or is gone is not woken and needs no lock.
_PARENTS = """parents AS (
  SELECT id FROM jobs WHERE id = ANY(ARRAY(SELECT parent_id FROM found WHERE parent_id IS NOT NULL))
  ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)"""
_PARENT_IS_HELD = """(jobs.parent_id IS NULL OR jobs.parent_id IN (SELECT id FROM parents)
    OR coalesce((SELECT finished_at IS NOT NULL FROM jobs AS parent WHERE parent.id = jobs.parent_id), true))"""


def _sweep(action: AuditAction, condition: str, outcome: str, event_type: str, event_data: str) -> str:
    """A sweep locks its rows in key order and skips locked ones, so it never waits and never deadlocks."""
    return f"""
WITH found AS (
  SELECT id, parent_id FROM jobs WHERE pool = :pool AND {condition} ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
), {_PARENTS}, job AS (
  UPDATE jobs SET {outcome}, lease_expires_at = NULL, worker = NULL,
    event_last = event_limit + 1, event_limit = event_limit + 1
  WHERE {_IS_FOUND} AND {_PARENT_IS_HELD}
  RETURNING jobs.*, old.event_last AS previous
), {audited(action, DISPATCHER, detail="jsonb_build_object('reason', reason)")}, released AS (
  SELECT ledger_release(array_agg(id)) AS done FROM job WHERE finished_at IS NOT NULL HAVING count(*) > 0
), event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, previous, organization_id, '{event_type}', attempt, {event_data} FROM job
  RETURNING {_TO_EVENT}
)
SELECT {_TO_EVENT}, (SELECT count(done) FROM released) FROM event
"""


_LEASE_OVER = "state = 'running' AND lease_expires_at < now()"
_EXPIRE = text(
    _sweep(
        AuditAction.JOB_EXPIRE,
        f"{ACTIVE} AND deadline_at < now()",
        # A job that an outage delayed until its end reports that, and keeps the error that names the dependency.
        f"state = 'expired', finished_at = now(), reason = CASE WHEN state = 'queued'"
        f" AND reason = '{Reason.DEPENDENCY_UNAVAILABLE}' THEN reason ELSE '{Reason.DEADLINE}' END",
        "job.expired",
        "jsonb_strip_nulls(jsonb_build_object('reason', reason, 'error', error))",
    )
)
_STOP = text(
    _sweep(
        AuditAction.JOB_STOP,
        f"(({_LEASE_OVER}) OR state = 'queued') AND cancel_requested_at IS NOT NULL",
        f"state = 'cancelled', reason = '{Reason.CANCELLED_BY_CLIENT}', finished_at = now()",
        "job.cancelled",
        "jsonb_build_object('reason', reason)",
    )
)
_RECOVER = text(
    _sweep(
        AuditAction.JOB_RECOVER,
        f"{_LEASE_OVER} AND failures + 1 < max_attempts",
        f"state = 'queued', reason = '{Reason.WORKER_LOST}', failures = failures + 1, dispatched_at = NULL,"
        " run_at = now()",
        "job.queued",
        "jsonb_build_object('reason', reason, 'attempt', attempt)",
    )
)
_ABANDON = text(
    _sweep(
        AuditAction.JOB_ABANDON,
        f"{_LEASE_OVER} AND failures + 1 >= max_attempts",
        f"state = 'failed', reason = '{Reason.WORKER_LOST}', failures = failures + 1, finished_at = now(),"
        " error = jsonb_build_object('code', 'worker_lost', 'message', 'the worker was lost at every attempt, and the"
        " job had the last ones to itself: it probably needs more memory than there is, or crashes its process')",
        "job.failed",
        "jsonb_build_object('reason', reason, 'error', error)",
    )
)

_TIMED_OUT = "jsonb_build_object('waited_for', 'input', 'timed_out', true)"

# The amount a paused job needs was recorded when it was refused; it resumes when every hard budget has room for that:
# topped up, archived, or in its next period.
_AFFORDABLE = text(f"""
WITH found AS (
  SELECT id FROM jobs
  WHERE pool = :pool AND state = 'waiting' AND reason = '{Reason.BUDGET}'
    AND NOT EXISTS (
      SELECT FROM budgets LEFT JOIN budget_balances AS balance
        ON balance.budget_id = budgets.id AND balance.period_start = ledger_period_start(budgets.period, now())
      WHERE budgets.organization_id = jobs.organization_id AND budgets.archived_at IS NULL AND budgets.hard
        AND budgets.scope_id IN (jobs.organization_id, jobs.project_id, jobs.key_id)
        AND coalesce(balance.spent_usd + balance.reserved_usd, 0) + CAST(jobs.error ->> 'wanted_usd' AS numeric)
          - coalesce((SELECT held_usd - committed_usd FROM reservations WHERE root_job_id = jobs.root_id), 0)
          > budgets.limit_usd)
  ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
), job AS (
  UPDATE jobs SET state = 'queued', reason = NULL, error = NULL, run_at = now(), dispatched_at = NULL,
    event_last = event_limit + 1, event_limit = event_limit + 1
  WHERE {_IS_FOUND}
  RETURNING jobs.*, old.event_last AS previous
), {audited(AuditAction.JOB_RESUME, DISPATCHER, detail="jsonb_build_object('waited_for', 'budget')")}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, previous, organization_id, 'job.queued', attempt, jsonb_build_object('resumed', 'budget')
  FROM job
  RETURNING {_TO_EVENT}
)
SELECT {_TO_EVENT} FROM event
""")

# A question that has timed out: the job resumes without an answer.
_UNANSWERED = text(f"""
WITH found AS (
  SELECT id FROM jobs WHERE pool = :pool AND {STATE_OF_NAMED} = 'waiting' AND reason = '{Reason.INPUT}'
    AND id = ANY(ARRAY(SELECT job_id FROM job_questions WHERE {OPEN_QUESTION} AND due_at <= now()))
  ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
), closed AS (
  UPDATE job_questions SET timed_out_at = now() FROM found
  WHERE job_questions.job_id = found.id AND {OPEN_QUESTION} AND due_at <= now()
  RETURNING job_id
), job AS (
  UPDATE jobs SET state = 'queued', reason = NULL, error = NULL, run_at = now(), dispatched_at = NULL,
    event_last = event_limit + 1, event_limit = event_limit + 1
  WHERE {_IS_FOUND} AND jobs.id IN (SELECT job_id FROM closed)
  RETURNING jobs.*, old.event_last AS previous
), {audited(AuditAction.JOB_RESUME, DISPATCHER, detail=_TIMED_OUT)}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, previous, organization_id, 'job.queued', attempt,
    jsonb_build_object('resumed', 'input', 'timed_out', true)
  FROM job
  RETURNING {_TO_EVENT}
)
SELECT {_TO_EVENT} FROM event
""")

# No one waits for the child of a job that has ended, or was asked to end.
_PARENT_IS_ENDING = """(SELECT parent.finished_at IS NOT NULL OR parent.cancel_requested_at IS NOT NULL
  FROM jobs AS parent WHERE parent.id = jobs.parent_id)"""
_ORPHANED = text(
    _sweep(
        AuditAction.JOB_STOP,
        f"parent_id IS NOT NULL AND {ACTIVE} AND state <> 'running' AND {_PARENT_IS_ENDING}",
        f"state = 'cancelled', reason = '{Reason.PARENT_ENDED}', finished_at = now(), cancel_requested_at = now()",
        "job.cancelled",
        "jsonb_build_object('reason', reason)",
    )
)
_STOP_ORPHANS = text(f"""
WITH found AS (
  SELECT id FROM jobs WHERE pool = :pool AND parent_id IS NOT NULL AND {ACTIVE} AND state = 'running'
    AND cancel_requested_at IS NULL AND {_PARENT_IS_ENDING}
  ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET cancel_requested_at = now() WHERE {_IS_FOUND} RETURNING jobs.id
""")

_DEPTH = text(f"""
SELECT pool, state::text AS state, count(*) AS jobs,
  coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'queued' AND run_at <= now())), 0)
    AS wait_seconds
FROM jobs WHERE {ACTIVE} GROUP BY pool, state
""")

_DELETE_IDEMPOTENCY = text(
    "DELETE FROM idempotency_keys WHERE (project_id, key) IN"
    " (SELECT project_id, key FROM idempotency_keys WHERE expires_at < now() LIMIT 1000)"
)


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that may be dispatched, with the owner's ids that fairness needs."""

    id: UUID
    priority: int
    project_id: UUID
    weight: int
    max_concurrent_jobs: int | None
    organization_id: UUID
    key_id: UUID | None


@dataclass(frozen=True, slots=True)
class DispatchedJob:
    """A job that was handed to the broker, with the facts that its trace records."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    capability: str
    pool: str
    traceparent: str | None
    run_at: datetime


@dataclass(frozen=True, slots=True)
class InFlight:
    """Jobs that are dispatched or running: by pool, and by the id of each organization, project and key."""

    of_pool: Counter[str]
    of_scope: Counter[UUID]


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many jobs organizations, projects and keys may have in flight, by their ids, where a limit is set."""

    limits: Mapping[UUID, int]
    project_of_key: Mapping[UUID, UUID]

    def full_keys(self, flying: InFlight) -> dict[UUID, UUID]:
        """The keys at their limit, with their projects."""
        return {key: own for key, own in self.project_of_key.items() if flying.of_scope[key] >= self.limits[key]}


@dataclass(frozen=True, slots=True)
class Round:
    """What a round begins with. `limits` and `due` are None where they were not asked for."""

    in_flight: InFlight
    limits: Concurrency | None
    due: list[DueJob] | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of a pool are in a state, and how long the oldest due one has waited."""

    pool: str
    state: str
    jobs: int
    wait_seconds: float


def open_round(executor: Executor, *, with_limits: bool, asks: Step | None = None) -> Round:
    """Make this transaction the only one that makes dispatch decisions until it ends, and count the jobs in flight.

    Includes a lost worker's jobs until the sweep acts. `with_limits`, the concurrency limits are read too; `asks`, the
    result of `due_step`, is asked in the same round trip.
    """
    steps: list[Step] = [(_LOCK, {}), (_IN_FLIGHT, {})]
    if with_limits:
        steps.append((_CONCURRENCY, {}))
    if asks is not None:
        steps.append(asks)
    _, flying, *others = execute_all(executor, steps)
    limits = _concurrency(others.pop(0)) if with_limits else None
    return Round(_in_flight(flying), limits, _due_jobs(others[0]) if others else None)


def pools_with_due(executor: Executor, pools: Collection[str]) -> set[str]:
    """Those of `pools` that hold jobs to dispatch, now or later."""
    return set(executor.execute(_POOLS_WITH_DUE, {"pools": sorted(pools)}).scalars())


def pools_to_sweep(executor: Executor, pools: Collection[str], unclaimed_seconds: float) -> set[str]:
    """Those of `pools` in which `sweep`, `stop_orphans` or, given the same age, `unclaimed` may find something."""
    asked = {"pools": sorted(pools), "older_than_seconds": unclaimed_seconds}
    return set(executor.execute(_POOLS_TO_SWEEP, asked).scalars())


def due_step(pool: str, window: int, full_keys: Mapping[UUID, UUID] = MappingProxyType({})) -> Step:
    """The statement for the due jobs for which a window of so many jobs in flight has room.

    So many of each priority and project, the most urgent and oldest first. Jobs of `full_keys`, given with the keys'
    projects, are left out.
    """
    keys, projects = sorted(full_keys), sorted(set(full_keys.values()))
    return _DUE, {"pool": pool, "window": window, "full_keys": keys, "shared": projects}


def due(
    executor: Executor, pool: str, window: int, full_keys: Mapping[UUID, UUID] = MappingProxyType({})
) -> list[DueJob]:
    """The jobs that `due_step` asks for."""
    return _due_jobs(executor.execute(*due_step(pool, window, full_keys)))


def _due_jobs(rows: Iterable[Row[Any]]) -> list[DueJob]:
    return [DueJob(*tuple(row)) for row in rows]


def _in_flight(rows: Iterable[Row[Any]]) -> InFlight:
    found = InFlight(Counter(), Counter())
    for row in rows:
        found.of_pool[row.pool] += row.jobs
        for scope_id in {row.organization_id, row.project_id, row.key_id} - {None}:
            found.of_scope[scope_id] += row.jobs
    return found


def _concurrency(rows: Iterable[Row[Any]]) -> Concurrency:
    limits, project_of_key = {}, {}
    for row in rows:
        limits[row.scope_id] = int(row.value)
        if row.project_id is not None:
            project_of_key[row.scope_id] = row.project_id
    return Concurrency(limits, project_of_key)


def mark(executor: Executor, ids: Sequence[UUID]) -> list[DispatchedJob]:
    """Mark due jobs as handed to the broker; returns those that were still due."""
    return [DispatchedJob(*tuple(row)) for row in executor.execute(_MARK, {"ids": sorted(ids)})]


def mark_dispatched(session: Session, ids: Sequence[UUID]) -> list[UUID]:
    """`mark`; returns ids."""
    return [job.id for job in mark(session, ids)]


def unmark_dispatched(session: Session, ids: Sequence[UUID]) -> int:
    """Make jobs whose message is gone due again; returns how many."""
    session.execute(AVOID_SCANS)
    return len(session.execute(_UNMARK, {"ids": sorted(ids)}).all())


def unmark_pool(session: Session, pool: str) -> int:
    """Make every dispatched, unclaimed job of a pool due again: the broker lost its data."""
    return session.execute(_UNMARK_POOL, {"pool": pool}).rowcount  # type: ignore[attr-defined, no-any-return]


def unclaimed(executor: Executor, pool: str, older_than_seconds: float) -> list[UUID]:
    """Jobs that were dispatched at least that long ago and that no worker has claimed."""
    return list(executor.execute(_UNCLAIMED, {"pool": pool, "older_than_seconds": older_than_seconds}).scalars())


def sweep(session: Session, pool: str) -> list[Event]:
    """End or requeue jobs by deadline, unseen cancellation or lost lease; resume jobs whose budget has room again.

    Returns the persisted events.
    """
    session.execute(AVOID_SCANS)
    return [
        Event(*tuple(row)[:7])
        for statement in (_EXPIRE, _STOP, _RECOVER, _ABANDON, _AFFORDABLE, _UNANSWERED, _ORPHANED)
        for row in session.execute(statement, {"pool": pool})
    ]


def stop_orphans(session: Session, pool: str) -> list[UUID]:
    """Ask running jobs to stop when their parent has ended, or was asked to stop; returns them."""
    session.execute(AVOID_SCANS)
    return list(session.execute(_STOP_ORPHANS, {"pool": pool}).scalars())


def depths(session: Session) -> list[Depth]:
    """The open jobs of every pool by state."""
    return [Depth(row.pool, row.state, row.jobs, float(row.wait_seconds)) for row in session.execute(_DEPTH)]


def database_now(session: Session) -> datetime:
    """The database's clock."""
    return session.execute(text("SELECT clock_timestamp()")).scalar_one()  # type: ignore[no-any-return]


def delete_idempotency_keys(session: Session) -> int:
    """Delete expired idempotency keys, a small batch at a time; returns how many."""
    return session.execute(_DELETE_IDEMPOTENCY).rowcount  # type: ignore[attr-defined, no-any-return]


def ensure_partitions(session: Session, months_ahead: int = 2) -> int:
    """Create the partitions of the coming months; returns how many were missing."""
    return int(session.execute(text("SELECT ensure_partitions(:ahead)"), {"ahead": months_ahead}).scalar_one())
