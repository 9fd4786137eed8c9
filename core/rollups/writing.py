"""The SQL that adds sums to the stored roll-ups."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.json_values import dumps

_ADD_JOBS = text("""
INSERT INTO job_rollups AS stored (grain, bucket, organization_id, project_id, capability, state, jobs, failures,
  outages, cost_usd, wait, duration)
SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS added (grain text, bucket timestamptz, organization_id uuid,
  project_id uuid, capability text, state text, jobs bigint, failures bigint, outages bigint, cost_usd numeric,
  wait jsonb, duration jsonb)
ON CONFLICT (organization_id, grain, project_id, bucket, capability, state) DO UPDATE SET
  jobs = stored.jobs + excluded.jobs, failures = stored.failures + excluded.failures,
  outages = stored.outages + excluded.outages, cost_usd = stored.cost_usd + excluded.cost_usd,
  wait = rollup_add(stored.wait, excluded.wait), duration = rollup_add(stored.duration, excluded.duration)
""")
_ADD_CALLS = text("""
INSERT INTO call_rollups AS stored (grain, bucket, organization_id, project_id, key_id, capability, provider, model,
  model_version, calls, estimated_calls, lost_calls, unpriced_calls, amount_usd, quantities, duration)
SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS added (grain text, bucket timestamptz, organization_id uuid,
  project_id uuid, key_id uuid, capability text, provider text, model text, model_version text, calls bigint,
  estimated_calls bigint, lost_calls bigint, unpriced_calls bigint, amount_usd numeric, quantities jsonb,
  duration jsonb)
ON CONFLICT (organization_id, grain, project_id, bucket, key_id, capability, provider, model, model_version)
DO UPDATE SET
  calls = stored.calls + excluded.calls, estimated_calls = stored.estimated_calls + excluded.estimated_calls,
  lost_calls = stored.lost_calls + excluded.lost_calls,
  unpriced_calls = stored.unpriced_calls + excluded.unpriced_calls,
  amount_usd = stored.amount_usd + excluded.amount_usd,
  quantities = rollup_add(stored.quantities, excluded.quantities),
  duration = rollup_add(stored.duration, excluded.duration)
""")
_ADD_COSTS = text("""
INSERT INTO job_cost_rollups AS stored (bucket, organization_id, project_id, capability, model, size_band, jobs, cost)
SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS added (bucket timestamptz, organization_id uuid,
  project_id uuid, capability text, model text, size_band smallint, jobs bigint, cost jsonb)
ON CONFLICT (organization_id, capability, bucket, project_id, model, size_band) DO UPDATE SET
  jobs = stored.jobs + excluded.jobs, cost = rollup_add(stored.cost, excluded.cost)
""")
_COUNT_BACKLOG = text("""
INSERT INTO job_backlog (organization_id, project_id, capability, state, jobs, oldest_at, counted_at)
SELECT organization_id, project_id, capability, state, count(*), min(created_at), now() FROM jobs
WHERE state IN ('queued', 'running', 'waiting') AND shadow_arm_id IS NULL GROUP BY 1, 2, 3, 4
ON CONFLICT (organization_id, project_id, capability, state) DO UPDATE SET
  jobs = excluded.jobs, oldest_at = excluded.oldest_at, counted_at = excluded.counted_at
""")
_CLEAR_BACKLOG = text("DELETE FROM job_backlog WHERE counted_at < now()")
_PARTITIONS = text("SELECT rollup_partitions(:days)")


def add_jobs(session: Session, sums: Mapping[Any, Any]) -> None:
    """Add sums of jobs, as `core.rollups.collect.sum_jobs` returns them."""
    _add(
        session,
        _ADD_JOBS,
        [
            {
                "grain": grain,
                "bucket": bucket.isoformat(),
                "organization_id": str(organization_id),
                "project_id": str(project_id),
                "capability": capability,
                "state": state,
                "jobs": total.jobs,
                "failures": total.failures,
                "outages": total.outages,
                "cost_usd": str(total.cost_usd),
                "wait": _text_keys(total.wait),
                "duration": _text_keys(total.duration),
            }
            for (grain, bucket, organization_id, project_id, capability, state), total in sums.items()
        ],
    )


def add_calls(session: Session, sums: Mapping[Any, Any]) -> None:
    """Add sums of calls, as `core.rollups.collect.sum_calls` returns them."""
    _add(
        session,
        _ADD_CALLS,
        [
            {
                "grain": grain,
                "bucket": bucket.isoformat(),
                "organization_id": str(group.organization_id),
                "project_id": str(group.project_id),
                "key_id": None if group.key_id is None else str(group.key_id),
                "capability": group.capability,
                "provider": group.provider,
                "model": group.model,
                "model_version": group.model_version,
                "calls": total.calls,
                "estimated_calls": total.estimated_calls,
                "lost_calls": total.lost_calls,
                "unpriced_calls": total.unpriced_calls,
                "amount_usd": str(total.amount_usd),
                "quantities": dict(total.quantities),
                "duration": _text_keys(total.duration),
            }
            for (grain, bucket, group), total in sums.items()
        ],
    )


def add_costs(session: Session, sums: Mapping[Any, Mapping[int, int]]) -> None:
    """Add sketches of costs, as `core.rollups.collect.sum_costs` returns them."""
    _add(
        session,
        _ADD_COSTS,
        [
            {
                "bucket": bucket.isoformat(),
                "organization_id": str(organization_id),
                "project_id": str(project_id),
                "capability": capability,
                "model": model,
                "size_band": band,
                "jobs": sum(cost.values()),
                "cost": _text_keys(cost),
            }
            for (bucket, organization_id, project_id, capability, model, band), cost in sums.items()
        ],
    )


def count_backlog(session: Session) -> None:
    """Write how many jobs have not ended, and remove outdated counts."""
    session.execute(_COUNT_BACKLOG)
    session.execute(_CLEAR_BACKLOG)


def maintain_partitions(session: Session, days: int) -> int:
    """Create the partitions that will be needed, and drop those past `days`."""
    return int(session.execute(_PARTITIONS, {"days": days}).scalar_one())


def _add(session: Session, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(statement, {"rows": dumps(rows).decode()})


def _text_keys(sketch: Mapping[int, int]) -> dict[str, int]:
    return {str(bucket): count for bucket, count in sketch.items()}
