"""Exposed jobs with known outcomes, written straight into the tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from core.kit.ids import new_id
from core.registry.experiments.assignment import unit_digest
from core.registry.experiments.definition import Arm, Experiment
from tests.factories.charges import Line, write_lines


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job of a unit."""

    state: str = "succeeded"
    latency_seconds: float = 1.0
    cost_usd: Decimal = Decimal(0)
    score: float | None = None
    unit: str | None = None
    is_priced: bool = True


_OPEN = frozenset({"queued", "waiting"})


def write_outcomes(
    database_url: str, experiment: Experiment, arm: Arm, outcomes: Iterable[Outcome], *, allocation: int = 1
) -> None:
    """Add ended (or queued) jobs that were exposed to `arm`. Their project is the experiment's, or made up."""
    project_id = experiment.project_id or new_id()
    ended = datetime.now(UTC)
    jobs, exposures, ratings, lines = [], [], [], []
    for outcome in outcomes:
        job_id = new_id()
        is_open = outcome.state in _OPEN
        began = ended - timedelta(seconds=outcome.latency_seconds)
        jobs.append(
            (
                *(job_id, experiment.organization_id, project_id, experiment.capability, "probe", outcome.state),
                *(None if outcome.state == "succeeded" or is_open else "tested", began),
                *((None, None) if is_open else (began, ended)),
            )
        )
        digest = unit_digest(experiment, outcome.unit or str(job_id))
        exposures.append((experiment.id, job_id, experiment.organization_id, arm.id, allocation, digest))
        if outcome.score is not None:
            ratings.append((job_id, "key:x", experiment.organization_id, project_id, outcome.score))
        if outcome.cost_usd or not outcome.is_priced:
            used = {} if outcome.is_priced else {"input_tokens": "1"}
            lines.append(Line(experiment.organization_id, project_id, None, job_id, outcome.cost_usd, quantities=used))
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        for table, columns, rows in (
            (
                "jobs",
                "id, organization_id, project_id, capability, pool, state, reason, created_at, started_at, finished_at",
                jobs,
            ),
            (
                "experiment_exposures",
                "experiment_id, job_id, organization_id, arm_id, allocation, unit_digest",
                exposures,
            ),
            ("job_feedback", "job_id, actor, organization_id, project_id, score", ratings),
        ):
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
    write_lines(database_url, lines)
