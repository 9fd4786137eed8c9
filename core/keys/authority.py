"""What a job may do: no more than the caller behind it, from its submission to its end.

`require` decides when a job is submitted, `act_for` whenever it goes on: at a claim, for a child, for a line of a
batch, for a shadow. Both read what the caller holds at that moment. A key that was revoked, or a member who was
removed, holds nothing; a key that has only expired, or was rotated, may ask for nothing new, and what it asked for in
time is done.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from core.audit.record import ActorKind
from core.keys.errors import CapabilityDenied, KeyRevoked, NotAMember, ScopeMissing
from core.keys.principal import Principal
from core.keys.roles import Role, scopes_of
from core.keys.scopes import SCOPES, split

# Of a row of jobs or batches: whom it is carried out for, and what that caller holds now.
CALLER_COLUMNS = "key_id, submitted_by, grants, caller_standing(organization_id, key_id, submitted_by) AS standing"


class Submitted(Protocol):
    """A row with `CALLER_COLUMNS`."""

    @property
    def key_id(self) -> UUID | None:
        """The key that asked."""

    @property
    def submitted_by(self) -> str | None:
        """The key or person that asked, as audit records name it; None for the platform itself."""

    @property
    def grants(self) -> Sequence[str] | None:
        """What a person held then; a key's are read anew."""

    @property
    def standing(self) -> Mapping[str, Any] | None:
        """What ``caller_standing`` says."""


def require(principal: Principal, capability: str, needs: frozenset[str]) -> None:
    """Raise `CapabilityDenied` or `ScopeMissing` unless the caller may ask for a job that `needs` these scopes.

    What the platform asks for itself, for no caller, is its own affair.
    """
    if principal.actor_kind == "system":
        return
    if not principal.may_use(capability):
        raise CapabilityDenied(f"this key is not for the capability {capability}", capability=capability)
    for scope in sorted(needs - principal.scopes):
        raise ScopeMissing(f"this key or role lacks the scope {scope}", scope=scope)


def grants_of(principal: Principal) -> list[str] | None:
    """What is stored with a job of a person, whose roles may come from nowhere but a token; None for keys."""
    return sorted(principal.scopes) if principal.key_id is None and principal.submitter is not None else None


def act_for(organization_id: UUID, project_id: UUID, row: Submitted, kind: ActorKind) -> Principal:
    """The caller behind `row`, as far as it may still act; what is done is done in the name of `kind`.

    Raises `KeyRevoked` and `NotAMember`.
    """
    standing = row.standing or {}
    if standing.get("ended"):
        if row.key_id is not None:
            raise KeyRevoked("the key that asked for this was revoked, and nothing more is done for it")
        raise NotAMember("the member who asked for this was removed, and nothing more is done for them")
    capabilities = None
    if row.key_id is not None:
        scopes, capabilities = split(standing.get("scopes", ()))
    elif row.submitted_by is None:
        scopes = frozenset(SCOPES)
    else:
        scopes = frozenset(row.grants or ())
        if "role" in standing:
            scopes &= scopes_of([Role(standing["role"])])
    return Principal(
        organization_id, project_id, row.key_id, scopes, kind, capabilities=capabilities, asked_by=row.submitted_by
    )
