"""Members: the people who may act for an organization, and their roles."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.keys.errors import IssuerRequired, LastOwner, MemberExists, MemberNotFound
from core.keys.grants import require_covers
from core.keys.members import repository
from core.keys.members.repository import Member
from core.keys.principal import Principal
from core.keys.projects.repository import ensure_organization
from core.keys.roles import Role
from core.keys.sessions import views
from core.kit.db import Executor
from core.kit.ids import MEMBER, encode
from core.kit.settings import Settings


class MemberService:
    """Adds, reads, changes and removes the members of the caller's organization, and records each change.

    Records name the member's id, never its subject or address.
    """

    def __init__(self, settings: Settings) -> None:
        self._issuers = tuple(each.issuer for each in settings.oidc_issuers)

    def add(
        self,
        session: Session,
        principal: Principal,
        *,
        subject: str,
        role: Role,
        email: str | None = None,
        issuer: str | None = None,
    ) -> Member:
        """A new member. `issuer` defaults to the only one that the settings name.

        Raises `ScopeExceeded` for a role above the caller's, `MemberExists` and `IssuerRequired`.
        """
        require_covers(principal, role.scopes, f"add a member with the role {role}")
        return self._insert(session, principal.organization_id, principal.actor, issuer, subject, email, role)

    def bootstrap(
        self,
        session: Session,
        organization: str,
        actor: Actor,
        *,
        subject: str,
        role: Role,
        email: str | None = None,
        issuer: str | None = None,
    ) -> Member:
        """The first member of an organization, which is created when absent; its session comes from `Database.system`.

        Raises `MemberExists` and `IssuerRequired`.
        """
        organization_id = ensure_organization(session, organization)
        return self._insert(session, organization_id, actor, issuer, subject, email, role)

    def _insert(  # noqa: PLR0917 - private, and every caller says all of it
        self,
        session: Session,
        organization_id: UUID,
        actor: Actor,
        issuer: str | None,
        subject: str,
        email: str | None,
        role: Role,
    ) -> Member:
        made = repository.insert(
            session,
            organization_id,
            issuer=issuer or self._only_issuer(),
            subject=subject,
            email=email,
            role=role,
        )
        if made is None:
            message = "this organization has that member already; change its role instead"
            raise MemberExists(message, errors=[_field("subject", "member_exists", message)])
        _record(session, AuditAction.MEMBER_ADD, made, actor, {"role": role.value})
        return made

    def _only_issuer(self) -> str:
        if len(self._issuers) == 1:
            return self._issuers[0]
        known = ", ".join(self._issuers) or "none is configured in WAYBILL_OIDC_ISSUERS"
        message = f"name the issuer that knows this subject; known: {known}"
        raise IssuerRequired(message, errors=[_field("issuer", "issuer_required", message)])

    def get(self, session: Executor, principal: Principal, member_id: UUID) -> Member:
        """A member of the caller's organization. Raises `MemberNotFound`, also for another organization's."""
        found = repository.get(session, principal.organization_id, member_id)
        if found is None:
            raise _not_found(member_id)
        return found

    def list(
        self, session: Executor, principal: Principal, *, cursor: UUID | None, limit: int, role: Role | None = None
    ) -> Sequence[Member]:
        """At most `limit` members with ids below `cursor`, newest first."""
        return repository.list_all(session, principal.organization_id, cursor=cursor, limit=limit, role=role)

    def change(self, session: Session, principal: Principal, member_id: UUID, changes: Mapping[str, Any]) -> Member:
        """Set `role` or `email`; fields missing from `changes` stay.

        Raises `MemberNotFound`, `LastOwner`, and `ScopeExceeded` when the old or the new role is above the caller's.
        """
        role: Role | None = changes.get("role")
        before = self._lock(session, principal, member_id)
        if role is not None and role is not before.role:
            require_covers(principal, before.role.scopes | role.scopes, f"make a member with role {before.role} {role}")
            self._require_another_owner(session, before)
        changed = repository.change(session, principal.organization_id, member_id, changes)
        if changed is None:
            raise _not_found(member_id)
        detail = {"changed": sorted(changes), "role_before": before.role.value, "role": changed.role.value}
        _record(session, AuditAction.MEMBER_CHANGE, changed, principal.actor, detail)
        return changed

    def remove(self, session: Session, principal: Principal, member_id: UUID) -> None:
        """Remove a member; its tokens are refused within two seconds.

        Raises `MemberNotFound`, `LastOwner`, and `ScopeExceeded` when the member's role is above the caller's.
        """
        before = self._lock(session, principal, member_id)
        require_covers(principal, before.role.scopes, f"remove a member with the role {before.role}")
        self._require_another_owner(session, before)
        if not repository.remove(session, principal.organization_id, member_id):
            raise _not_found(member_id)
        views.delete_of_person(session, before.organization_id, before.issuer, before.subject)
        _record(session, AuditAction.MEMBER_REMOVE, before, principal.actor, {"role": before.role.value})

    def _lock(self, session: Session, principal: Principal, member_id: UUID) -> Member:
        repository.lock_owners(session, principal.organization_id)
        return self.get(session, principal, member_id)

    def _require_another_owner(self, session: Session, before: Member) -> None:
        if before.role is Role.OWNER and repository.count_owners(session, before.organization_id) == 1:
            raise LastOwner("this is the organization's last owner; make someone else an owner first")


def _not_found(member_id: UUID) -> MemberNotFound:
    return MemberNotFound(f"there is no member {encode(MEMBER, member_id)} in this organization")


def _field(name: str, code: str, message: str) -> dict[str, str]:
    return {"path": f"body.{name}", "code": code, "message": message}


def _record(session: Session, action: AuditAction, member: Member, actor: Actor, detail: Mapping[str, Any]) -> None:
    record(
        session,
        member.organization_id,
        None,
        action,
        subject_id=encode(MEMBER, member.id),
        actor=actor,
        detail=detail,
    )
