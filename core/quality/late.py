"""Ratings of a job after it has ended: they replace the earlier ones."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.quality import repository
from core.quality.repository import Measured
from core.quality.signals import Signal, Value

_SIGNALS = (Signal.FEEDBACK, Signal.LABELED_GOOD, Signal.JUDGED_GOOD)
# A row that is being written now is left for the next round: its rating is not committed yet.
_TAKE = text("""
DELETE FROM quality_pending WHERE job_id IN (
  SELECT job_id FROM quality_pending ORDER BY job_id LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING job_id
""")
_RATINGS = text("""
SELECT job_id, 'feedback' AS signal, avg(score)::float8 AS score FROM job_feedback
WHERE job_id = ANY(CAST(:ids AS uuid[])) GROUP BY job_id
UNION ALL
SELECT job_id, CASE WHEN is_judge THEN 'judged_good' ELSE 'labeled_good' END, avg((verdict = 'good')::int)::float8
FROM quality_labels WHERE job_id = ANY(CAST(:ids AS uuid[])) AND verdict <> 'unsure' GROUP BY job_id, is_judge
ORDER BY job_id, signal
""")


def take_pending(session: Session, limit: int) -> list[UUID]:
    """Take at most `limit` jobs with new ratings off the pending list."""
    return list(session.execute(_TAKE, {"limit": limit}).scalars())


def replace(session: Session, ids: Sequence[UUID]) -> list[Measured]:
    """Write the ratings of these jobs again; returns the signals that are new.

    A job without signals has not been read yet: its rating is then read with everything else.
    """
    contexts = repository.contexts_of(session, ids)
    if not contexts:
        return []
    before = {(each.context.job_id, each.value.signal) for each in repository.remove(session, [*contexts], _SIGNALS)}
    scores = session.execute(_RATINGS, {"ids": [*contexts]})
    measured = [Measured(contexts[row.job_id], Value(Signal(row.signal), row.score)) for row in scores]
    repository.insert(session, measured)
    return [each for each in measured if (each.context.job_id, each.value.signal) not in before]
