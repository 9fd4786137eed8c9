"""Sets and removes aliases, with audit records."""

import re
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.projects import repository as projects
from core.keys.projects.service import not_found as project_not_found
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.kit.ids import ALIAS, encode
from core.registry import repository as models
from core.registry import service as registry
from core.registry.aliases import repository
from core.registry.aliases.records import Alias, NewAlias
from core.registry.errors import AliasNotFound, ModelNotFound, SharedReadOnly, VersionRetired
from core.registry.records import Model, Owner, Stage
from core.registry.validation import require_name

_CAPABILITY = re.compile(r"[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}", re.ASCII)


def set_alias(session: Session, owner: Owner, new: NewAlias) -> Alias:
    """Point an alias at a model, or at one version of it. An alias names a model, never another alias.

    Raises `ModelNotFound`, `VersionNotFound`, `VersionRetired`, `ProjectNotFound`, and `Unprocessable` for an
    invalid name or capability.
    """
    require_name(new.alias, "body.alias")
    if new.capability is not None and _CAPABILITY.fullmatch(new.capability) is None:
        message = "a capability is called <folder>.<verb>, for example knowledge.search"
        problem = {"path": "body.capability", "code": "alias_invalid", "message": message}
        raise Unprocessable(f"{problem['path']}: {message}", errors=[problem])
    _require_project(session, owner, new.project_id)
    model = models.by_name(session, owner.organization_id, new.model)
    if model is None:
        raise ModelNotFound(f"there is no model called {new.model[:100]} that you may see")
    version_id = _pin(session, owner, model, new.version)
    made = repository.set_alias(session, owner.organization_id, new, model.id, version_id)
    found = get(session, owner.organization_id, made)
    _record(session, owner, AuditAction.ALIAS_SET, found)
    return found


def remove(session: Session, owner: Owner, alias_id: UUID) -> Alias:
    """Remove an alias and return it. Raises `AliasNotFound` and `SharedReadOnly`."""
    found = get(session, owner.organization_id, alias_id)
    if found.organization_id != owner.organization_id:
        raise SharedReadOnly(f"the alias {found.alias} is shared; set your own, which takes precedence")
    if not repository.remove(session, owner.organization_id, alias_id):
        raise _unknown(alias_id)
    _record(session, owner, AuditAction.ALIAS_REMOVE, found)
    return found


def get(session: Executor, organization_id: UUID | None, alias_id: UUID) -> Alias:
    """An alias of the organization, or a shared one. Raises `AliasNotFound`."""
    found = repository.get(session, organization_id, alias_id)
    if found is None:
        raise _unknown(alias_id)
    return found


def list_aliases(
    session: Executor, organization_id: UUID | None, *, cursor: UUID | None = None, limit: int
) -> list[Alias]:
    """The organization's aliases and the shared ones, newest first, with ids below `cursor`."""
    return repository.list_aliases(session, organization_id, cursor=cursor, limit=limit)


def _require_project(session: Session, owner: Owner, project_id: UUID | None) -> None:
    if project_id is None:
        return
    if owner.organization_id is None or projects.get(session, owner.organization_id, project_id) is None:
        raise project_not_found(project_id)


def _pin(session: Session, owner: Owner, model: Model, number: int | None) -> UUID | None:
    if number is None:
        return None
    if model.organization_id == owner.organization_id:
        # A process that retires the version waits, and then sees the alias. Shared models cannot be locked here.
        models.lock(session, model.id)
    version = registry.get_version(session, owner.organization_id, model.id, number)
    if version.stage is Stage.RETIRED:
        raise VersionRetired(f"version {number} of {model.name} is retired; restore it before an alias pins it")
    return version.id


def _unknown(alias_id: UUID) -> AliasNotFound:
    return AliasNotFound(f"there is no alias {encode(ALIAS, alias_id)} that you may see")


def _record(session: Session, owner: Owner, action: AuditAction, alias: Alias) -> None:
    if owner.organization_id is None:
        return
    record(
        session,
        owner.organization_id,
        alias.project_id,
        action,
        subject_id=encode(ALIAS, alias.id),
        actor=owner.actor,
        detail={
            "alias": alias.alias,
            "capability": alias.capability,
            "model": alias.model,
            "version": alias.version,
        },
    )
