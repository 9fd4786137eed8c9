"""Failed jobs in groups: the same capability, the same reason."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from core.jobs.conditions import FAILED
from core.jobs.records import JobFilter
from core.jobs.repository import conditions, newest
from core.keys.principal import Principal
from core.kit.db import Executor

# The newest failures only: enough to see what goes wrong, whatever the number of jobs.
COUNTED_MAX = 2000
NEWER_MAX = 100

_GROUPS = """
WITH failed AS ({failed})
SELECT capability, coalesce(reason, state) AS reason, state, count(*) AS jobs, min(finished_at) AS first_at,
  max(finished_at) AS last_at
FROM failed GROUP BY 1, 2, 3 ORDER BY jobs DESC, last_at DESC LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Jobs that failed in the same way since some moment."""

    capability: str
    reason: str
    state: str
    jobs: int
    first_at: datetime
    last_at: datetime


def groups(
    executor: Executor, principal: Principal, where: JobFilter, since: datetime, limit: int = 8
) -> list[FailureGroup]:
    """How jobs that were submitted and failed after `since` failed, the most frequent way first."""
    clause, values = conditions(where, principal)
    failed = newest(
        "id, capability, reason, state::text AS state, finished_at",
        f"{clause} AND {FAILED} AND id >= uuid7_floor(CAST(:since AS timestamptz)) AND finished_at >= :since",
        "ORDER BY id DESC LIMIT :counted",
        where,
    )
    values |= {"since": since, "counted": COUNTED_MAX, "limit": limit}
    return [FailureGroup(*row) for row in executor.execute(text(_GROUPS.format(failed=failed)), values)]


def count_newer(executor: Executor, principal: Principal, where: JobFilter, after: UUID) -> int:
    """How many jobs of a listing are newer than the job `after`; at most `NEWER_MAX`."""
    clause, values = conditions(where, principal)
    newer = newest("", f"{clause} AND id > :after", "LIMIT :most", where)
    statement = text(f"SELECT count(*) FROM ({newer}) AS newer")
    return int(executor.execute(statement, {**values, "after": after, "most": NEWER_MAX}).scalar_one())
