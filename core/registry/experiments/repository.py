"""The SQL of experiments. Every statement except the guard's names the organization."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.kit.json_values import dumps
from core.registry.experiments import codec
from core.registry.experiments.definition import Arm, ArmKind, Experiment, State, Unit

# The control is last: a unit in no treatment's interval is the control's.
_ARMS = """
(SELECT jsonb_agg(jsonb_build_object('id', id, 'name', name, 'kind', kind, 'weight', weight, 'model', model,
   'model_version_id', model_version_id, 'prompt', prompt, 'prompt_digest', prompt_digest)
   ORDER BY kind = 'control', position)
 FROM experiment_arms WHERE experiment_id = experiments.id AND organization_id = experiments.organization_id) AS arms
"""
_COLUMNS = f"""
id, organization_id, project_id, capability, name, unit, state, salt, plan, guardrails, ramp, canary, share,
allocation, created_at, started_at, ended_at, reason, promoted_arm_id, shadow, {_ARMS}
"""
_INSERT = text("""
INSERT INTO experiments (id, organization_id, project_id, capability, name, unit, salt, plan, guardrails, ramp, canary,
  share, shadow)
SELECT :id, :organization_id, CAST(:project_id AS uuid), :capability, :name, :unit, :salt, CAST(:plan AS jsonb),
  CAST(:guardrails AS jsonb), CAST(:ramp AS jsonb), CAST(:canary AS jsonb), :share, CAST(:shadow AS jsonb)
WHERE CAST(:project_id AS uuid) IS NULL
  OR EXISTS (SELECT FROM projects WHERE id = CAST(:project_id AS uuid) AND organization_id = :organization_id)
RETURNING id
""")
_INSERT_ARMS = text("""
INSERT INTO experiment_arms (id, experiment_id, organization_id, position, name, kind, weight, model, model_version_id,
  prompt, prompt_digest)
SELECT id, :experiment_id, :organization_id, position, name, kind, weight, model, model_version_id, prompt,
  prompt_digest
FROM jsonb_to_recordset(CAST(:arms AS jsonb)) AS given (id uuid, position smallint, name text, kind text,
  weight numeric, model text, model_version_id uuid, prompt text, prompt_digest text)
""")
_GET = text(f"SELECT {_COLUMNS} FROM experiments WHERE id = :id AND organization_id = :organization_id")
_LOCK = text("SELECT id FROM experiments WHERE id = :id AND organization_id = :organization_id FOR UPDATE")
_LIST = text(f"""
SELECT {_COLUMNS} FROM experiments WHERE organization_id = :organization_id
  AND (CAST(:state AS text) IS NULL OR state = :state) AND (CAST(:cursor AS uuid) IS NULL OR id < CAST(:cursor AS uuid))
ORDER BY id DESC LIMIT :limit
""")
# A project's own experiment before its organization's.
_IN_FORCE = text(f"""
SELECT {_COLUMNS} FROM experiments
WHERE organization_id = :organization_id AND capability = :capability AND state IN ('running', 'promoted')
  AND (project_id IS NULL OR project_id = :project_id)
ORDER BY project_id IS NULL LIMIT 1
""")
_OF_ARM = text(f"""
SELECT {_COLUMNS} FROM experiments WHERE organization_id = :organization_id AND id = (
  SELECT experiment_id FROM experiment_arms WHERE id = :arm_id AND organization_id = :organization_id)
""")
_CHANGE = text("""
UPDATE experiments SET state = :state, reason = :reason, promoted_arm_id = CAST(:promoted_arm_id AS uuid),
  started_at = CASE WHEN :state = 'running' THEN coalesce(started_at, now()) ELSE started_at END,
  ended_at = CASE WHEN :state IN ('promoted', 'rolled_back', 'stopped') THEN coalesce(ended_at, now()) END
WHERE id = :id AND organization_id = :organization_id
""")
_ALLOCATE = text("""
WITH changed AS (
  UPDATE experiments SET share = :share, allocation = allocation + 1
  WHERE id = :id AND organization_id = :organization_id RETURNING id, organization_id, allocation, share
)
INSERT INTO experiment_allocations (experiment_id, number, organization_id, share, weights)
SELECT id, allocation, organization_id, share, CAST(:weights AS jsonb) FROM changed
""")
_SET_SHARE = text("UPDATE experiments SET share = :share WHERE id = :id AND organization_id = :organization_id")
_SET_WEIGHTS = text("""
UPDATE experiment_arms SET weight = given.weight
FROM jsonb_to_recordset(CAST(:weights AS jsonb)) AS given (id uuid, weight numeric)
WHERE experiment_arms.id = given.id AND experiment_id = :id AND organization_id = :organization_id
""")
_BEGAN = text("""
SELECT began_at, now() AS now FROM experiment_allocations
WHERE experiment_id = :id AND organization_id = :organization_id AND number = :number
""")
# For the dispatcher: across organizations. Experiments held by another guard are skipped.
_DUE = text(f"""
SELECT {_COLUMNS} FROM experiments WHERE state = 'running' AND evaluate_after <= now()
ORDER BY evaluate_after LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_POSTPONE = text("""
UPDATE experiments SET evaluate_after = clock_timestamp() + make_interval(secs => :seconds)
WHERE id = :id AND organization_id = :organization_id
""")


def insert(session: Session, experiment: Experiment) -> bool:
    """Write an experiment and its arms; False when its project does not belong to the organization.

    Raises SQLAlchemy's `IntegrityError` on ``experiments_name``.
    """
    written = session.execute(
        _INSERT,
        {
            "id": experiment.id,
            "organization_id": experiment.organization_id,
            "project_id": experiment.project_id,
            "capability": experiment.capability,
            "name": experiment.name,
            "unit": experiment.unit.value,
            "salt": experiment.salt,
            "plan": _json(codec.dump_plan(experiment.plan)),
            "guardrails": _json(codec.dump_guardrails(experiment.guardrails)),
            "ramp": _json(codec.dump_ramp(experiment.ramp)),
            "canary": None if experiment.canary is None else _json(codec.dump_canary(experiment.canary)),
            "share": experiment.share,
            "shadow": None
            if experiment.shadow_limits is None
            else _json(codec.dump_shadow_limits(experiment.shadow_limits)),
        },
    ).one_or_none()
    if written is None:
        return False
    arms = [
        {
            "id": str(arm.id),
            "position": position,
            "name": arm.name,
            "kind": arm.kind.value,
            "weight": arm.weight,
            "model": arm.model,
            "model_version_id": None if arm.model_version_id is None else str(arm.model_version_id),
            "prompt": arm.prompt,
            "prompt_digest": arm.prompt_digest,
        }
        for position, arm in enumerate((*experiment.arms, *experiment.shadows))
    ]
    scope = {"experiment_id": experiment.id, "organization_id": experiment.organization_id}
    session.execute(_INSERT_ARMS, {**scope, "arms": _json(arms)})
    return True


def get(session: Executor, organization_id: UUID, experiment_id: UUID) -> Experiment | None:
    """The organization's experiment."""
    row = session.execute(_GET, {"id": experiment_id, "organization_id": organization_id}).one_or_none()
    return None if row is None else _to_experiment(row)


def lock(session: Session, organization_id: UUID, experiment_id: UUID) -> Experiment | None:
    """Lock the organization's experiment until the transaction ends, and return it."""
    scope = {"id": experiment_id, "organization_id": organization_id}
    if session.execute(_LOCK, scope).one_or_none() is None:
        return None
    return get(session, organization_id, experiment_id)


def list_experiments(
    session: Executor, organization_id: UUID, *, state: State | None, cursor: UUID | None, limit: int
) -> list[Experiment]:
    """The organization's experiments, newest first, with ids below `cursor`."""
    rows = session.execute(
        _LIST, {"organization_id": organization_id, "state": state, "cursor": cursor, "limit": limit}
    )
    return [_to_experiment(row) for row in rows]


def in_force(session: Executor, organization_id: UUID, project_id: UUID, capability: str) -> Experiment | None:
    """The experiment that runs, or was promoted, for a project's jobs of a capability."""
    row = session.execute(
        _IN_FORCE, {"organization_id": organization_id, "project_id": project_id, "capability": capability}
    ).one_or_none()
    return None if row is None else _to_experiment(row)


def of_arm(session: Executor, organization_id: UUID, arm_id: UUID) -> Experiment | None:
    """The organization's experiment that has this arm."""
    row = session.execute(_OF_ARM, {"organization_id": organization_id, "arm_id": arm_id}).one_or_none()
    return None if row is None else _to_experiment(row)


def change(
    session: Session, experiment: Experiment, state: State, *, reason: str | None, promoted_arm_id: UUID | None = None
) -> None:
    """Put a locked experiment into `state`.

    Raises SQLAlchemy's `IntegrityError` on ``experiments_one_at_a_time``.
    """
    values = {"state": state.value, "reason": reason, "promoted_arm_id": promoted_arm_id}
    session.execute(_CHANGE, {**values, "id": experiment.id, "organization_id": experiment.organization_id})


def allocate(session: Session, experiment: Experiment, share: float, weights: Mapping[UUID, float]) -> None:
    """Start a new allocation of a locked experiment; `weights` are those in force, by arm."""
    shown = {str(arm): weight for arm, weight in weights.items()}
    scope = {"id": experiment.id, "organization_id": experiment.organization_id}
    session.execute(_ALLOCATE, {**scope, "share": share, "weights": _json(shown)})


def set_share(session: Session, experiment: Experiment, share: float) -> None:
    """Set the share of the full weights at which a locked draft starts."""
    scope = {"id": experiment.id, "organization_id": experiment.organization_id}
    session.execute(_SET_SHARE, {**scope, "share": share})


def set_weights(session: Session, experiment: Experiment, weights: Mapping[UUID, float]) -> None:
    """Change the full weights of a locked experiment's arms."""
    given = [{"id": str(arm), "weight": weight} for arm, weight in weights.items()]
    scope = {"id": experiment.id, "organization_id": experiment.organization_id}
    session.execute(_SET_WEIGHTS, {**scope, "weights": _json(given)})


def allocation_began(session: Executor, experiment: Experiment) -> tuple[datetime, datetime]:
    """When the experiment's current allocation started, and the database's time."""
    scope = {"id": experiment.id, "organization_id": experiment.organization_id, "number": experiment.allocation}
    row = session.execute(_BEGAN, scope).one()
    return row.began_at, row.now


def due(session: Session, limit: int) -> list[Experiment]:
    """Running experiments of every organization whose evaluation is due, locked. Needs `Database.system`."""
    return [_to_experiment(row) for row in session.execute(_DUE, {"limit": limit})]


def postpone(session: Session, experiment: Experiment, seconds: float) -> None:
    """Evaluate the experiment again in so many seconds."""
    scope = {"id": experiment.id, "organization_id": experiment.organization_id}
    session.execute(_POSTPONE, {**scope, "seconds": seconds})


def _to_experiment(row: Row[Any]) -> Experiment:
    arms = tuple(
        Arm(
            id=UUID(arm["id"]),
            experiment_id=row.id,
            name=arm["name"],
            kind=ArmKind(arm["kind"]),
            weight=float(arm["weight"]),
            model=arm["model"],
            model_version_id=None if arm["model_version_id"] is None else UUID(arm["model_version_id"]),
            prompt=arm["prompt"],
            prompt_digest=arm["prompt_digest"],
        )
        for arm in row.arms
    )
    return Experiment(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        capability=row.capability,
        name=row.name,
        unit=Unit(row.unit),
        state=State(row.state),
        salt=bytes(row.salt),
        arms=tuple(arm for arm in arms if arm.kind is not ArmKind.SHADOW),
        shadows=tuple(arm for arm in arms if arm.kind is ArmKind.SHADOW),
        shadow_limits=codec.load_shadow_limits(row.shadow),
        plan=codec.load_plan(row.plan),
        share=float(row.share),
        allocation=row.allocation,
        guardrails=codec.load_guardrails(row.guardrails),
        ramp=codec.load_ramp(row.ramp),
        canary=codec.load_canary(row.canary),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reason=row.reason,
        promoted_arm_id=row.promoted_arm_id,
    )


def _json(value: Any) -> str:
    return dumps(value).decode()
