"""The SQL of stages. The writer of a change holds the model's lock."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.registry.records import Cause, Owner, Stage, StageChange

_BEGIN = text("""
INSERT INTO model_stages (version_id, model_id, organization_id, stage)
VALUES (:version_id, :model_id, :organization_id, 'candidate')
""")
_SET = text("UPDATE model_stages SET stage = :stage WHERE version_id = :version_id AND model_id = :model_id")
_ADD_CHANGE = text("""
INSERT INTO model_stage_changes
  (model_id, model_version_id, organization_id, number, stage, cause, reason, actor_kind, actor_id)
SELECT :model_id, :version_id, :organization_id, coalesce(max(number), 0) + 1, :stage, :cause, :reason, :actor_kind,
  CAST(:actor_id AS text)
FROM model_stage_changes WHERE model_id = :model_id
""")
_CHANGE = """
SELECT change.id, change.number, change.model_version_id, version.number, change.stage, change.cause, change.reason,
  change.actor_kind, change.actor_id, change.changed_at
FROM model_stage_changes AS change JOIN model_versions AS version ON version.id = change.model_version_id
WHERE change.model_id = :model_id AND (change.organization_id IS NULL OR change.organization_id = :organization_id)
"""
_HISTORY = text(
    f"{_CHANGE} AND (CAST(:before AS int) IS NULL OR change.number < :before) ORDER BY change.number DESC LIMIT :limit"
)
_REIGNS = text(f"{_CHANGE} AND change.stage = 'champion' ORDER BY change.number")
_RETIRED = text("SELECT version_id FROM model_stages WHERE model_id = :model_id AND stage = 'retired'")
_ALIASES_ON = text("""
SELECT alias FROM model_aliases WHERE model_version_id = :version_id
  AND (organization_id IS NULL OR organization_id = :organization_id) ORDER BY alias
""")


def begin(session: Session, organization_id: UUID | None, model_id: UUID, version_id: UUID) -> None:
    """Make a new version a candidate."""
    parameters = {"version_id": version_id, "model_id": model_id, "organization_id": organization_id}
    session.execute(_BEGIN, parameters)


def set_stage(session: Session, model_id: UUID, version_id: UUID, stage: Stage) -> None:
    """Set a version's stage. The old champion is changed first: an index allows only one."""
    session.execute(_SET, {"stage": stage.value, "version_id": version_id, "model_id": model_id})


def add_change(  # noqa: PLR0917 - one row
    session: Session, owner: Owner, model_id: UUID, version_id: UUID, stage: Stage, cause: Cause, reason: str
) -> None:
    """Add the next line of a model's history."""
    session.execute(
        _ADD_CHANGE,
        {
            "model_id": model_id,
            "version_id": version_id,
            "organization_id": owner.organization_id,
            "stage": stage.value,
            "cause": cause.value,
            "reason": reason,
            "actor_kind": owner.actor.kind,
            "actor_id": owner.actor.id,
        },
    )


def history(
    session: Executor, organization_id: UUID | None, model_id: UUID, *, before: int | None, limit: int
) -> list[StageChange]:
    """A model's changes with numbers below `before`, latest first."""
    parameters = {"organization_id": organization_id, "model_id": model_id, "before": before, "limit": limit}
    return [_to_change(row) for row in session.execute(_HISTORY, parameters)]


def reigns(session: Executor, organization_id: UUID | None, model_id: UUID) -> list[StageChange]:
    """Every change by which a version of the model became its champion, oldest first."""
    parameters = {"organization_id": organization_id, "model_id": model_id}
    return [_to_change(row) for row in session.execute(_REIGNS, parameters)]


def retired(session: Executor, model_id: UUID) -> set[UUID]:
    """The model's versions that are retired."""
    return set(session.execute(_RETIRED, {"model_id": model_id}).scalars())


def aliases_on(session: Executor, organization_id: UUID | None, version_id: UUID) -> list[str]:
    """The aliases that pin a version."""
    parameters = {"version_id": version_id, "organization_id": organization_id}
    return list(session.execute(_ALIASES_ON, parameters).scalars())


def _to_change(row: Row[Any]) -> StageChange:
    values = tuple(row)
    return StageChange(*values[:4], Stage(values[4]), Cause(values[5]), *values[6:])  # type: ignore[call-arg]
