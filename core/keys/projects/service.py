"""Organizations and projects: the units that work is done and charged for."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.keys.errors import ProjectNameTaken, ProjectNotFound
from core.keys.principal import Principal
from core.keys.projects import repository
from core.keys.projects.repository import Organization, Project
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import ORGANIZATION, PROJECT, encode


class ProjectService:
    """Creates, reads and changes the projects of the caller's organization, and records each change."""

    def organization(self, session: Executor, principal: Principal) -> Organization:
        """The caller's organization. Raises `NotFound` when it is gone."""
        found = repository.organization(session, principal.organization_id)
        if found is None:
            raise NotFound("this organization does not exist any more", code="organization_not_found")
        return found

    def create(
        self,
        session: Session,
        principal: Principal,
        name: str,
        *,
        cost_centre: str | None = None,
        owner: str | None = None,
        labels: Mapping[str, str] | None = None,
        data_class: DataClass = DataClass.PUBLIC,
    ) -> Project:
        """A new project. Raises `ProjectNameTaken`."""
        made = repository.insert(
            session,
            principal.organization_id,
            name,
            cost_centre=cost_centre,
            owner=owner,
            labels=labels,
            data_class=data_class,
        )
        if made is None:
            raise _taken(name)
        _record(session, AuditAction.PROJECT_CREATE, made, principal.actor)
        return made

    def get(self, session: Executor, principal: Principal, project_id: UUID) -> Project:
        """A project of the caller's organization. Raises `ProjectNotFound`, also for another organization's."""
        found = repository.get(session, principal.organization_id, project_id)
        if found is None:
            raise not_found(project_id)
        return found

    def list(
        self,
        session: Executor,
        principal: Principal,
        *,
        cursor: UUID | None,
        limit: int,
        with_archived: bool = False,
        name: str | None = None,
    ) -> Sequence[Project]:
        """At most `limit` projects with ids below `cursor`, newest first."""
        return repository.list_all(
            session, principal.organization_id, cursor=cursor, limit=limit, with_archived=with_archived, name=name
        )

    def update(self, session: Session, principal: Principal, project_id: UUID, changes: Mapping[str, Any]) -> Project:
        """Set `name`, `cost_centre`, `owner`, `labels` or `data_class`; fields missing from `changes` stay.

        Raises `ProjectNotFound` and `ProjectNameTaken`.
        """
        before = self.get(session, principal, project_id)
        try:
            changed = repository.update(session, principal.organization_id, project_id, changes)
        except IntegrityError as error:
            if "projects_organization_name" not in str(error.orig):
                raise
            raise _taken(str(changes.get("name"))) from None
        if changed is None:
            raise not_found(project_id)
        detail: dict[str, Any] = {"changed": sorted(changes)}
        if changed.data_class is not before.data_class:
            detail["data_class"] = {"from": before.data_class, "to": changed.data_class}
        _record(session, AuditAction.PROJECT_UPDATE, changed, principal.actor, detail)
        return changed

    def set_archived(self, session: Session, principal: Principal, project_id: UUID, *, archived: bool) -> Project:
        """Archive a project, so that nothing in it can be changed, or restore it. Raises `ProjectNotFound`.

        Jobs that were accepted before still run. Doing it twice changes nothing and is not recorded again.
        """
        changed = repository.set_archived(session, principal.organization_id, project_id, archived)
        if changed is None:
            return self.get(session, principal, project_id)
        _record(session, AuditAction.PROJECT_UPDATE, changed, principal.actor, {"archived": archived})
        return changed


def create_organization(session: Session, name: str, actor: Actor) -> UUID | None:
    """The id of a new organization, without projects; None when there is one of that name.

    Its session comes from `Database.system`. Raises `Unprocessable` for a blank name.
    """
    if not name.strip() or "\x00" in name:
        raise Unprocessable("the name of an organization must not be blank")
    organization_id = repository.create_organization(session, name)
    if organization_id is None:
        return None
    record(
        session,
        organization_id,
        None,
        AuditAction.ORGANIZATION_CREATE,
        subject_id=encode(ORGANIZATION, organization_id),
        actor=actor,
    )
    return organization_id


def ensure_project(session: Session, organization: str, name: str, actor: Actor) -> Project:
    """The project named `name` of the organization named `organization`, both created when absent.

    Works across organizations, so its session comes from `Database.system`.
    """
    organization_id = repository.ensure_organization(session, organization)
    made = repository.insert(session, organization_id, name)
    if made is not None:
        _record(session, AuditAction.PROJECT_CREATE, made, actor)
        return made
    found = repository.by_name(session, organization_id, name)
    assert found is not None
    return found


def not_found(project_id: UUID) -> ProjectNotFound:
    """The error for a project that the caller's organization does not have."""
    return ProjectNotFound(f"there is no project {encode(PROJECT, project_id)} in this organization")


def _taken(name: str) -> ProjectNameTaken:
    message = f"this organization has a project called {name}; choose another name"
    return ProjectNameTaken(message, errors=[{"path": "body.name", "code": "project_name_taken", "message": message}])


def _record(
    session: Session, action: AuditAction, project: Project, actor: Actor, detail: Mapping[str, Any] | None = None
) -> None:
    record(
        session,
        project.organization_id,
        project.id,
        action,
        subject_id=encode(PROJECT, project.id),
        actor=actor,
        detail=detail,
    )
