"""What a job may do: no more than its caller, from its submission to its end.

`require` decides when a job is submitted, `act_for` whenever it proceeds: at a claim, for a child, for a line of a
batch, for a shadow. Both read the caller's rights at that moment. A revoked key or a removed member has none; a key
that has only expired, or was rotated, cannot submit new jobs, but those it submitted in time are carried out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from core.audit.record import ActorKind
from core.keys.errors import CapabilityDenied, KeyRevoked, NotAMember, ScopeMissing
from core.keys.principal import Principal
from core.keys.roles import Role, scopes_of
from core.keys.scopes import SCOPES, split

# Columns of jobs and batches: their caller, and the rights that this caller holds now.
CALLER_COLUMNS = "key_id, submitted_by, grants, caller_standing(organization_id, key_id, submitted_by) AS standing"


class Submitted(Protocol):
    """A row with `CALLER_COLUMNS`."""

    @property
    def key_id(self) -> UUID | None:
        """The key that made the request."""

    @property
    def submitted_by(self) -> str | None:
        """The key or person that made the request, as audit records name it; None for the platform itself."""

    @property
    def grants(self) -> Sequence[str] | None:
        """A person's scopes at submission; a key's are read again."""

    @property
    def standing(self) -> Mapping[str, Any] | None:
        """The result of ``caller_standing``."""


def require(principal: Principal, capability: str, needs: frozenset[str]) -> None:
    """Raise `CapabilityDenied` or `ScopeMissing` unless the caller may submit a job that `needs` these scopes.

    The platform's own jobs, without a caller, are not checked.
    """
    if principal.actor_kind == "system":
        return
    if not principal.may_use(capability):
        raise CapabilityDenied(f"this key is not for the capability {capability}", capability=capability)
    for scope in sorted(needs - principal.scopes):
        raise ScopeMissing(f"this key or role lacks the scope {scope}", scope=scope)


def grants_of(principal: Principal) -> list[str] | None:
    """The scopes stored with a person's job, since their roles may exist only in a token; None for keys."""
    return sorted(principal.scopes) if principal.key_id is None and principal.submitter is not None else None


def act_for(organization_id: UUID, project_id: UUID, row: Submitted, kind: ActorKind) -> Principal:
    """The caller of `row`, with the rights that it still has; acts are recorded in the name of `kind`.

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
