"""The SQL of runs and gates. Every statement names the organization."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.ids import new_id
from core.quality.gates.records import Gate, NewRun, Run

# The versions used by a batch's jobs, by the last call that generated text, as signals name them.
_VERSIONS = text("""
SELECT DISTINCT coalesce(typeid('mver', CAST(call.model_version AS uuid)), call.model)
FROM jobs CROSS JOIN LATERAL (
  SELECT model, model_version FROM ledger_entries AS entry
  WHERE entry.job_id = jobs.id AND entry.organization_id = jobs.organization_id AND entry.kind = 'settlement'
  ORDER BY entry.quantities ? 'output_tokens' DESC, entry.attempt DESC, entry.call DESC LIMIT 1
) AS call
WHERE jobs.batch_id = :batch_id AND jobs.organization_id = :organization_id AND jobs.project_id = :project_id
LIMIT 20
""")
_RUN = """
SELECT id, batch_id, dataset, dataset_digest, model_version, cases, checked, passed, recorded_by, recorded_at
FROM quality_runs
"""
_ADD = text("""
INSERT INTO quality_runs (id, organization_id, project_id, batch_id, dataset, dataset_digest, model_version, cases,
  checked, passed, recorded_by)
VALUES (:id, :organization_id, :project_id, :batch_id, :dataset, :dataset_digest, :model_version, :cases, :checked,
  :passed, :actor)
ON CONFLICT (batch_id, dataset_digest) DO NOTHING
RETURNING id, batch_id, dataset, dataset_digest, model_version, cases, checked, passed, recorded_by, recorded_at
""")
_LIST = text(f"""
{_RUN} WHERE organization_id = :organization_id AND project_id = :project_id
  AND (CAST(:model_version AS text) IS NULL OR model_version = CAST(:model_version AS text))
  AND (CAST(:cursor AS uuid) IS NULL OR id < CAST(:cursor AS uuid)) ORDER BY id DESC LIMIT :limit
""")
_LAST = text(f"""
{_RUN} WHERE organization_id = :organization_id AND model_version = :model_version AND dataset = :dataset
ORDER BY recorded_at DESC, id DESC LIMIT 1
""")
_GATE = "SELECT model_id, dataset, min_share, min_cases, set_by, set_at FROM quality_gates"
_GET_GATE = text(f"{_GATE} WHERE organization_id = :organization_id AND model_id = :model_id")
_LIST_GATES = text(f"{_GATE} WHERE organization_id = :organization_id ORDER BY model_id LIMIT 1000")
_SET_GATE = text("""
INSERT INTO quality_gates (model_id, organization_id, dataset, min_share, min_cases, set_by)
VALUES (:model_id, :organization_id, :dataset, :min_share, :min_cases, :actor)
ON CONFLICT (model_id) DO UPDATE SET dataset = excluded.dataset, min_share = excluded.min_share,
  min_cases = excluded.min_cases, set_by = excluded.set_by, set_at = now()
WHERE quality_gates.organization_id = :organization_id
RETURNING model_id, dataset, min_share, min_cases, set_by, set_at
""")
_REMOVE_GATE = text(
    "DELETE FROM quality_gates WHERE organization_id = :organization_id AND model_id = :model_id RETURNING model_id"
)


def versions_of(session: Executor, principal: Principal, batch_id: UUID) -> list[str]:
    """The model versions that the batch's jobs used; at most twenty."""
    parameters = {**_scope(principal), "batch_id": batch_id}
    return list(session.execute(_VERSIONS, parameters).scalars())


def add_run(session: Session, principal: Principal, new: NewRun, model_version: str, cases: int) -> Run | None:
    """Record a run; None when that batch was already recorded for that data set."""
    parameters = {
        **_scope(principal),
        "id": new_id(),
        "batch_id": new.batch_id,
        "dataset": new.dataset,
        "dataset_digest": new.dataset_digest,
        "model_version": model_version,
        "cases": cases,
        "checked": new.checked,
        "passed": new.passed,
        "actor": principal.actor_id,
    }
    row = session.execute(_ADD, parameters).one_or_none()
    return None if row is None else _to_run(row)


def list_runs(
    session: Executor, principal: Principal, *, model_version: str | None, cursor: UUID | None, limit: int
) -> list[Run]:
    """The project's runs, newest first, with ids below `cursor`."""
    parameters = {**_scope(principal), "model_version": model_version, "cursor": cursor, "limit": limit}
    return [_to_run(row) for row in session.execute(_LIST, parameters)]


def last_run(session: Executor, organization_id: UUID, model_version: str, dataset: str) -> Run | None:
    """The last run of the data set at that version, in any project."""
    parameters = {"organization_id": organization_id, "model_version": model_version, "dataset": dataset}
    row = session.execute(_LAST, parameters).one_or_none()
    return None if row is None else _to_run(row)


def get_gate(session: Executor, organization_id: UUID, model_id: UUID) -> Gate | None:
    """The model's gate."""
    row = session.execute(_GET_GATE, {"organization_id": organization_id, "model_id": model_id}).one_or_none()
    return None if row is None else Gate(*tuple(row))


def list_gates(session: Executor, organization_id: UUID) -> list[Gate]:
    """The organization's gates."""
    return [Gate(*tuple(row)) for row in session.execute(_LIST_GATES, {"organization_id": organization_id})]


def set_gate(  # noqa: PLR0917 - one row
    session: Session, principal: Principal, model_id: UUID, dataset: str, min_share: float, min_cases: int
) -> Gate:
    """Set the model's gate, replacing an earlier one."""
    parameters = {
        "organization_id": principal.organization_id,
        "model_id": model_id,
        "dataset": dataset,
        "min_share": min_share,
        "min_cases": min_cases,
        "actor": principal.actor_id,
    }
    return Gate(*tuple(session.execute(_SET_GATE, parameters).one()))


def remove_gate(session: Session, organization_id: UUID, model_id: UUID) -> bool:
    """Remove a gate; False when there was none."""
    parameters = {"organization_id": organization_id, "model_id": model_id}
    return session.execute(_REMOVE_GATE, parameters).one_or_none() is not None


def _scope(principal: Principal) -> dict[str, UUID]:
    return {"organization_id": principal.organization_id, "project_id": principal.project_id}


def _to_run(row: Row[Any]) -> Run:
    return Run(*tuple(row))
