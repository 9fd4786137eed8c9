"""The SQL that reads what ended since the last run: jobs and ledger lines by their ids."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.rollups.records import CallGroup, EndedJob, SettledCall

# A requeued run has a new `run_at`, so how long it had waited is no longer known.
_JOBS = text("""
SELECT job.id, job.organization_id, job.project_id, job.capability, job.state::text, job.finished_at,
  CASE WHEN job.run_at <= job.started_at
    THEN extract(epoch FROM job.started_at - greatest(job.created_at, job.run_at)) END::float8 AS waited,
  extract(epoch FROM job.finished_at - job.started_at)::float8 AS ran,
  job.failures, job.outages, job.cost_usd, job.cost_usd + coalesce(below.below_usd, 0) AS tree_usd,
  usage_is_priced(job.usage) AND coalesce(below.below_priced, true) AS is_priced,
  job.shadow_arm_id IS NOT NULL AS is_shadow, coalesce(main.model, '') AS model,
  CASE WHEN job.input_ref IS NOT NULL THEN :large ELSE octet_length(coalesce(job.input::text, '')) END AS size_bytes,
  (SELECT count(*) FROM open_calls WHERE open_calls.job_id = job.id) AS open_calls
FROM unnest(CAST(:ids AS uuid[])) AS named (id)
CROSS JOIN LATERAL (SELECT * FROM jobs WHERE jobs.id = named.id OFFSET 0) AS job
LEFT JOIN LATERAL (
  SELECT * FROM jobs_costs_below(job.id) WHERE EXISTS (SELECT FROM job_children WHERE parent_id = job.id) OFFSET 0
) AS below ON true
LEFT JOIN LATERAL (
  SELECT line ->> 'model' AS model FROM jsonb_array_elements(job.usage) AS line
  GROUP BY 1 ORDER BY sum((line ->> 'cost_usd')::numeric) DESC NULLS LAST, 1 LIMIT 1
) AS main ON true
WHERE job.finished_at > now() - make_interval(days => :days)
""")
_CALL_COLUMNS = """line.organization_id, line.project_id, line.key_id, line.capability, line.provider, line.model,
  line.model_version, line.recorded_at, line.amount_usd, line.quantities, line.estimated,
  coalesce(line.reason = 'worker_lost', false) AS is_lost,
  NOT jsonb_exists_all(line.amounts, ARRAY(SELECT jsonb_object_keys(line.quantities))) AS is_unpriced,
  line.kind = 'correction' AS is_correction"""
_CALLS = text(f"""
SELECT {_CALL_COLUMNS}, extract(epoch FROM line.recorded_at - intent.recorded_at)::float8 AS seconds
FROM unnest(CAST(:ids AS uuid[])) AS named (id)
CROSS JOIN LATERAL (SELECT * FROM ledger_entries WHERE job_id = named.id AND entry = 1
  AND recorded_at > now() - make_interval(days => :days) OFFSET 0) AS line
CROSS JOIN LATERAL (SELECT recorded_at FROM ledger_entries WHERE job_id = line.job_id AND attempt = line.attempt
  AND call = line.call AND entry = 0 OFFSET 0) AS intent
""")
_CORRECTIONS = text(f"""
WITH taken AS (
  DELETE FROM rollup_pending WHERE (job_id, attempt, call, entry) IN (
    SELECT job_id, attempt, call, entry FROM rollup_pending WHERE entry > 0 LIMIT :most)
  RETURNING job_id, attempt, call, entry
)
SELECT {_CALL_COLUMNS}, NULL::float8 AS seconds
FROM taken JOIN ledger_entries AS line USING (job_id, attempt, call, entry)
""")
_PUT_OFF = text("""
INSERT INTO rollup_pending (job_id, organization_id)
SELECT * FROM unnest(CAST(:jobs AS uuid[]), CAST(:organizations AS uuid[])) ON CONFLICT DO NOTHING
""")
_CLOSED = text("""
DELETE FROM rollup_pending WHERE entry = 0 AND job_id IN (
  SELECT job_id FROM rollup_pending WHERE entry = 0
    AND NOT EXISTS (SELECT FROM open_calls WHERE open_calls.job_id = rollup_pending.job_id) LIMIT :most)
RETURNING job_id
""")

# An input in the blob store is larger than 64 KiB; its exact size is not known here.
_LARGE_BYTES = 65_536


def read_jobs(session: Session, ids: Sequence[UUID], days: int) -> list[EndedJob]:
    """Those of these jobs that ended within the last `days`."""
    rows = session.execute(_JOBS, {"ids": list(ids), "days": days, "large": _LARGE_BYTES})
    return [EndedJob(**row._asdict()) for row in rows]


def read_calls(session: Session, ids: Sequence[UUID], days: int) -> list[SettledCall]:
    """The settlements of these jobs within the last `days`: a job may have waited for longer than that."""
    return [_call(row) for row in session.execute(_CALLS, {"ids": list(ids), "days": days})]


def put_off(session: Session, jobs: Sequence[EndedJob]) -> None:
    """Record jobs with unsettled calls: all of their calls are read once they are settled."""
    values = {"jobs": [job.id for job in jobs], "organizations": [job.organization_id for job in jobs]}
    session.execute(_PUT_OFF, values)


def take_closed(session: Session, most: int) -> list[UUID]:
    """Deferred jobs whose calls are settled by now; they are not returned again."""
    return list(session.execute(_CLOSED, {"most": most}).scalars())


def take_corrections(session: Session, most: int) -> list[SettledCall]:
    """Corrections that have not been added up; they are not returned again."""
    return [_call(row) for row in session.execute(_CORRECTIONS, {"most": most})]


def _call(row: Row[object]) -> SettledCall:
    values = row._asdict()
    group = CallGroup(**{name: values[name] for name in CallGroup.__dataclass_fields__})
    return SettledCall(
        group,
        values["recorded_at"],
        values["seconds"],
        values["amount_usd"],
        values["quantities"],
        values["estimated"],
        values["is_lost"],
        values["is_unpriced"],
        values["is_correction"],
    )
