"""Issuing, listing, rotating and revoking API keys."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.keys import repository
from core.keys.clearance import require_cleared
from core.keys.errors import KeyNotActive, KeyNotFound, ProjectArchived, ProjectRequired
from core.keys.grants import require_covers
from core.keys.hashing import KeyHasher, generate_key
from core.keys.principal import Principal
from core.keys.projects import repository as projects
from core.keys.projects.service import ensure_project, not_found
from core.keys.repository import ApiKey
from core.keys.scopes import SCOPES, resolve
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.kit.ids import KEY, PROJECT, encode
from core.kit.settings import Settings

__all__ = ["OVERLAP_MAX", "SCOPES", "ApiKey", "IssuedKey", "KeyService"]

OVERLAP_MAX = timedelta(days=30)
_COMMAND_LINE = Actor("system", "command-line")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key. `plaintext` is not stored anywhere: the receiver shows it once."""

    record: ApiKey
    plaintext: str

    @property
    def id(self) -> UUID:
        """The key's id."""
        return self.record.id

    @property
    def organization_id(self) -> UUID:
        """The organization that owns it."""
        return self.record.organization_id

    @property
    def project_id(self) -> UUID:
        """The project it acts for."""
        return self.record.project_id

    @property
    def prefix(self) -> str:
        """The part shown in lists."""
        return self.record.prefix

    @property
    def scopes(self) -> tuple[str, ...]:
        """Its scopes."""
        return tuple(self.record.scopes)


class KeyService:
    """Issues, shows, rotates and revokes keys, and records each action.

    A caller sees and changes the keys of its own project; also those of the organization's other projects if it may
    read, or change, projects. No one can change a key with more rights than their own.
    """

    def __init__(self, settings: Settings) -> None:
        self._hasher = KeyHasher(settings)

    def create_key(
        self,
        session: Session,
        *,
        organization: str,
        project: str,
        name: str,
        scopes: Iterable[str] = (),
        expires_in: timedelta | None = None,
        clearance: DataClass = DataClass.RESTRICTED,
        actor: Actor = _COMMAND_LINE,
    ) -> IssuedKey:
        """Issue a key for a project, creating organization and project when absent.

        For operators with database access, not for callers of the API: its session comes from `Database.system`.
        Without `scopes` the key gets the default ones. `expires_in` counts from now; None means never. Raises
        `Unprocessable` for an unknown scope or a blank name.
        """
        wanted = resolve(scopes)
        for label, text in (("organization", organization), ("project", project), ("name", name)):
            if not text.strip() or "\x00" in text:
                raise Unprocessable(f"the {label} of a key must not be blank")
        _require_future(expires_in)
        found = ensure_project(session, organization, project, actor)
        issued = self._insert(session, found.organization_id, found.id, name, wanted, expires_in, clearance)
        _record_created(session, issued, actor)
        return issued

    def issue(
        self,
        session: Session,
        principal: Principal,
        *,
        name: str,
        scopes: Iterable[str] = (),
        project_id: UUID | None = None,
        expires_in: timedelta | None = None,
        clearance: DataClass | None = None,
    ) -> IssuedKey:
        """Issue a key for the caller's project, or for another one of its organization when it may change projects.

        It may read results up to `clearance`, by default the caller's own. Raises `ScopeExceeded` for rights that the
        caller lacks, `ClearanceExceeded` for a clearance above its own, `ProjectNotFound`, `ProjectArchived`,
        `ProjectRequired`, and `Unprocessable` for an unknown scope.
        """
        wanted = resolve(scopes)
        _require_future(expires_in)
        where = self._project(session, principal, project_id)
        require_covers(principal, wanted, "issue a key with these scopes")
        clearance = clearance or principal.clearance
        require_cleared(principal, clearance, "the clearance of this key")
        issued = self._insert(
            session, principal.organization_id, where, name, wanted, expires_in, clearance, principal.submitter
        )
        _record_created(session, issued, principal.actor)
        return issued

    def _project(self, session: Session, principal: Principal, wanted: UUID | None) -> UUID:
        if wanted is None:
            if not principal.has_project:
                message = "name the project that the key is for"
                problem = {"path": "body.project_id", "code": "project_required", "message": message}
                raise ProjectRequired(message, errors=[problem])
            wanted = principal.project_id
        within = _reach(principal, "projects:write")
        found = projects.get(session, principal.organization_id, wanted) if within in {None, wanted} else None
        if found is None:
            raise not_found(wanted)
        if found.archived_at is not None:
            raise ProjectArchived(f"the project {encode(PROJECT, wanted)} is archived; restore it first")
        return found.id

    def get(self, session: Executor, principal: Principal, key_id: UUID) -> ApiKey:
        """A key that the caller may see. Raises `KeyNotFound`."""
        within = _reach(principal, "projects:read")
        found = repository.get_key(session, principal.organization_id, within, key_id)
        if found is None:
            raise _key_not_found(key_id)
        return found

    def list(
        self,
        session: Executor,
        principal: Principal,
        *,
        project_id: UUID | None,
        cursor: UUID | None,
        limit: int,
        with_ended: bool = False,
    ) -> Sequence[ApiKey]:
        """At most `limit` keys with ids below `cursor`, newest first.

        Those of the caller's project; of `project_id` when given; of the whole organization when the caller names no
        project.
        """
        within = project_id or (principal.project_id if principal.has_project else None)
        allowed = _reach(principal, "projects:read")
        if allowed is not None and within != allowed:
            return []
        return repository.list_keys(
            session, principal.organization_id, within, cursor=cursor, limit=limit, with_ended=with_ended
        )

    def rotate(self, session: Session, principal: Principal, key_id: UUID, overlap: timedelta) -> IssuedKey:
        """Replace an active key by one with the same scopes and lifetime; the old one stays valid for `overlap`.

        Raises `KeyNotFound`, `KeyNotActive`, and `ScopeExceeded` when the key may do more than the caller.
        """
        old = self._lock(session, principal, key_id)
        require_covers(principal, old.scopes, "rotate this key")
        require_cleared(principal, old.clearance, "the clearance of this key")
        if old.state != "active":
            raise KeyNotActive(f"this key is {old.state}; only an active key can be rotated", state=old.state)
        lives = None if old.expires_at is None else old.expires_at - old.created_at
        issued = self._insert(
            session,
            old.organization_id,
            old.project_id,
            old.name,
            old.scopes,
            lives,
            old.clearance,
            principal.submitter,
        )
        repository.replace_key(session, old.organization_id, old.id, issued.id, overlap)
        detail = {"replaced_by": encode(KEY, issued.id), "overlap_seconds": int(overlap.total_seconds())}
        _record(session, AuditAction.KEY_ROTATE, old, principal.actor, detail)
        return issued

    def revoke(self, session: Session, principal: Principal, key_id: UUID) -> ApiKey:
        """Revoke a key; takes effect everywhere within two seconds. Revoking it again is not recorded again.

        Raises `KeyNotFound`, and `ScopeExceeded` when the key may do more than the caller.
        """
        before = self._lock(session, principal, key_id)
        require_covers(principal, before.scopes, "revoke this key")
        if before.revoked_at is not None:
            return before
        return self.revoke_key(session, principal.organization_id, key_id, actor=principal.actor)

    def revoke_key(
        self, session: Session, organization_id: UUID, key_id: UUID, *, actor: Actor = _COMMAND_LINE
    ) -> ApiKey:
        """Revoke a key of the organization, for operators with database access. Raises `KeyNotFound`."""
        revoked = repository.revoke_key(session, organization_id, key_id)
        if revoked is None:
            raise _key_not_found(key_id)
        _record(session, AuditAction.KEY_REVOKE, revoked, actor, {})
        return revoked

    def _lock(self, session: Session, principal: Principal, key_id: UUID) -> ApiKey:
        within = _reach(principal, "projects:write")
        found = repository.get_key(session, principal.organization_id, within, key_id, lock=True)
        if found is None:
            raise _key_not_found(key_id)
        return found

    def _insert(  # noqa: PLR0917 - private, and every caller says all of it
        self,
        session: Session,
        organization_id: UUID,
        project_id: UUID,
        name: str,
        scopes: Sequence[str],
        expires_in: timedelta | None,
        clearance: DataClass,
        created_by: str | None = None,
    ) -> IssuedKey:
        generated = generate_key()
        made = repository.insert_key(
            session,
            organization_id=organization_id,
            project_id=project_id,
            name=name,
            prefix=generated.prefix,
            digest=self._hasher.digest(generated.plaintext),
            scopes=scopes,
            expires_in=expires_in,
            created_by=created_by,
            clearance=clearance,
        )
        return IssuedKey(made, generated.plaintext)


def _reach(principal: Principal, scope: str) -> UUID | None:
    """The project whose keys the caller is restricted to; None for a caller that administers all of them."""
    return None if scope in principal.scopes else principal.project_id


def _require_future(expires_in: timedelta | None) -> None:
    if expires_in is not None and expires_in <= timedelta(0):
        raise Unprocessable("a key must expire in the future")


def _key_not_found(key_id: UUID) -> KeyNotFound:
    return KeyNotFound(f"there is no key {encode(KEY, key_id)} that you may see")


def _record_created(session: Session, issued: IssuedKey, actor: Actor) -> None:
    _record(
        session,
        AuditAction.KEY_CREATE,
        issued.record,
        actor,
        {"scopes": list(issued.scopes), "clearance": issued.record.clearance},
    )


def _record(session: Session, action: AuditAction, key: ApiKey, actor: Actor, detail: Mapping[str, Any]) -> None:
    record(
        session,
        key.organization_id,
        key.project_id,
        action,
        subject_id=encode(KEY, key.id),
        actor=actor,
        detail=detail,
    )
