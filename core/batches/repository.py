"""The SQL of batches as clients see them. Every statement names the project, besides row-level security."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.batches.records import BatchLine, BatchRecord, BatchState, Counts, LineError, LineResult, LineState, NewBatch
from core.jobs.repository import COSTS_BELOW, dump, visible_to
from core.keys.authority import grants_of
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.money import ZERO

_COLUMNS = (
    "id, organization_id, project_id, key_id, state, capability, priority, max_cost_usd, max_line_cost_usd,"
    " deadline_at, metadata, webhook, input_file_id, errors, bad_lines, delayed_reason, results_file_id,"
    " results_sha256, results_size_bytes, created_at, started_at, finished_at, cancel_requested_at, payload_erased_at"
)
_WIDTH = _COLUMNS.count(",") + 1

# Settled lines are counted in the row, live ones from their jobs: at most a window's worth, found by a partial index.
# One statement, so one moment: the counts are always consistent. A key restricted to capabilities sees only batches
# whose lines can use nothing else.
_VISIBLE = "batches.project_id = :project_id AND coalesce(batches.allowed <@ CAST(:capabilities AS text[]), true)"
_WITH_LIVE = f"""
SELECT {", ".join(f"batches.{name.strip()}" for name in _COLUMNS.split(","))},
  batches.total, batches.succeeded, batches.failed, batches.cancelled, batches.expired, batches.cost_usd AS settled_usd,
  batches.priced AS settled_priced, live.*
FROM batches CROSS JOIN LATERAL (
  SELECT count(*) AS live_total,
    count(*) FILTER (WHERE jobs.state IN ('running', 'waiting')) AS live_running,
    count(*) FILTER (WHERE jobs.state = 'succeeded') AS live_succeeded,
    count(*) FILTER (WHERE jobs.state IN ('failed', 'rejected')) AS live_failed,
    count(*) FILTER (WHERE jobs.state = 'cancelled') AS live_cancelled,
    count(*) FILTER (WHERE jobs.state = 'expired') AS live_expired,
    coalesce(sum(jobs.cost_usd + coalesce(below_usd, 0)), 0) AS live_usd,
    coalesce(bool_and(usage_is_priced(jobs.usage) AND coalesce(below_priced, true)), true) AS live_priced
  FROM batch_lines JOIN jobs ON jobs.id = batch_lines.job_id {COSTS_BELOW}
  WHERE batch_lines.batch_id = batches.id AND batch_lines.state = 'live'
) AS live
WHERE batches.organization_id = :organization_id AND {_VISIBLE}
"""
_GET = text(f"{_WITH_LIVE} AND batches.id = :id")
_LIST = text(
    f"{_WITH_LIVE} AND (CAST(:cursor AS uuid) IS NULL OR batches.id < CAST(:cursor AS uuid))"
    " AND (CAST(:states AS text[]) IS NULL OR batches.state = ANY(CAST(:states AS text[])))"
    " ORDER BY batches.id DESC LIMIT :limit"
)

_INSERT = text("""
INSERT INTO batches (id, organization_id, project_id, key_id, state, capability, allowed, priority, max_cost_usd,
  max_line_cost_usd, deadline_at, metadata, webhook, input_file_id, total, traceparent, started_at,
  submitted_by, grants)
VALUES (:id, :organization_id, :project_id, :key_id, :state, :capability, :allowed, :priority, :max_cost_usd,
  :max_line_cost_usd,
  coalesce(CAST(:deadline_at AS timestamptz), now() + make_interval(secs => CAST(:deadline_seconds AS float8))),
  CAST(:metadata AS jsonb), CAST(:webhook AS jsonb), :input_file_id, :total, :traceparent,
  CASE WHEN :state = 'in_progress' THEN now() END, :submitted_by, CAST(:grants AS text[]))
""")
_INSERT_LINES = text("""
INSERT INTO batch_lines (batch_id, line, organization_id, project_id, custom_id, capability, input, metadata)
SELECT :batch_id, line, :organization_id, :project_id, custom_id, capability, CAST(input AS json),
  CAST(metadata AS jsonb)
FROM unnest(CAST(:lines AS int[]), CAST(:custom_ids AS text[]), CAST(:capabilities AS text[]), CAST(:inputs AS text[]),
  CAST(:metadata AS text[])) AS given (line, custom_id, capability, input, metadata)
""")

_LOCK = text(
    f"SELECT state FROM batches WHERE id = :id AND organization_id = :organization_id AND {_VISIBLE} FOR NO KEY UPDATE"
)
_ASK_TO_CANCEL = text("""
UPDATE batches SET cancel_requested_at = now(), delayed_reason = NULL,
  state = CASE state WHEN 'validating' THEN 'cancelled' ELSE 'cancelling' END,
  finished_at = CASE state WHEN 'validating' THEN now() END
WHERE id = :id AND organization_id = :organization_id
""")
_END_QUEUED = text("""
WITH ended AS (
  UPDATE batch_lines SET state = :state, error = CAST(:error AS jsonb), input = NULL
  WHERE batch_id = :id AND organization_id = :organization_id AND state = 'queued'
    AND (CAST(:capabilities AS text[]) IS NULL OR capability = ANY(CAST(:capabilities AS text[])))
  RETURNING 1
)
UPDATE batches SET failed = failed + CASE :state WHEN 'failed' THEN lines ELSE 0 END,
  cancelled = cancelled + CASE :state WHEN 'cancelled' THEN lines ELSE 0 END,
  expired = expired + CASE :state WHEN 'expired' THEN lines ELSE 0 END
FROM (SELECT count(*) AS lines FROM ended) AS counted
WHERE id = :id AND organization_id = :organization_id RETURNING lines
""")
_LIVE_JOBS = text(
    "SELECT job_id FROM batch_lines WHERE batch_id = :id AND organization_id = :organization_id AND state = 'live'"
    " ORDER BY job_id"
)

# A live line whose job has ended already has its outcome; only the counts do not include it yet.
_RESULTS = text("""
SELECT line.custom_id, line.line, CASE
    WHEN line.state <> 'live' THEN line.state
    WHEN jobs.state IN ('running', 'waiting') THEN 'running'
    WHEN jobs.state IN ('failed', 'rejected') THEN 'failed'
    ELSE jobs.state::text END AS shown,
  line.job_id,
  CASE WHEN line.state = 'live' THEN jobs.cost_usd + coalesce(below_usd, 0) ELSE line.cost_usd END AS spent_usd,
  CASE WHEN line.state = 'live' THEN usage_is_priced(jobs.usage) AND coalesce(below_priced, true)
    ELSE line.priced END AS is_priced,
  jobs.result, jobs.result_ref, jobs.disclosure, coalesce(jobs.data_class, 'public') AS data_class,
  coalesce(line.error, jobs.error, jsonb_build_object('code', jobs.reason, 'message', 'the job has ended so')) AS why
FROM batch_lines AS line LEFT JOIN jobs ON jobs.id = line.job_id
LEFT JOIN LATERAL (SELECT * FROM jobs_costs_below(jobs.id) WHERE line.state = 'live'
  AND EXISTS (SELECT FROM job_children WHERE parent_id = jobs.id) OFFSET 0) AS below ON true
WHERE line.batch_id = :id AND line.organization_id = :organization_id AND line.project_id = :project_id
  AND line.line > :after AND (line.state NOT IN ('queued', 'live') OR jobs.finished_at IS NOT NULL)
ORDER BY line.line LIMIT :limit
""")


_HIGHEST = text("""
SELECT coalesce(max(jobs.data_class), 'public') FROM batch_lines AS line JOIN jobs ON jobs.id = line.job_id
WHERE line.batch_id = :id AND line.organization_id = :organization_id AND line.project_id = :project_id
""")


def _scope(principal: Principal, **given: Any) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, **visible_to(principal), **given}


def to_record(row: Row[Any]) -> BatchRecord:
    """The record of a row of `_WITH_LIVE`."""
    values = tuple(row[:_WIDTH])
    settled = row.succeeded + row.failed + row.cancelled + row.expired
    live_ended = row.live_succeeded + row.live_failed + row.live_cancelled + row.live_expired
    counts = Counts(
        total=row.total,
        queued=row.total - settled - live_ended - row.live_running,
        running=row.live_running,
        succeeded=row.succeeded + row.live_succeeded,
        failed=row.failed + row.live_failed,
        cancelled=row.cancelled + row.live_cancelled,
        expired=row.expired + row.live_expired,
    )
    cost: Decimal = row.settled_usd + row.live_usd
    priced = row.settled_priced and row.live_priced
    return BatchRecord(*values[:4], BatchState(values[4]), *values[5:], counts, cost, priced)  # type: ignore[call-arg]


def insert(session: Session, principal: Principal, batch_id: UUID, new: NewBatch, state: BatchState) -> None:
    """Write a batch without its lines."""
    values = {
        "id": batch_id,
        "key_id": principal.key_id,
        "state": state.value,
        "capability": new.capability,
        "allowed": sorted(new.allowed),
        "priority": new.priority.rank,
        "max_cost_usd": new.max_cost_usd,
        "max_line_cost_usd": new.max_line_cost_usd,
        "deadline_at": new.deadline_at,
        "deadline_seconds": new.deadline_seconds,
        "metadata": dump(new.metadata),
        "webhook": dump(new.webhook),
        "input_file_id": new.input_file_id,
        "total": len(new.lines),
        "traceparent": new.traceparent,
        "submitted_by": principal.submitter,
        "grants": grants_of(principal),
    }
    session.execute(_INSERT, _scope(principal, **values))


def insert_lines(
    session: Session, principal: Principal, batch_id: UUID, lines: Sequence[tuple[int, BatchLine]]
) -> None:
    """Write lines, each with its number."""
    values = {
        "batch_id": batch_id,
        "lines": [number for number, _ in lines],
        "custom_ids": [line.custom_id for _, line in lines],
        "capabilities": [line.capability for _, line in lines],
        "inputs": [dump(line.input) for _, line in lines],
        "metadata": [dump(line.metadata) if line.metadata else None for _, line in lines],
    }
    session.execute(_INSERT_LINES, _scope(principal, **values))


def get(executor: Executor, principal: Principal, batch_id: UUID) -> BatchRecord | None:
    """The batch with its counts, or None when the project has no such batch."""
    row = executor.execute(_GET, _scope(principal, id=batch_id)).one_or_none()
    return None if row is None else to_record(row)


def list_batches(
    executor: Executor, principal: Principal, states: Sequence[BatchState], cursor: UUID | None, limit: int
) -> list[BatchRecord]:
    """The project's batches, newest first, with ids below `cursor`."""
    wanted = [state.value for state in states] or None
    return [
        to_record(row) for row in executor.execute(_LIST, _scope(principal, states=wanted, cursor=cursor, limit=limit))
    ]


def lock(session: Session, principal: Principal, batch_id: UUID) -> BatchState | None:
    """Lock the batch; its state, or None when there is none."""
    state = session.execute(_LOCK, _scope(principal, id=batch_id)).scalar_one_or_none()
    return None if state is None else BatchState(state)


def ask_to_cancel(session: Session, organization_id: UUID, batch_id: UUID) -> None:
    """Record that nothing more may start; the caller has locked the batch."""
    session.execute(_ASK_TO_CANCEL, {"id": batch_id, "organization_id": organization_id})


def end_queued(  # noqa: PLR0917 - the statement's own order
    session: Session,
    organization_id: UUID,
    batch_id: UUID,
    state: LineState,
    why: LineError,
    message: str,
    capabilities: Sequence[str] | None = None,
) -> int:
    """End lines without a job, of some capabilities or of all; returns how many. The caller has locked the batch."""
    values = {
        "id": batch_id,
        "organization_id": organization_id,
        "state": state.value,
        "error": dump({"code": why.value, "message": message}),
        "capabilities": None if capabilities is None else list(capabilities),
    }
    return int(session.execute(_END_QUEUED, values).scalar_one())


def live_jobs(session: Session, organization_id: UUID, batch_id: UUID) -> list[UUID]:
    """The jobs of lines that are live, in order."""
    return list(session.execute(_LIVE_JOBS, {"id": batch_id, "organization_id": organization_id}).scalars())


def highest_class(executor: Executor, principal: Principal, batch_id: UUID) -> DataClass:
    """The highest class among the jobs of the batch."""
    return DataClass(executor.execute(_HIGHEST, _scope(principal, id=batch_id)).scalar_one())


def results(executor: Executor, principal: Principal, batch_id: UUID, after: int, limit: int) -> list[LineResult]:
    """Lines above number `after` that have ended, in order."""
    found = []
    for row in executor.execute(_RESULTS, _scope(principal, id=batch_id, after=after, limit=limit)):
        state = LineState(row.shown)
        error = None if state is LineState.SUCCEEDED else row.why
        found.append(
            LineResult(
                row.custom_id,
                row.line,
                state,
                row.job_id,
                row.spent_usd or ZERO,
                row.is_priced,
                row.result,
                row.result_ref,
                row.disclosure,
                error,
                DataClass(row.data_class),
            )
        )
    return found
