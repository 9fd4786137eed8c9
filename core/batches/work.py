"""The dispatcher's SQL of batches: finding open ones, settling, feeding, ending.

A process that works on a batch holds its advisory lock until the transaction ends and, where counts change, its row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.batches.records import BatchState, LineProblem
from core.jobs.repository import COSTS_BELOW, dump
from core.jobs.states import Priority
from core.keys.authority import CALLER_COLUMNS, act_for
from core.keys.principal import Principal
from core.kit.db import Executor

_LOCK_SPACE = 7_201_954
_OPEN_MAX = 500
SETTLED_AT_ONCE = 500

_ANY_OPEN = text("SELECT EXISTS (SELECT FROM batches WHERE finished_at IS NULL)")
_OPEN = text(
    "SELECT id, organization_id FROM batches WHERE finished_at IS NULL AND state = ANY(CAST(:states AS text[]))"
    f" ORDER BY id LIMIT {_OPEN_MAX}"
)
_TAKE = text(f"SELECT pg_try_advisory_xact_lock({_LOCK_SPACE}, hashtext(CAST(CAST(:id AS uuid) AS text)))")
_READ = f"""
SELECT id, organization_id, project_id, {CALLER_COLUMNS}, state, capability, allowed, priority, max_cost_usd,
  max_line_cost_usd, deadline_at, metadata, input_file_id, total, succeeded + failed + cancelled + expired AS settled,
  cost_usd AS spent_usd, outcome, results_file_id, traceparent, delayed_reason,
  coalesce(deadline_at <= now(), false) AS is_late, next_feed_at <= now() AS is_due
FROM batches WHERE id = :id AND organization_id = :organization_id
"""
_READ_PLAIN = text(_READ)
_READ_LOCKED = text(f"{_READ} FOR NO KEY UPDATE")

# A job that has ended may still cost something: a call that a killed worker left open, or a child that still runs. It
# is settled when nothing can add cost any more: no reservation, no open call, no open child. Its row is locked against
# a concurrent correction, and a row that is being changed at this moment is left for the next round.
_SETTLE = text(f"""
WITH ended AS (
  SELECT line.line, jobs.state, jobs.cost_usd + coalesce(below_usd, 0) AS spent,
    usage_is_priced(jobs.usage) AND coalesce(below_priced, true) AS priced
  FROM batch_lines AS line JOIN jobs ON jobs.id = line.job_id {COSTS_BELOW}
  WHERE line.batch_id = :id AND line.state = 'live' AND jobs.finished_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM reservations WHERE root_job_id = jobs.id)
    AND NOT EXISTS (SELECT FROM open_calls WHERE root_job_id = jobs.id)
    AND NOT EXISTS (SELECT FROM jobs AS child WHERE child.parent_id = jobs.id AND child.finished_at IS NULL)
  ORDER BY line.line LIMIT {SETTLED_AT_ONCE} FOR SHARE OF jobs SKIP LOCKED
), settled AS (
  UPDATE batch_lines SET cost_usd = ended.spent, priced = ended.priced,
    state = CASE ended.state WHEN 'rejected' THEN 'failed' ELSE ended.state::text END
  FROM ended WHERE batch_lines.batch_id = :id AND batch_lines.line = ended.line
  RETURNING batch_lines.state, batch_lines.cost_usd, batch_lines.priced
)
UPDATE batches SET succeeded = batches.succeeded + counted.succeeded, failed = batches.failed + counted.failed,
  cancelled = batches.cancelled + counted.cancelled, expired = batches.expired + counted.expired,
  cost_usd = batches.cost_usd + counted.spent, priced = batches.priced AND counted.priced
FROM (
  SELECT count(*) AS lines, count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
    count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE state = 'expired') AS expired, coalesce(sum(cost_usd), 0) AS spent,
    bool_and(priced) AS priced
  FROM settled
) AS counted
WHERE id = :id AND counted.lines > 0 RETURNING counted.lines
""")

_LIVE = text(
    "SELECT count(*) AS lines, coalesce(sum(cap_usd), 0) AS caps_usd FROM batch_lines"
    " WHERE batch_id = :id AND state = 'live'"
)
_NEXT = text(
    "SELECT line, capability, input, metadata FROM batch_lines WHERE batch_id = :id AND state = 'queued'"
    " ORDER BY line LIMIT :limit"
)
_GIVE = text("""
UPDATE batch_lines SET state = 'live', job_id = given.job_id, cap_usd = given.cap_usd, input = NULL
FROM unnest(CAST(:lines AS int[]), CAST(:job_ids AS uuid[]), CAST(:caps AS numeric[])) AS given (line, job_id, cap_usd)
WHERE batch_id = :id AND batch_lines.line = given.line AND state = 'queued'
RETURNING batch_lines.line
""")
_FAIL_LINE = text("""
WITH ended AS (
  UPDATE batch_lines SET state = 'failed', error = CAST(:error AS jsonb), input = NULL
  WHERE batch_id = :id AND line = :line AND state = 'queued' RETURNING 1
)
UPDATE batches SET failed = failed + 1 FROM ended WHERE id = :id
""")
_DELAY = text("""
UPDATE batches SET delayed_reason = :reason,
  next_feed_at = now() + make_interval(secs => CAST(:seconds AS float8)) WHERE id = :id
""")
_FINALIZE = text(
    "UPDATE batches SET state = 'finalizing', outcome = :outcome, delayed_reason = NULL,"
    " results_file_id = coalesce(results_file_id, uuidv7())"
    " WHERE id = :id AND succeeded + failed + cancelled + expired = total"
)
_ANY_EXPIRED = text("SELECT expired > 0 FROM batches WHERE id = :id")
_END = text("""
UPDATE batches SET state = outcome, finished_at = now(), results_sha256 = :sha256, results_size_bytes = :size_bytes
WHERE id = :id AND state = 'finalizing'
""")
_DELETE_LINES = text("DELETE FROM batch_lines WHERE batch_id = :id AND organization_id = :organization_id")
_ACCEPT = text(
    "UPDATE batches SET state = 'in_progress', started_at = now(), total = :total"
    " WHERE id = :id AND state = 'validating' RETURNING id"
)
_REFUSE = text("""
UPDATE batches SET state = 'failed', finished_at = now(), errors = CAST(:errors AS jsonb), bad_lines = :bad_lines
WHERE id = :id AND state = 'validating'
""")


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch as the dispatcher works on it. `settled` and `spent_usd` cover lines whose cost is final."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    key_id: UUID | None
    submitted_by: str | None
    grants: list[str] | None
    standing: dict[str, Any] | None
    state: BatchState
    capability: str | None
    allowed: frozenset[str]
    priority: Priority
    max_cost_usd: Decimal | None
    max_line_cost_usd: Decimal | None
    deadline_at: datetime | None
    metadata: dict[str, str]
    input_file_id: UUID | None
    total: int
    settled: int
    spent_usd: Decimal
    outcome: BatchState | None
    results_file_id: UUID | None
    traceparent: str | None
    delayed_reason: str | None
    is_late: bool
    is_due: bool

    @property
    def principal(self) -> Principal:
        """The batch's owner, for reading and writing its own rows. Checks no rights: `acting` does."""
        return Principal(self.organization_id, self.project_id, self.key_id, frozenset(), "dispatcher")

    def acting(self) -> Principal:
        """The caller, with the rights it still has: it sets the limits and pays; acts are in the dispatcher's name.

        Raises `KeyRevoked` and `NotAMember`.
        """
        return act_for(self.organization_id, self.project_id, self, "dispatcher")


@dataclass(frozen=True, slots=True)
class QueuedLine:
    """A line that is waiting for its job."""

    line: int
    capability: str
    input: dict[str, Any]
    metadata: dict[str, str] | None


def any_open(executor: Executor) -> bool:
    """Whether any batch is open. Needs `Database.system`."""
    return bool(executor.execute(_ANY_OPEN, {}).scalar_one())


def open_batches(session: Session, states: Sequence[BatchState]) -> list[tuple[UUID, UUID]]:
    """Batches in these states, oldest first, with their organizations. Needs `Database.system`."""
    return [tuple(row) for row in session.execute(_OPEN, {"states": [state.value for state in states]})]


def take(session: Session, batch_id: UUID) -> bool:
    """Lock the batch for this process until the transaction ends; False when another process has it."""
    return bool(session.execute(_TAKE, {"id": batch_id}).scalar_one())


def read(session: Session, organization_id: UUID, batch_id: UUID, *, lock: bool) -> OpenBatch:
    """The batch; with `lock`, its row is held until the transaction ends."""
    statement = _READ_LOCKED if lock else _READ_PLAIN
    row = session.execute(statement, {"id": batch_id, "organization_id": organization_id}).one()
    values = row._asdict()
    values["state"], values["priority"] = BatchState(row.state), Priority.of_rank(row.priority)
    values["allowed"], values["outcome"] = frozenset(row.allowed), BatchState(row.outcome) if row.outcome else None
    return OpenBatch(**values)


def settle(session: Session, batch_id: UUID) -> int:
    """Count lines whose jobs have ended with their cost final; returns how many. The caller has locked the batch."""
    return int(session.execute(_SETTLE, {"id": batch_id}).scalar_one_or_none() or 0)


def live(session: Session, batch_id: UUID) -> tuple[int, Decimal]:
    """How many lines are live, and their maximum total cost."""
    row = session.execute(_LIVE, {"id": batch_id}).one()
    return row.lines, row.caps_usd


def queued(session: Session, batch_id: UUID, limit: int) -> list[QueuedLine]:
    """The next lines without a job, in order."""
    return [QueuedLine(*tuple(row)) for row in session.execute(_NEXT, {"id": batch_id, "limit": limit})]


def give_jobs(session: Session, batch_id: UUID, given: Sequence[tuple[int, UUID, Decimal | None]]) -> None:
    """Record which job each line got, and its maximum cost, in the transaction that created the jobs."""
    noted = session.execute(
        _GIVE,
        {
            "id": batch_id,
            "lines": [line for line, _, _ in given],
            "job_ids": [job_id for _, job_id, _ in given],
            "caps": [cap for _, _, cap in given],
        },
    ).all()
    if len(noted) != len(given):
        raise RuntimeError("a line got a second job: somebody works on this batch without its lock")


def fail_line(session: Session, batch_id: UUID, line: int, code: str, message: str) -> None:
    """End one line that cannot have a job."""
    error = dump({"code": code, "message": message})
    session.execute(_FAIL_LINE, {"id": batch_id, "line": line, "error": error})


def delay(session: Session, batch_id: UUID, reason: str | None, seconds: float) -> None:
    """Pause feeding for `seconds`, and record why; None and zero resume it."""
    session.execute(_DELAY, {"id": batch_id, "reason": reason, "seconds": seconds})


def finalize(session: Session, batch_id: UUID, outcome: BatchState) -> bool:
    """Allow the results to be written; False while a line has not been settled."""
    values = {"id": batch_id, "outcome": outcome.value}
    return bool(session.execute(_FINALIZE, values).rowcount)  # type: ignore[attr-defined]


def any_expired(session: Session, batch_id: UUID) -> bool:
    """Whether any of the counted lines has expired."""
    return bool(session.execute(_ANY_EXPIRED, {"id": batch_id}).scalar_one())


def end(session: Session, batch_id: UUID, sha256: str, size_bytes: int) -> None:
    """End the batch: its results are written."""
    session.execute(_END, {"id": batch_id, "sha256": sha256, "size_bytes": size_bytes})


def delete_lines(session: Session, organization_id: UUID, batch_id: UUID) -> None:
    """Delete lines left by an interrupted validation of the file."""
    session.execute(_DELETE_LINES, {"id": batch_id, "organization_id": organization_id})


def accept(session: Session, batch_id: UUID, total: int) -> bool:
    """Accept the batch: its lines are valid and written; False when it is no longer being validated."""
    return session.execute(_ACCEPT, {"id": batch_id, "total": total}).one_or_none() is not None


def refuse(session: Session, batch_id: UUID, problems: Sequence[LineProblem], bad_lines: int) -> None:
    """Fail the batch: its lines are invalid; stores the first problems and the number of invalid lines."""
    errors = dump([each.as_json() for each in problems])
    session.execute(_REFUSE, {"id": batch_id, "errors": errors, "bad_lines": bad_lines})
