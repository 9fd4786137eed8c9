"""The SQL that makes restored jobs ready to resume: the workers and messages of the original installation are gone.

Works across organizations, as ``waybill_system``; run it once, before any process of Waybill writes.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.jobs.states import Reason
from core.jobs.trail import audited

# After the backup the lost installation may have issued further ids of a job's events, to streams that will resume from
# them: new ids must come after those. Far more than any attempt takes, and 2^53 is far above it.
EVENT_IDS_SKIPPED = 1_000_000_000

# No attempt counts as failed: nothing was wrong with it, and one more may exceed the limit.
_REQUEUE = text(f"""
WITH job AS (
  UPDATE jobs SET state = 'queued', reason = '{Reason.WORKER_STOPPED}', dispatched_at = NULL, lease_expires_at = NULL,
    worker = NULL, event_last = event_limit + {EVENT_IDS_SKIPPED}, event_limit = event_limit + {EVENT_IDS_SKIPPED}
  WHERE state = 'running'
  RETURNING jobs.*, old.event_last AS previous
), {audited(AuditAction.JOB_RECOVER, ("'system'", "NULL"), detail="jsonb_build_object('reason', reason)")}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, previous, organization_id, 'job.queued', attempt,
    jsonb_build_object('reason', reason, 'attempt', attempt)
  FROM job RETURNING 1
)
SELECT count(*) FROM event
""")
_MAKE_DUE = text(f"""
UPDATE jobs SET dispatched_at = NULL, event_limit = event_limit + {EVENT_IDS_SKIPPED}
WHERE state IN ('queued', 'waiting')
""")


def requeue(session: Session) -> tuple[int, int]:
    """Put running jobs back in the queue and make queued ones due again; returns how many ran and how many waited."""
    waited = session.execute(_MAKE_DUE).rowcount  # type: ignore[attr-defined]
    return int(session.execute(_REQUEUE).scalar_one()), waited
