"""The history of a scope's jobs in the order of time, which backtests replay."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from core.forecasts.backtests.budget import Kind, Moment
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.ledger.reports.records import Window

JOBS_MAX = 20_000
LINES_MAX = 100_000
# Uses the index on projects, so that other organizations' rows are not read; unsorted, so that a limit ends the scan.
_OF_PROJECTS = """project_id = ANY(ARRAY(SELECT id FROM projects WHERE organization_id = :organization_id
    AND (CAST(:project_id AS uuid) IS NULL OR id = :project_id)))"""
# Root jobs: the jobs below them spend from their reservation.
_ROOTS = text(f"""
SELECT id, capability, created_at, finished_at, max_cost_usd, key_id, project_id FROM jobs
WHERE organization_id = :organization_id AND {_OF_PROJECTS} AND parent_id IS NULL AND shadow_arm_id IS NULL
  AND id >= uuid7_floor(CAST(:begins AS timestamptz)) AND id < uuid7_floor(CAST(:ends AS timestamptz))
  AND (CAST(:key_id AS uuid) IS NULL OR key_id = :key_id)
LIMIT :limit
""")
_LINES = text(f"""
SELECT job_id, attempt, call, entry, kind, root_job_id, recorded_at, provider, model, bound_usd, amount_usd, quantities
FROM ledger_entries
WHERE organization_id = :organization_id AND {_OF_PROJECTS}
  AND job_id >= uuid7_floor(CAST(:begins AS timestamptz)) AND job_id < uuid7_floor(CAST(:ends AS timestamptz))
  AND (CAST(:key_id AS uuid) IS NULL OR key_id = :key_id)
LIMIT :limit
""")
_KINDS = {"intent": Kind.BEGIN, "settlement": Kind.SETTLE, "correction": Kind.CORRECT}
# At the same moment, events that free money come before those that need it, as under locks.
_ORDER = {Kind.SETTLE: 0, Kind.CORRECT: 1, Kind.END: 2, Kind.SUBMIT: 3, Kind.BEGIN: 4}


@dataclass(frozen=True, slots=True)
class HistoryScope:
    """The jobs to replay: an organization's, or those of one project or key."""

    organization_id: UUID
    project_id: UUID | None = None
    key_id: UUID | None = None


def read_moments(
    executor: Executor, scope: HistoryScope, window: Window, reserve_of: Callable[[str], Decimal]
) -> list[Moment]:
    """Every moment that a budget of `scope` would have decided on, for jobs accepted within `window`.

    `reserve_of` returns what a capability sets aside for a job without its own cap. Raises `Unprocessable`
    (``history_too_long``) above 20,000 jobs or 100,000 ledger lines.
    """
    values = _values(scope, window)
    roots = executor.execute(_ROOTS, {**values, "limit": JOBS_MAX + 1}).all()
    lines = executor.execute(_LINES, {**values, "limit": LINES_MAX + 1}).all()
    if len(roots) > JOBS_MAX or len(lines) > LINES_MAX:
        message = f"that is more than {JOBS_MAX:,} jobs or {LINES_MAX:,} ledger lines; ask for a shorter time"
        raise Unprocessable(
            f"body.from: {message}",
            code="history_too_long",
            errors=[{"path": "body.from", "code": "history_too_long", "message": message}],
        )
    moments: list[Moment] = []
    for root in roots:
        reserve = reserve_of(root.capability) if root.max_cost_usd is None else root.max_cost_usd
        moments.append(Moment(root.created_at, Kind.SUBMIT, root.id, reserve, cap_usd=root.max_cost_usd))
        if root.finished_at is not None:
            moments.append(Moment(root.finished_at, Kind.END, root.id))
    for line in lines:
        amount = line.bound_usd if line.kind == "intent" else line.amount_usd
        call = (line.job_id, line.attempt, line.call)
        moments.append(Moment(line.recorded_at, _KINDS[line.kind], line.root_job_id, amount, call))
    return sorted(moments, key=lambda moment: (moment.at, _ORDER[moment.kind]))


def read_submissions(executor: Executor, scope: HistoryScope, window: Window) -> Iterator[tuple[datetime, UUID]]:
    """When jobs of the scope were accepted, in the order of time. Raises `Unprocessable` like `read_moments`."""
    roots = executor.execute(_ROOTS, {**_values(scope, window), "limit": LINES_MAX + 1}).all()
    if len(roots) > LINES_MAX:
        message = f"that is more than {LINES_MAX:,} jobs; ask for a shorter time"
        problem = {"path": "body.from", "code": "history_too_long", "message": message}
        raise Unprocessable(f"body.from: {message}", code="history_too_long", errors=[problem])
    return iter(sorted((root.created_at, root.id) for root in roots))


def _values(scope: HistoryScope, window: Window) -> dict[str, object]:
    return {
        "organization_id": scope.organization_id,
        "project_id": scope.project_id,
        "key_id": scope.key_id,
        "begins": window.begins,
        "ends": window.ends,
    }
