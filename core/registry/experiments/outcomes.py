"""The outcomes of the jobs that took part, added up by Postgres: one row per arm and allocation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from core.kit.db import Executor
from core.registry.experiments.definition import Experiment
from core.registry.experiments.statistics.means import Cohorts
from core.registry.experiments.statistics.moments import Moments

MEANS = ("success", "quality", "cost", "latency")

# Outcomes of jobs that have ended. A cancelled or rejected job says nothing about the arm. A quick failure is not fast,
# so latency is that of successes. Cost is that of ended jobs whose calls all had a price: an unknown cost is
# not a low one.
_OUTCOME = """
exposed AS (
  SELECT job_id, arm_id, allocation, unit_digest FROM experiment_exposures
  WHERE experiment_id = :experiment_id AND organization_id = :organization_id
), outcome AS (
  SELECT exposed.job_id, arm_id, allocation, unit_digest, state::text,
    CASE WHEN state = 'succeeded' THEN 1.0 WHEN state IN ('failed', 'expired') THEN 0.0 END::float8 AS success,
    CASE WHEN state = 'succeeded' THEN extract(epoch FROM finished_at - started_at) END::float8 AS latency,
    CASE WHEN state IN ('succeeded', 'failed', 'expired') THEN (
      SELECT CASE WHEN coalesce(bool_and(jsonb_exists_all(amounts, ARRAY(SELECT jsonb_object_keys(quantities)))), true)
        THEN coalesce(sum(amount_usd), 0) END FROM ledger_entries
      WHERE ledger_entries.job_id = exposed.job_id AND organization_id = :organization_id) END::float8 AS cost,
    CASE WHEN state IN ('succeeded', 'failed', 'expired') THEN (
      SELECT avg(score) FROM job_feedback
      WHERE job_feedback.job_id = exposed.job_id AND organization_id = :organization_id) END::float8 AS quality
  FROM exposed LEFT JOIN jobs ON jobs.id = exposed.job_id AND jobs.organization_id = :organization_id
)
"""
_UNIT_SUMS = ", ".join(f"count({name}) AS {name}_n, coalesce(sum({name}), 0) AS {name}_y" for name in MEANS)
_ARM_SUMS = ", ".join(
    f"count(*) FILTER (WHERE {name}_n > 0) AS {name}_units, coalesce(sum({name}_n), 0)::bigint AS {name}_count,"
    f" coalesce(sum({name}_y), 0) AS {name}_total, coalesce(sum({name}_y * {name}_y), 0) AS {name}_total_squares,"
    f" coalesce(sum({name}_n * {name}_y), 0) AS {name}_cross,"
    f" coalesce(sum({name}_n * {name}_n), 0)::float8 AS {name}_count_squares"
    for name in MEANS
)
_SUMS = text(f"""
WITH {_OUTCOME}, unit AS (
  SELECT arm_id, allocation, unit_digest, count(*) AS jobs, {_UNIT_SUMS},
    count(*) FILTER (WHERE state IN ('cancelled', 'rejected')) AS left_out,
    count(*) FILTER (WHERE state IN ('queued', 'running', 'waiting')) AS open
  FROM outcome GROUP BY arm_id, allocation, unit_digest
)
SELECT arm_id, allocation, count(*) AS units, sum(jobs)::bigint AS jobs, sum(left_out)::bigint AS left_out,
  sum(open)::bigint AS open, {_ARM_SUMS}
FROM unit GROUP BY arm_id, allocation
""")
_RANKED = text(f"""
WITH {_OUTCOME}, ranked AS (
  SELECT arm_id, latency, row_number() OVER (PARTITION BY arm_id ORDER BY latency) AS rank
  FROM outcome WHERE latency IS NOT NULL AND allocation = :allocation
)
SELECT arm_id, rank, latency FROM ranked
WHERE (arm_id, rank) IN (SELECT * FROM unnest(CAST(:arms AS uuid[]), CAST(:ranks AS bigint[])))
""")
_ALLOCATIONS = text("""
SELECT number, weights FROM experiment_allocations
WHERE experiment_id = :experiment_id AND organization_id = :organization_id ORDER BY number
""")


@dataclass(frozen=True, slots=True)
class Tally:
    """One arm in one allocation: units assigned, their jobs, and the sums of each outcome by name (`MEANS`).

    `open` jobs have not ended; `left_out` were cancelled or rejected.
    """

    arm_id: UUID
    allocation: int
    units: int
    jobs: int
    left_out: int
    open: int
    moments: Mapping[str, Moments]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Every tally of an experiment, and the weights of each allocation, by arm."""

    tallies: Sequence[Tally]
    weights: Mapping[int, Mapping[UUID, float]]

    def cohorts(self, arm_id: UUID, outcome: str) -> Cohorts:
        """The sums of one outcome of an arm, by allocation; those without any are left out."""
        return {
            tally.allocation: tally.moments[outcome]
            for tally in self.tallies
            if tally.arm_id == arm_id and tally.moments[outcome].count
        }


def read(session: Executor, experiment: Experiment) -> Outcomes:
    """The experiment's current outcomes."""
    scope = {"experiment_id": experiment.id, "organization_id": experiment.organization_id}
    tallies = [_to_tally(row) for row in session.execute(_SUMS, scope)]
    weights = {
        row.number: {UUID(arm): float(weight) for arm, weight in row.weights.items()}
        for row in session.execute(_ALLOCATIONS, scope)
    }
    return Outcomes(tallies, weights)


def latencies_at(
    session: Executor, experiment: Experiment, wanted: Mapping[UUID, Sequence[int]]
) -> dict[tuple[UUID, int], float]:
    """The latencies in seconds at the given ranks of each arm, in the current allocation; rank 1 is the shortest."""
    pairs = [(arm, rank) for arm, ranks in wanted.items() for rank in ranks]
    rows = session.execute(
        _RANKED,
        {
            "experiment_id": experiment.id,
            "organization_id": experiment.organization_id,
            "allocation": experiment.allocation,
            "arms": [arm for arm, _ in pairs],
            "ranks": [rank for _, rank in pairs],
        },
    )
    return {(row.arm_id, row.rank): row.latency for row in rows}


def _to_tally(row: Row[Any]) -> Tally:
    values = row._asdict()
    moments = {
        name: Moments(
            values[f"{name}_units"],
            values[f"{name}_count"],
            values[f"{name}_total"],
            values[f"{name}_total_squares"],
            values[f"{name}_cross"],
            values[f"{name}_count_squares"],
        )
        for name in MEANS
    }
    return Tally(row.arm_id, row.allocation, row.units, row.jobs, row.left_out, row.open, moments)
