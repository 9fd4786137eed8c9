"""Exposures: the arm of a job's unit, written when the job first needs it, and kept whatever the ramp does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from core.audit.actions import AuditAction
from core.audit.record import Actor
from core.kit.db import Executor
from core.registry.experiments.definition import Arm, Experiment

# The job's first exposure takes precedence, then the first of its unit, then the arm that the hash gives now. The
# record makes the arm part of the job's waybill. A process that still caches an ended experiment exposes no more jobs
# to it.
_EXPOSE = text(f"""
WITH known AS (
  SELECT arm_id, allocation FROM experiment_exposures
  WHERE experiment_id = :experiment_id AND job_id = :job_id AND organization_id = :organization_id
), earlier AS (
  SELECT arm_id, allocation FROM experiment_exposures
  WHERE experiment_id = :experiment_id AND unit_digest = :unit_digest AND organization_id = :organization_id
  ORDER BY exposed_at LIMIT 1
), made AS (
  INSERT INTO experiment_exposures (experiment_id, job_id, organization_id, arm_id, allocation, unit_digest)
  SELECT :experiment_id, :job_id, :organization_id, coalesce((SELECT arm_id FROM earlier), :arm_id),
    coalesce((SELECT allocation FROM earlier), :allocation), :unit_digest
  WHERE NOT EXISTS (SELECT FROM known) AND EXISTS (
    SELECT FROM experiments
    WHERE id = :experiment_id AND organization_id = :organization_id AND state = 'running')
  ON CONFLICT (experiment_id, job_id) DO NOTHING RETURNING arm_id, allocation
), audit AS (
  INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, attempt, detail)
  SELECT :organization_id, :project_id, '{AuditAction.EXPERIMENT_ASSIGN.value}', typeid('job', :job_id), 'worker',
    CAST(:attempt AS int), jsonb_build_object('experiment', typeid('exp', :experiment_id),
      'arm', experiment_arms.name, 'kind', experiment_arms.kind, 'model', experiment_arms.model,
      'model_version_id', experiment_arms.model_version_id, 'prompt', experiment_arms.prompt,
      'prompt_digest', experiment_arms.prompt_digest)
  FROM made JOIN experiment_arms ON experiment_arms.id = made.arm_id
    AND experiment_arms.organization_id = :organization_id
)
SELECT arm_id FROM known UNION ALL SELECT arm_id FROM made
""")
# The jobs of an arm that was rolled back: each of their waybills records that.
_ROLLED_BACK = text(f"""
INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, actor_id, detail)
SELECT exposure.organization_id, job.project_id, '{AuditAction.EXPERIMENT_ROLLED_BACK.value}',
  typeid('job', exposure.job_id), :actor_kind, :actor_id,
  jsonb_strip_nulls(jsonb_build_object('experiment', typeid('exp', exposure.experiment_id), 'arm', arm.name,
    'reason', CAST(:reason AS text)))
FROM experiment_exposures AS exposure
JOIN experiment_arms AS arm ON arm.id = exposure.arm_id AND arm.organization_id = exposure.organization_id
JOIN jobs AS job ON job.id = exposure.job_id AND job.organization_id = exposure.organization_id
WHERE exposure.experiment_id = :experiment_id AND exposure.organization_id = :organization_id
  AND arm.kind = 'treatment'
""")
_OF_JOB = text("""
SELECT exposure.experiment_id, experiment.name AS experiment, experiment.state, experiment.reason, exposure.arm_id,
  arm.name AS arm, arm.kind, arm.model, arm.model_version_id, arm.prompt, arm.prompt_digest, exposure.exposed_at
FROM experiment_exposures AS exposure
JOIN experiments AS experiment ON experiment.id = exposure.experiment_id
  AND experiment.organization_id = exposure.organization_id
JOIN experiment_arms AS arm ON arm.id = exposure.arm_id AND arm.organization_id = exposure.organization_id
WHERE exposure.organization_id = :organization_id AND exposure.job_id = :job_id ORDER BY exposure.exposed_at
""")


@dataclass(frozen=True, slots=True)
class Exposure:
    """A job's participation in an experiment. `state` and `reason` are the experiment's current ones."""

    experiment_id: UUID
    experiment: str
    state: str
    reason: str | None
    arm_id: UUID
    arm: str
    kind: str
    model: str | None
    model_version_id: UUID | None
    prompt: str | None
    prompt_digest: str | None
    exposed_at: datetime


def expose(  # noqa: PLR0917 - one row's columns
    session: Executor,
    experiment: Experiment,
    project_id: UUID,
    job_id: UUID,
    arm: Arm,
    unit_digest: bytes,
    attempt: int | None,
) -> Arm | None:
    """Record that the job's unit has `arm`, unless it already has another; returns the arm that counts.

    None when the experiment no longer runs and the job had no arm yet. One statement, and one audit record about the
    job (``policy:experiment:assign``) the first time.
    """
    parameters = {
        "experiment_id": experiment.id,
        "job_id": job_id,
        "organization_id": experiment.organization_id,
        "project_id": project_id,
        "arm_id": arm.id,
        "allocation": experiment.allocation,
        "unit_digest": unit_digest,
        "attempt": attempt,
    }
    row = session.execute(_EXPOSE, parameters).one_or_none()
    if row is None:
        # Another attempt of the job wrote it while this statement ran; now it is visible.
        row = session.execute(_EXPOSE, parameters).one_or_none()
    return None if row is None else experiment.arm(row.arm_id)


def mark_rolled_back(session: Executor, experiment: Experiment, actor: Actor, reason: str | None) -> None:
    """Write an audit record about every job that had a treatment (``policy:experiment:rollback``), for its waybill."""
    session.execute(
        _ROLLED_BACK,
        {
            "experiment_id": experiment.id,
            "organization_id": experiment.organization_id,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
            "reason": reason,
        },
    )


def exposures_of(session: Executor, organization_id: UUID, job_id: UUID) -> list[Exposure]:
    """Every experiment that a job took part in, in the order of its exposures."""
    rows = session.execute(_OF_JOB, {"organization_id": organization_id, "job_id": job_id})
    return [_to_exposure(row) for row in rows]


def _to_exposure(row: Row[Any]) -> Exposure:
    return Exposure(**row._asdict())
