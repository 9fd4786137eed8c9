"""The SQL of retention periods for a data class."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.data_classes import DataClass
from core.kit.db import Executor

# A project's own policy for a class replaces its organization's for that class.
_POLICIES = text(
    "SELECT DISTINCT ON (data_class) data_class, project_id, days, set_at FROM retention_class_policies"
    " WHERE organization_id = :organization AND (project_id IS NULL OR project_id = :project)"
    " ORDER BY data_class, project_id NULLS LAST"
)
_SET = text("""
INSERT INTO retention_class_policies (organization_id, project_id, data_class, days)
VALUES (:organization, CAST(:project AS uuid), CAST(:data_class AS data_class), :days)
ON CONFLICT (organization_id, data_class, project_id) DO UPDATE SET days = excluded.days, set_at = now()
""")
_REMOVE = text(
    "DELETE FROM retention_class_policies WHERE organization_id = :organization"
    " AND data_class = CAST(:data_class AS data_class) AND project_id IS NOT DISTINCT FROM CAST(:project AS uuid)"
)


def class_policies(session: Executor, organization_id: UUID, project_id: UUID) -> Sequence[Row[tuple[object, ...]]]:
    """The policy that applies in this project for each class that has one, the lowest class first."""
    return session.execute(_POLICIES, {"organization": organization_id, "project": project_id}).all()


def set_class_policy(
    session: Session, organization_id: UUID, project_id: UUID | None, data_class: DataClass, days: int
) -> None:
    """Set or change one policy."""
    values = {"organization": organization_id, "project": project_id, "data_class": data_class, "days": days}
    session.execute(_SET, values)


def remove_class_policy(
    session: Session, organization_id: UUID, project_id: UUID | None, data_class: DataClass
) -> bool:
    """Remove one policy; False when there is none."""
    values = {"organization": organization_id, "project": project_id, "data_class": data_class}
    return bool(session.execute(_REMOVE, values).rowcount)  # type: ignore[attr-defined]
