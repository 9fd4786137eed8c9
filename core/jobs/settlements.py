"""Settles a model call and emits its cost to the client in one statement: neither happens without the other."""

from typing import Any

from sqlalchemy import text

from core.jobs.records import Event
from core.jobs.repository import dump
from core.kit.db import Executor
from core.ledger.records import CallIdentity, Settlement
from core.ledger.repository import settlement_of

# The job's row is locked before its reservation, as everywhere. The call is metered whichever attempt owns the job by
# now; the event belongs to this attempt, and is persisted only while it owns the job.
_SETTLE = text("""
WITH job AS (
  SELECT id, attempt = :attempt AND state = 'running' AS is_owned FROM jobs WHERE id = :job FOR NO KEY UPDATE
), settled AS (
  SELECT ledger_settle_call(:job, :attempt, :call, :amount, CAST(:quantities AS jsonb), CAST(:amounts AS jsonb),
    CAST(:price_ids AS uuid[]), :estimated, :reason) AS changed
  FROM (SELECT count(*) FROM job) AS locked
), noted AS (
  UPDATE jobs SET
    cost_usd = cost_usd + CASE WHEN settled.changed THEN CAST(:amount AS numeric) ELSE 0 END,
    usage = CASE WHEN settled.changed THEN usage || CAST(:line AS jsonb) ELSE usage END,
    event_last = CASE WHEN job.is_owned THEN CAST(:event AS bigint) ELSE event_last END,
    event_limit = CASE WHEN job.is_owned THEN greatest(event_limit, CAST(:event AS bigint)) ELSE event_limit END
  FROM settled, job WHERE jobs.id = :job AND job.id = :job
  RETURNING jobs.id, jobs.organization_id, jobs.attempt, job.is_owned
)
INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
SELECT id, :event, :previous, organization_id, :type, attempt, CAST(:data AS json) FROM noted WHERE is_owned
RETURNING id
""")


def settle_call(
    executor: Executor, call: CallIdentity, settlement: Settlement, line: dict[str, Any], event: Event
) -> bool:
    """`core.ledger.service.settle_call`, with `event` persisted in the same statement.

    False when another attempt owns the job by now: the call is settled all the same, but no event is persisted.
    """
    rows = executor.execute(
        _SETTLE,
        {
            **settlement_of(call, settlement, line),
            "event": event.id,
            "previous": event.previous,
            "type": event.type,
            "data": dump(event.data),
        },
    ).all()
    return bool(rows)
