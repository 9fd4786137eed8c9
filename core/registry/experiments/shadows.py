"""Shadow runs: jobs that an arm repeats without serving the results, and their outcomes.

A trigger writes a run in the statement that ends the job (``job_shadowed``). The dispatcher starts it in a
separate transaction, together with the job that it creates: once, however often it is interrupted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.registry.experiments.definition import Arm, Experiment
from core.registry.experiments.statistics.means import Interval, mean_interval
from core.registry.experiments.statistics.moments import Moments

# For the dispatcher: across organizations.
_DUE = text("""
SELECT arm_id, job_id, organization_id, project_id, experiment_id FROM shadow_runs WHERE state = 'due'
ORDER BY made_at LIMIT :limit
""")
_LOCK = text("""
SELECT arm_id FROM shadow_runs
WHERE arm_id = :arm_id AND job_id = :job_id AND organization_id = :organization_id AND state = 'due'
FOR UPDATE SKIP LOCKED
""")
_START = text("""
UPDATE shadow_runs SET state = 'started', shadow_job_id = :shadow_job_id
WHERE arm_id = :arm_id AND job_id = :job_id AND organization_id = :organization_id
""")
_DROP = text("""
UPDATE shadow_runs SET state = 'dropped', reason = :reason
WHERE arm_id = :arm_id AND job_id = :job_id AND organization_id = :organization_id
""")
# Ended jobs count with their cost, running ones with their maximum. One start at a time, to never exceed the limit.
_COMMITTED = text("""
WITH locked AS (SELECT id FROM experiments WHERE id = :experiment_id AND organization_id = :organization_id FOR UPDATE)
SELECT coalesce(sum(CASE WHEN job.finished_at IS NULL THEN job.max_cost_usd ELSE job.cost_usd END), 0)
FROM locked JOIN shadow_runs AS run ON run.experiment_id = locked.id AND run.state = 'started'
JOIN jobs AS job ON job.id = run.shadow_job_id AND job.organization_id = :organization_id
""")
_ORPHANS = text("""
SELECT run.organization_id, run.project_id, job.id FROM shadow_runs AS run
JOIN experiments AS experiment ON experiment.id = run.experiment_id AND experiment.organization_id = run.organization_id
JOIN jobs AS job ON job.id = run.shadow_job_id AND job.organization_id = run.organization_id
WHERE run.state = 'started' AND experiment.state NOT IN ('running', 'paused')
  AND job.finished_at IS NULL AND job.cancel_requested_at IS NULL
LIMIT :limit
""")
# Answers are compared by their digests: word for word. Costs and times are those of pairs that both succeeded, and
# costs only of pairs whose calls all had a price: an unknown cost is not a low one.
_RESULTS = text("""
WITH pair AS (
  SELECT run.arm_id, run.state AS run_state, run.reason, shadow.state::text AS state, shadow.cost_usd::float8 AS spent,
    CASE WHEN usage_is_priced(shadow.usage) AND usage_is_priced(shown.usage) THEN shadow.cost_usd END::float8 AS cost,
    extract(epoch FROM shadow.finished_at - shadow.started_at)::float8 AS latency,
    shown.cost_usd::float8 AS shown_cost,
    extract(epoch FROM shown.finished_at - shown.started_at)::float8 AS shown_latency,
    (shadow.result_digest = shown.result_digest)::int AS identical
  FROM shadow_runs AS run
  LEFT JOIN jobs AS shadow ON shadow.id = run.shadow_job_id AND shadow.organization_id = :organization_id
  LEFT JOIN jobs AS shown ON shown.id = run.job_id AND shown.organization_id = :organization_id
  WHERE run.experiment_id = :experiment_id AND run.organization_id = :organization_id
), dropped AS (
  SELECT arm_id, jsonb_object_agg(reason, runs) AS reasons FROM (
    SELECT arm_id, reason, count(*) AS runs FROM pair WHERE run_state = 'dropped' GROUP BY arm_id, reason
  ) AS counted GROUP BY arm_id
), sums AS (
  SELECT arm_id, count(*) AS sampled, count(*) FILTER (WHERE run_state = 'due') AS due,
    count(*) FILTER (WHERE state IN ('queued', 'running', 'waiting')) AS open,
    count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
    count(*) FILTER (WHERE state IN ('failed', 'expired')) AS failed,
    count(*) FILTER (WHERE state IN ('cancelled', 'rejected')) AS left_out,
    count(identical) FILTER (WHERE state = 'succeeded') AS compared,
    coalesce(sum(identical) FILTER (WHERE state = 'succeeded'), 0) AS identical,
    count(cost) FILTER (WHERE state = 'succeeded') AS priced,
    coalesce(sum(cost) FILTER (WHERE state = 'succeeded'), 0) AS cost,
    coalesce(sum(shown_cost) FILTER (WHERE state = 'succeeded' AND cost IS NOT NULL), 0) AS shown_cost,
    coalesce(sum((cost - shown_cost) ^ 2) FILTER (WHERE state = 'succeeded'), 0) AS cost_squares,
    coalesce(sum(latency) FILTER (WHERE state = 'succeeded'), 0) AS latency,
    coalesce(sum(shown_latency) FILTER (WHERE state = 'succeeded'), 0) AS shown_latency,
    coalesce(sum((latency - shown_latency) ^ 2) FILTER (WHERE state = 'succeeded'), 0) AS latency_squares,
    coalesce(sum(spent), 0) AS spent
  FROM pair GROUP BY arm_id
)
SELECT sums.*, coalesce(dropped.reasons, '{}') AS reasons FROM sums LEFT JOIN dropped USING (arm_id)
""")


@dataclass(frozen=True, slots=True)
class ShadowRun:
    """A job that an arm is to repeat."""

    arm_id: UUID
    job_id: UUID
    organization_id: UUID
    project_id: UUID
    experiment_id: UUID


@dataclass(frozen=True, slots=True)
class Pairs:
    """A measure of shadows and of the served jobs: both means, and their difference, shadow minus served."""

    shadow_mean: float
    shown_mean: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """The results of one shadow arm. `cost` is in US dollars and `latency` in seconds, over pairs that both succeeded.

    `sampled` jobs were to be repeated; of them `due` are not started, `dropped` (by reason) never will be, `open` have
    not ended and `left_out` were cancelled or rejected. `identical` is the share of answers that are the same word for
    word.
    """

    arm: Arm
    sampled: int
    due: int
    dropped: Mapping[str, int]
    open: int
    left_out: int
    success: Interval
    identical: Interval
    cost: Pairs
    latency: Pairs
    spent_usd: float


def due(session: Session, limit: int) -> list[ShadowRun]:
    """Runs of every organization that wait to be started, oldest first. Needs `Database.system`."""
    return [ShadowRun(*tuple(row)) for row in session.execute(_DUE, {"limit": limit})]


def orphans(session: Session, limit: int) -> list[tuple[UUID, UUID, UUID]]:
    """Shadow jobs whose experiment has ended, as (organization, project, job). Needs `Database.system`."""
    return [(row[0], row[1], row[2]) for row in session.execute(_ORPHANS, {"limit": limit})]


def lock(session: Session, run: ShadowRun) -> bool:
    """Lock a run in order to start it; False when it no longer waits or another process holds it."""
    return session.execute(_LOCK, _key(run)).one_or_none() is not None


def committed_usd(session: Session, run: ShadowRun) -> Decimal:
    """What the experiment's shadows have cost, and may still; locks out other starts until the transaction ends."""
    scope = {"experiment_id": run.experiment_id, "organization_id": run.organization_id}
    return Decimal(session.execute(_COMMITTED, scope).scalar_one())


def start(session: Session, run: ShadowRun, shadow_job_id: UUID) -> None:
    """Record that the run became a job."""
    session.execute(_START, {**_key(run), "shadow_job_id": shadow_job_id})


def drop(session: Session, run: ShadowRun, reason: str) -> None:
    """Record that the run will never become a job, with the reason as a stable code."""
    session.execute(_DROP, {**_key(run), "reason": reason})


def results(session: Executor, experiment: Experiment) -> list[ShadowResult]:
    """The current results of each shadow arm. One statement; none for an experiment without shadows.

    Intervals are confidence sequences like those of served arms, at the plan's level.
    """
    if not experiment.shadows:
        return []
    scope = {"experiment_id": experiment.id, "organization_id": experiment.organization_id}
    found = {row.arm_id: row for row in session.execute(_RESULTS, scope)}
    return [_result(experiment, arm, found.get(arm.id)) for arm in experiment.shadows]


def _result(experiment: Experiment, arm: Arm, row: Row[Any] | None) -> ShadowResult:
    if row is None:
        nothing = Pairs(0.0, 0.0, _interval(experiment, 0, 0.0, 0.0, is_share=False))
        share = _interval(experiment, 0, 0.0, 0.0, is_share=True)
        return ShadowResult(arm, 0, 0, {}, 0, 0, share, share, nothing, nothing, 0.0)
    ended = row.succeeded + row.failed
    return ShadowResult(
        arm,
        row.sampled,
        row.due,
        row.reasons,
        row.open,
        row.left_out,
        _interval(experiment, ended, row.succeeded, row.succeeded, is_share=True),
        _interval(experiment, row.compared, row.identical, row.identical, is_share=True),
        _pairs(experiment, row.priced, row.cost, row.shown_cost, row.cost_squares),
        _pairs(experiment, row.succeeded, row.latency, row.shown_latency, row.latency_squares),
        row.spent,
    )


def _pairs(experiment: Experiment, count: int, shadow: float, shown: float, squares: float) -> Pairs:
    most = max(count, 1)
    difference = _interval(experiment, count, shadow - shown, squares, is_share=False)
    return Pairs(shadow / most, shown / most, difference)


def _interval(experiment: Experiment, count: int, total: float, squares: float, *, is_share: bool) -> Interval:
    moments: Sequence[Moments] = [Moments(count, count, float(total), float(squares), float(total), count)]
    return mean_interval(
        dict(enumerate(moments)) if count else {},
        horizon=experiment.plan.units_treatment,
        alpha=experiment.plan.alpha,
        is_share=is_share,
    )


def _key(run: ShadowRun) -> dict[str, UUID]:
    return {"arm_id": run.arm_id, "job_id": run.job_id, "organization_id": run.organization_id}
