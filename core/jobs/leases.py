"""The SQL of a running attempt: claim, heartbeat, persist events, end. Every statement but the claim is fenced.

The fence is the attempt's number: a statement that finds the job not ``running`` under that number changes nothing, and
the caller learns that it lost its lease.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.audit.actions import AuditAction
from core.capability import LeaseLost
from core.jobs.conditions import STATE_OF_NAMED
from core.jobs.records import Claim, Ended, Event, LeaseRenewal
from core.jobs.repository import COLUMNS, dump, to_record
from core.jobs.states import JobState, Reason, Transition
from core.jobs.trail import CALLER, SUBJECT, audited, subject_of
from core.keys.authority import CALLER_COLUMNS
from core.kit.data_classes import DataClass
from core.kit.db import Executor

# How many event ids an attempt may use before it must reserve more; deltas use one each.
EVENT_BLOCK = 100_000

# The event that raises a job's class.
CLASSIFIED = "job.classified"

WORKER = ("'worker'", "worker")

_CLAIM = text(f"""
WITH job AS (
  UPDATE jobs SET state = 'running', reason = NULL, error = NULL, attempt = attempt + 1, worker = :worker,
    lease_expires_at = now() + make_interval(secs => CAST(:lease_seconds AS float8)),
    started_at = coalesce(started_at, now()),
    event_last = event_limit + 1, event_limit = event_limit + {EVENT_BLOCK}
  WHERE id = :id AND {STATE_OF_NAMED} = 'queued' AND dispatched_at IS NOT NULL AND cancel_requested_at IS NULL
    AND (reason IS DISTINCT FROM 'worker_lost' OR CAST(:isolated AS boolean))
    AND (deadline_at IS NULL OR deadline_at > now())
  RETURNING jobs.*, old.event_last AS previous
), {audited(AuditAction.JOB_CLAIM, WORKER, subject=SUBJECT)}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, previous, organization_id, 'job.started', attempt, jsonb_build_object('attempt', attempt)
  FROM job
)
SELECT {COLUMNS}, input, input_ref, event_limit, previous, now() AS claimed_at, {CALLER_COLUMNS} FROM job
""")

_POOL_IF_LOST = text(
    f"SELECT pool FROM jobs WHERE id = :id AND {STATE_OF_NAMED} = 'queued' AND reason = 'worker_lost'"
    " AND dispatched_at IS NOT NULL AND cancel_requested_at IS NULL"
)

_RENEW = text(f"""
UPDATE jobs SET lease_expires_at = now() + make_interval(secs => CAST(:lease_seconds AS float8))
FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[])) AS held (id, attempt)
WHERE jobs.id = held.id AND jobs.attempt = held.attempt AND {STATE_OF_NAMED} = 'running'
RETURNING jobs.id, jobs.attempt, jobs.cancel_requested_at IS NOT NULL AS cancel_requested,
  coalesce(caller_standing(jobs.organization_id, jobs.key_id, jobs.submitted_by) @> '{{"ended": true}}', false)
    AS is_caller_gone
""")

_PERSIST = text(f"""
WITH job AS (
  UPDATE jobs SET event_last = CAST(:last AS bigint), event_limit = greatest(event_limit, CAST(:last AS bigint))
  WHERE id = :id AND attempt = :attempt AND {STATE_OF_NAMED} = 'running'
  RETURNING id, organization_id, attempt
)
INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
SELECT job.id, event.id, event.previous, job.organization_id, event.type, job.attempt, event.data
FROM job, unnest(CAST(:ids AS bigint[]), CAST(:previous AS bigint[]), CAST(:types AS text[]),
  CAST(:data AS json[])) AS event (id, previous, type, data)
RETURNING created_at
""")

_AUDIT_CLASS = audited(
    AuditAction.JOB_CLASSIFY,
    WORKER,
    subject=SUBJECT,
    detail="jsonb_build_object('from', class_before, 'to', data_class, 'because', CAST(:because AS text))",
)
_CLASSIFY = text(f"""
WITH job AS (
  UPDATE jobs SET data_class = greatest(data_class, CAST(:data_class AS data_class)),
    event_last = CAST(:event_id AS bigint), event_limit = greatest(event_limit, CAST(:event_id AS bigint))
  WHERE id = :id AND attempt = :attempt AND {STATE_OF_NAMED} = 'running'
  RETURNING jobs.*, old.data_class AS class_before
), {_AUDIT_CLASS}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, :previous, organization_id, :type, attempt, CAST(:data AS json) FROM job
)
SELECT data_class FROM job
""")

_MORE_IDS = text(
    f"UPDATE jobs SET event_limit = event_limit + {EVENT_BLOCK}"
    f" WHERE id = :id AND attempt = :attempt AND {STATE_OF_NAMED} = 'running' RETURNING event_limit"
)

_ENDED = audited(
    "CAST(:action AS text)",
    ("'worker'", "worker_before"),
    subject=SUBJECT,
    digest="result_digest",
    detail="jsonb_strip_nulls(jsonb_build_object('reason', reason,"
    " 'cost_usd', cost_text(cost_usd, usage_is_priced(usage))))",
)
_END = text(f"""
WITH job AS (
  UPDATE jobs SET state = CAST(:state AS job_state), reason = CAST(:reason AS text),
    error = CAST(:error AS jsonb), result = CAST(:result AS json), result_ref = :result_ref,
    result_digest = CAST(:result_digest AS bytea), disclosure = CAST(:disclosure AS jsonb),
    failures = failures + CAST(:failures AS int), outages = outages + CAST(:outages AS int),
    lease_expires_at = NULL, worker = NULL,
    dispatched_at = CASE WHEN CAST(:terminal AS boolean) THEN dispatched_at END,
    finished_at = CASE WHEN CAST(:terminal AS boolean) THEN now() END,
    run_at = CASE WHEN CAST(:delay_seconds AS float8) IS NULL THEN run_at
      ELSE now() + make_interval(secs => CAST(:delay_seconds AS float8)) END,
    event_last = CAST(:event_id AS bigint), event_limit = CAST(:event_id AS bigint)
  WHERE id = :id AND attempt = :attempt AND {STATE_OF_NAMED} = 'running'
  RETURNING jobs.*, old.worker AS worker_before
), {_ENDED}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, :previous, organization_id, :type, attempt, CAST(:data AS json) FROM job
)
SELECT CASE WHEN finished_at IS NOT NULL OR reason IN ('budget', 'input') THEN ledger_release(ARRAY[id]) END,
  finished_at, cost_usd, CASE WHEN CAST(:with_usage AS boolean) THEN usage END AS usage FROM job
""")

_RESUMED = audited(AuditAction.JOB_RESUME, CALLER, detail="jsonb_build_object('waited_for', CAST(:reason AS text))")
_RESUME = text(f"""
WITH job AS (
  UPDATE jobs SET state = 'queued', reason = NULL, error = NULL, run_at = now(), dispatched_at = NULL,
    event_last = event_limit + 1, event_limit = event_limit + 1
  WHERE id = :id AND {STATE_OF_NAMED} = 'waiting' AND reason = :reason
  RETURNING jobs.*, old.event_last AS previous
), {_RESUMED}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, previous, organization_id, 'job.queued', attempt,
    jsonb_build_object('resumed', CAST(:reason AS text))
  FROM job
)
SELECT {COLUMNS} FROM job
""")

_DELETE_CHECKPOINTS = (
    text("DELETE FROM job_checkpoint_writes WHERE job_id = :id"),
    text("DELETE FROM job_checkpoints WHERE job_id = :id"),
)


def claim(
    session: Executor, job_id: UUID, worker: str, lease_seconds: float, *, isolated: bool = False
) -> Claim | None:
    """Take a dispatched job, or None: the message was repeated, or the job was cancelled, expired or ended.

    A job whose last worker was lost is taken only by an isolated process (`isolated`), which runs nothing else: the job
    may have crashed that worker, and must not crash one that runs other jobs.
    """
    asked = {"worker": worker, "lease_seconds": lease_seconds, "isolated": isolated}
    row = session.execute(_CLAIM, {"id": job_id, "subject": subject_of(job_id), **asked}).one_or_none()
    if row is None:
        return None
    job = to_record(row)
    return Claim(
        job,
        row.input,
        row.input_ref,
        job.event_last,
        row.event_limit,
        row.previous,
        row.claimed_at,
        job.key_id,
        job.submitted_by,
        row.grants,
        row.standing,
    )


def pool_if_lost(session: Executor, job_id: UUID) -> str | None:
    """The job's pool, if it lost its last worker and waits for an isolated one."""
    pool: str | None = session.execute(_POOL_IF_LOST, {"id": job_id}).scalar_one_or_none()
    return pool


def renew(session: Executor, held: Sequence[tuple[UUID, int]], lease_seconds: float) -> list[LeaseRenewal]:
    """Extend the leases of (job id, attempt) pairs; a pair missing from the result has lost its lease."""
    # Children before their parents, as when a child's end wakes its parent: every process locks both in this order.
    ordered = sorted(held, reverse=True)
    rows = session.execute(
        _RENEW,
        {
            "ids": [job_id for job_id, _ in ordered],
            "attempts": [attempt for _, attempt in ordered],
            "lease_seconds": lease_seconds,
        },
    )
    return [LeaseRenewal(row.id, row.attempt, row.cancel_requested, row.is_caller_gone) for row in rows]


def persist_events(session: Executor, job_id: UUID, attempt: int, events: Sequence[Event]) -> None:
    """Write events of the attempt, in order. Raises `LeaseLost` when the attempt no longer owns the job."""
    rows = session.execute(
        _PERSIST,
        {
            "id": job_id,
            "attempt": attempt,
            "last": events[-1].id,
            "ids": [event.id for event in events],
            "previous": [event.previous for event in events],
            "types": [event.type for event in events],
            "data": [dump(event.data) for event in events],
        },
    ).all()
    if not rows:
        raise LeaseLost


def classify(session: Executor, event: Event, data_class: DataClass, because: str) -> None:
    """Raise the class of the running attempt's job, with its event and its audit record. Raises `LeaseLost`."""
    rows = session.execute(
        _CLASSIFY,
        {
            "id": event.job_id,
            "subject": subject_of(event.job_id),
            "attempt": event.attempt,
            "data_class": data_class,
            "because": because,
            "event_id": event.id,
            "previous": event.previous,
            "type": event.type,
            "data": dump(event.data),
        },
    ).all()
    if not rows:
        raise LeaseLost


def more_event_ids(session: Executor, job_id: UUID, attempt: int) -> int:
    """Reserve another block of event ids; returns the new upper bound. Raises `LeaseLost`."""
    limit = session.execute(_MORE_IDS, {"id": job_id, "attempt": attempt}).scalar_one_or_none()
    if limit is None:
        raise LeaseLost
    return int(limit)


def end(
    session: Executor,
    rule: Transition,
    event: Event,
    *,
    reason: str | None = None,
    error: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    result_ref: str | None = None,
    result_digest: bytes | None = None,
    disclosure: Mapping[str, Any] | None = None,
    counts_as_failure: bool = False,
    delay_seconds: float | None = None,
    with_usage: bool = False,
) -> Ended:
    """End the attempt by `rule`, in one statement with its last event, its audit record and the release of its money.

    Raises `LeaseLost`.
    """
    terminal = rule.target not in {JobState.QUEUED, JobState.WAITING}
    rows = session.execute(
        _END,
        {
            "id": event.job_id,
            "subject": subject_of(event.job_id),
            "attempt": event.attempt,
            "state": rule.target.value,
            "reason": reason,
            "error": dump(error),
            "result": dump(result),
            "result_ref": result_ref,
            "result_digest": result_digest,
            "disclosure": dump(disclosure),
            "action": f"worker:job:{rule.name}",
            "failures": int(counts_as_failure),
            "outages": int(reason == Reason.DEPENDENCY_UNAVAILABLE),
            "terminal": terminal,
            "delay_seconds": delay_seconds,
            "event_id": event.id,
            "previous": event.previous,
            "type": event.type,
            "data": dump(event.data),
            "with_usage": with_usage,
        },
    ).all()
    if not rows:
        raise LeaseLost
    [row] = rows
    return Ended(rule.target, reason, row.finished_at, row.cost_usd, row.usage or ())


def delete_checkpoints(session: Executor, job_id: UUID) -> None:
    """Delete the checkpoints of a job that has ended: nothing will resume from them."""
    for statement in _DELETE_CHECKPOINTS:
        session.execute(statement, {"id": job_id})


def resume(session: Executor, job_id: UUID, reason: str, actor: Mapping[str, str | None]) -> bool:
    """Put a job that waits for `reason` back in the queue; False when it no longer waits for that.

    `actor` is the result of `core.jobs.trail.actor_parameters`.
    """
    return session.execute(_RESUME, {"id": job_id, "reason": reason, **actor}).one_or_none() is not None
