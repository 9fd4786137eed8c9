"""The SQL of organizations and projects. Every statement names the organization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from core.keys import models
from core.kit.data_classes import DataClass
from core.kit.db import Executor, Statement, columns_of
from core.kit.ids import new_id

_ORGANIZATION = text("SELECT id, name, created_at FROM organizations WHERE id = :organization_id")
_ORGANIZATIONS = text("SELECT id, name, created_at FROM organizations ORDER BY name")
_ENSURE_ORGANIZATION = text(
    "INSERT INTO organizations (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING RETURNING id"
)
_ORGANIZATION_BY_NAME = text("SELECT id FROM organizations WHERE name = :name")


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_class", DataClass(self.data_class))


_COLUMNS = columns_of(models.Project, Project)


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


def names(session: Session, organization_id: UUID) -> Sequence[str]:
    """The names of all projects of the organization."""
    found = select(models.Project.name).where(models.Project.organization_id == organization_id)
    return session.execute(found.order_by(models.Project.name)).scalars().all()


def insert(
    session: Session,
    organization_id: UUID,
    name: str,
    *,
    cost_centre: str | None = None,
    owner: str | None = None,
    labels: Mapping[str, str] | None = None,
    data_class: DataClass = DataClass.PUBLIC,
) -> Project | None:
    """A new project; None when the organization already has one of that name."""
    new = postgresql.insert(models.Project).values(
        id=new_id(),
        organization_id=organization_id,
        name=name,
        cost_centre=cost_centre,
        owner=owner,
        labels=dict(labels or {}),
        data_class=data_class,
    )
    once = new.on_conflict_do_nothing(index_elements=("organization_id", "name"))
    return _one(session, once.returning(*_COLUMNS))


def get(session: Executor, organization_id: UUID, project_id: UUID) -> Project | None:
    """The project, or None when the organization has no such project."""
    return _one(session, select(*_COLUMNS).where(*_is(organization_id, project_id)))


def by_name(session: Session, organization_id: UUID, name: str) -> Project | None:
    """The organization's project named `name`."""
    named = select(*_COLUMNS).where(models.Project.organization_id == organization_id, models.Project.name == name)
    return _one(session, named)


def list_all(
    session: Executor, organization_id: UUID, *, cursor: UUID | None, limit: int, with_archived: bool, name: str | None
) -> Sequence[Project]:
    """A page of the organization's projects with ids below `cursor`, newest first."""
    page = select(*_COLUMNS).where(models.Project.organization_id == organization_id)
    if cursor is not None:
        page = page.where(models.Project.id < cursor)
    if not with_archived:
        page = page.where(models.Project.archived_at.is_(None))
    if name is not None:
        page = page.where(models.Project.name == name)
    return [Project(*row) for row in session.execute(page.order_by(models.Project.id.desc()).limit(limit))]


def update(session: Session, organization_id: UUID, project_id: UUID, changes: Mapping[str, Any]) -> Project | None:
    """Set `name`, `cost_centre`, `owner`, `labels`, `data_class` from `changes`. None: there is no such project."""
    values = {**changes, "data_class": changes.get("data_class") or models.Project.data_class}
    if "labels" in changes:
        values["labels"] = changes["labels"] or {}
    changed = sqlalchemy.update(models.Project).where(*_is(organization_id, project_id)).values(values)
    return _one(session, changed.returning(*_COLUMNS))


def set_archived(session: Session, organization_id: UUID, project_id: UUID, archived: bool) -> Project | None:
    """Archive or restore; None when nothing changes, or when there is no such project."""
    is_archived = models.Project.archived_at.is_not(None)
    changed = sqlalchemy.update(models.Project).where(*_is(organization_id, project_id), is_archived != archived)
    return _one(session, changed.values(archived_at=func.now() if archived else None).returning(*_COLUMNS))


def _is(organization_id: UUID, project_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return models.Project.id == project_id, models.Project.organization_id == organization_id


def _one(session: Executor, statement: Statement) -> Project | None:
    row = session.execute(statement).one_or_none()
    return None if row is None else Project(*row)
