"""The SQL of organizations and projects. Every statement names the organization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.ids import new_id
from core.kit.json_values import dumps

_COLUMNS = "id, organization_id, name, cost_centre, owner, labels, created_at, archived_at, data_class"

_ORGANIZATION = text("SELECT id, name, created_at FROM organizations WHERE id = :organization_id")
_ORGANIZATIONS = text("SELECT id, name, created_at FROM organizations ORDER BY name")
_ENSURE_ORGANIZATION = text(
    "INSERT INTO organizations (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING RETURNING id"
)
_ORGANIZATION_BY_NAME = text("SELECT id FROM organizations WHERE name = :name")
_NAMES = text("SELECT name FROM projects WHERE organization_id = :organization_id ORDER BY name")
_INSERT = text(
    "INSERT INTO projects (id, organization_id, name, cost_centre, owner, labels, data_class)"
    " VALUES (:id, :organization_id, :name, :cost_centre, :owner, CAST(:labels AS jsonb), :data_class)"
    f" ON CONFLICT (organization_id, name) DO NOTHING RETURNING {_COLUMNS}"
)
_GET = text(f"SELECT {_COLUMNS} FROM projects WHERE id = :id AND organization_id = :organization_id")
_BY_NAME = text(f"SELECT {_COLUMNS} FROM projects WHERE name = :name AND organization_id = :organization_id")
_LIST = text(
    f"SELECT {_COLUMNS} FROM projects WHERE organization_id = :organization_id"
    " AND (CAST(:cursor AS uuid) IS NULL OR id < :cursor) AND (:with_archived OR archived_at IS NULL)"
    " AND (CAST(:name AS text) IS NULL OR name = :name) ORDER BY id DESC LIMIT :limit"
)
_UPDATE = text(
    "UPDATE projects SET name = CASE WHEN :sets_name THEN :name ELSE name END,"
    " cost_centre = CASE WHEN :sets_cost_centre THEN :cost_centre ELSE cost_centre END,"
    " owner = CASE WHEN :sets_owner THEN :owner ELSE owner END,"
    " labels = CASE WHEN :sets_labels THEN CAST(:labels AS jsonb) ELSE labels END,"
    " data_class = coalesce(CAST(:data_class AS data_class), data_class)"
    f" WHERE id = :id AND organization_id = :organization_id RETURNING {_COLUMNS}"
)
_ARCHIVE = text(
    "UPDATE projects SET archived_at = CASE WHEN :archived THEN now() END"
    " WHERE id = :id AND organization_id = :organization_id AND (archived_at IS NOT NULL) <> :archived"
    f" RETURNING {_COLUMNS}"
)


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant."""

    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A project as stored; `archived_at` is None while it is active."""

    id: UUID
    organization_id: UUID
    name: str
    cost_centre: str | None
    owner: str | None
    labels: dict[str, str]
    created_at: datetime
    archived_at: datetime | None
    data_class: DataClass


def _project(row: Row[Any]) -> Project:
    return Project(**{**row._asdict(), "data_class": DataClass(row.data_class)})


def organization(session: Executor, organization_id: UUID) -> Organization | None:
    """The organization with that id."""
    row = session.execute(_ORGANIZATION, {"organization_id": organization_id}).one_or_none()
    return None if row is None else Organization(*row)


def organizations(session: Executor) -> list[Organization]:
    """All organizations of the installation, by name; needs `Database.system`."""
    return [Organization(*row) for row in session.execute(_ORGANIZATIONS, {})]


def create_organization(session: Executor, name: str) -> UUID | None:
    """The id of a new organization; None when there is one of that name. Needs `Database.system`."""
    made: UUID | None = session.execute(_ENSURE_ORGANIZATION, {"id": new_id(), "name": name}).scalar_one_or_none()
    return made


def ensure_organization(session: Executor, name: str) -> UUID:
    """The id of the organization named `name`, created when absent; needs `Database.system`."""
    found: UUID = (
        create_organization(session, name) or session.execute(_ORGANIZATION_BY_NAME, {"name": name}).scalar_one()
    )
    return found


def names(session: Executor, organization_id: UUID) -> list[str]:
    """The names of all projects of the organization."""
    return list(session.execute(_NAMES, {"organization_id": organization_id}).scalars())


def insert(
    session: Executor,
    organization_id: UUID,
    name: str,
    *,
    cost_centre: str | None = None,
    owner: str | None = None,
    labels: Mapping[str, str] | None = None,
    data_class: DataClass = DataClass.PUBLIC,
) -> Project | None:
    """A new project; None when the organization already has one of that name."""
    row = session.execute(
        _INSERT,
        {
            "id": new_id(),
            "organization_id": organization_id,
            "name": name,
            "cost_centre": cost_centre,
            "owner": owner,
            "labels": dumps(dict(labels or {})).decode(),
            "data_class": data_class,
        },
    ).one_or_none()
    return None if row is None else _project(row)


def get(session: Executor, organization_id: UUID, project_id: UUID) -> Project | None:
    """The project, or None when the organization has no such project."""
    row = session.execute(_GET, {"id": project_id, "organization_id": organization_id}).one_or_none()
    return None if row is None else _project(row)


def by_name(session: Executor, organization_id: UUID, name: str) -> Project | None:
    """The organization's project named `name`."""
    row = session.execute(_BY_NAME, {"name": name, "organization_id": organization_id}).one_or_none()
    return None if row is None else _project(row)


def list_all(
    session: Executor, organization_id: UUID, *, cursor: UUID | None, limit: int, with_archived: bool, name: str | None
) -> Sequence[Project]:
    """A page of the organization's projects with ids below `cursor`, newest first."""
    rows = session.execute(
        _LIST,
        {
            "organization_id": organization_id,
            "cursor": cursor,
            "limit": limit,
            "with_archived": with_archived,
            "name": name,
        },
    )
    return [_project(row) for row in rows]


def update(session: Executor, organization_id: UUID, project_id: UUID, changes: Mapping[str, Any]) -> Project | None:
    """Set `name`, `cost_centre`, `owner`, `labels`, `data_class` from `changes`. None: there is no such project."""
    parameters: dict[str, Any] = {"id": project_id, "organization_id": organization_id}
    for column in ("name", "cost_centre", "owner", "labels"):
        parameters[f"sets_{column}"] = column in changes
        parameters[column] = changes.get(column)
    parameters["data_class"] = changes.get("data_class")
    parameters["labels"] = dumps(dict(changes.get("labels") or {})).decode()
    row = session.execute(_UPDATE, parameters).one_or_none()
    return None if row is None else _project(row)


def set_archived(session: Executor, organization_id: UUID, project_id: UUID, archived: bool) -> Project | None:
    """Archive or restore; None when nothing changes, or when there is no such project."""
    parameters = {"id": project_id, "organization_id": organization_id, "archived": archived}
    row = session.execute(_ARCHIVE, parameters).one_or_none()
    return None if row is None else _project(row)
