"""Turns a request's credentials into its caller, cached briefly enough for revocations to take effect."""

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import replace
from time import monotonic, time
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from core.keys import repository
from core.keys.errors import (
    KeyExpired,
    KeyRevoked,
    KeyUnknown,
    NotAMember,
    ProjectInvalid,
    ProjectNotFound,
)
from core.keys.hashing import KeyHasher, is_well_formed
from core.keys.principal import Principal
from core.keys.repository import SubjectRow
from core.keys.roles import Role, scopes_of
from core.keys.scopes import split
from core.keys.usage import KeyUsage
from core.kit.db import Database
from core.kit.errors import NotFound, PermissionDenied, Unauthenticated, Unprocessable, WaybillError
from core.kit.ids import KEY, MEMBER, PROJECT, decode, encode
from core.kit.settings import Settings

if TYPE_CHECKING:
    from core.keys.oidc import Identity, TokenVerifier

# A revoked key works for at most this long in a process that has just used it.
_REMEMBER_SECONDS = 1.5
_REMEMBERED_KEYS_MAX = 10_000
_REFUSED_KEYS_MAX = 1_000
_KEY_HEAD = "wb_"

_Entry = TypeVar("_Entry")
_REFUSALS = (Unauthenticated, PermissionDenied, NotFound, Unprocessable)


class Authenticator:
    """Turns a key, or a token of a trusted issuer, into a `Principal`, querying Postgres at most once per 1.5 seconds.

    Thread-safe: entries are replaced whole, and the worst result of a race is an extra query. `usage` is notified of
    every key that Postgres was queried for.
    """

    def __init__(self, settings: Settings, database: Database, usage: KeyUsage | None = None) -> None:
        self._hasher = KeyHasher(settings)
        self._database = database
        self._usage = usage
        self._tokens = _verifier(settings)
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._refused: dict[bytes, tuple[float, WaybillError]] = {}

    def recall(self, credential: str, project: str | None = None) -> Principal | None:
        """The principal of a recently recognized key or token, or None when Postgres must be queried.

        `project` is the project id that the request names; it chooses among those of a token's subject. Never blocks.
        Raises `KeyUnknown` for a malformed key, and the cached refusal of a recently refused credential.
        """
        digest = self._digest(credential, project)
        now = monotonic()
        known = self._known.get(digest)
        if known is not None and known[0] > now:
            return known[1]
        refused = self._refused.get(digest)
        if refused is not None and refused[0] > now:
            raise _again(refused[1])
        return None

    def has_recognized(self, credential: str, project: str | None = None) -> bool:
        """Whether this was recently a valid key or token here. Never blocks; it may no longer be valid."""
        try:
            return self._digest(credential, project) in self._known
        except KeyUnknown:
            return False

    def authenticate(self, credential: str, project: str | None = None) -> Principal:
        """The principal of a key or token. Blocks on Postgres, or on a token's issuer, unless cached.

        Raises `KeyUnknown`, `KeyExpired` or `KeyRevoked`; for a token `TokenInvalid`, `TokenExpired`, `NotAMember`,
        `ProjectInvalid`, `ProjectNotFound` or `IdentityProviderUnavailable`.
        """
        remembered = self.recall(credential, project)
        if remembered is not None:
            return remembered
        digest = self._digest(credential, project)
        # The age of an entry counts from before the query, so that a slow query does not extend it.
        until = monotonic() + _REMEMBER_SECONDS
        try:
            if self._tokens is None or credential.startswith(_KEY_HEAD):
                principal = self._look_up(credential, digest)
            else:
                identity = self._tokens.verify(credential)
                ends_at = identity.expires_at + self._tokens.skew_seconds
                principal = replace(self._find(identity, project), ends_at=ends_at)
                until = min(until, monotonic() + ends_at - time())
        except _REFUSALS as refusal:
            _remember(self._refused, digest, (until, refusal), _REFUSED_KEYS_MAX)
            raise
        _remember(self._known, digest, (until, principal), _REMEMBERED_KEYS_MAX)
        return principal

    def evict(self, key_ids: Collection[UUID]) -> None:
        """Evict these keys, so that the next use queries Postgres again."""
        if key_ids:
            for digest, (_, principal) in list(self._known.items()):
                if principal.key_id in key_ids:
                    self._known.pop(digest, None)

    def _digest(self, credential: str, project: str | None) -> bytes:
        if self._tokens is None or credential.startswith(_KEY_HEAD):
            if not is_well_formed(credential):
                raise KeyUnknown("this is not a Waybill API key; check that all of it was copied")
            return self._hasher.digest(credential)
        return b"token" + hashlib.sha256(f"{project or ''}\n{credential}".encode()).digest()

    def _look_up(self, credential: str, digest: bytes) -> Principal:
        single = self._database.single_system()
        row = repository.key_by_hash(single, digest)
        if row is None and (retired := self._hasher.retired_digests(credential)):
            repository.replace_hash(single, retired, digest)
            row = repository.key_by_hash(single, digest)
        if row is None or not hmac.compare_digest(row.hash, digest):
            raise KeyUnknown("this API key is not known here")
        if row.is_revoked:
            raise KeyRevoked("this API key was revoked")
        if row.is_expired:
            why = "was rotated, and its overlap has ended; use the new one" if row.is_replaced else "has expired"
            raise KeyExpired(f"this API key {why}; issue a new one if you have none")
        if self._usage is not None:
            self._usage.record_use(row.id)
        scopes, capabilities = split(row.scopes)
        return Principal(
            row.organization_id,
            row.project_id,
            row.id,
            scopes,
            actor_kind="key",
            actor_id=encode(KEY, row.id),
            capabilities=capabilities,
            is_project_archived=row.is_project_archived,
            clearance=row.clearance,
        )

    def _find(self, identity: "Identity", project: str | None) -> Principal:
        wanted = None if project is None else _project_id(project)
        row = repository.subject(
            self._database.single_system(), identity.organization, identity.issuer, identity.subject, wanted
        )
        if row is None:
            raise NotAMember("the token belongs to no organization of this installation")
        scopes = _scopes(identity, row)
        if wanted is not None and row.project_id is None:
            raise ProjectNotFound(f"there is no project {project} in your organization")
        return Principal(
            row.organization_id,
            row.project_id or row.organization_id,
            None,
            scopes,
            actor_kind="user",
            actor_id=_actor_id(identity, row.member_id),
            is_project_archived=row.is_project_archived,
        )


def _verifier(settings: Settings) -> "TokenVerifier | None":
    if not settings.oidc_issuers:
        return None
    # The token verifier is installed with the API, and needed only where tokens are accepted.
    from core.keys.oidc import TokenVerifier

    return TokenVerifier(settings)


def _project_id(text: str) -> UUID:
    try:
        return decode(PROJECT, text)
    except ValueError as error:
        message = f"{error}; `waybill projects list` shows those of your organization"
        problem = {"path": "header.waybill-project", "code": "project_invalid", "message": message}
        raise ProjectInvalid(f"Waybill-Project: {message}", errors=[problem]) from None


def _scopes(identity: "Identity", row: SubjectRow) -> frozenset[str]:
    if identity.roles is not None:
        roles = identity.roles
        missing = "your token has no Waybill role; ask your identity provider's administrator"
    else:
        roles = frozenset() if row.role is None else frozenset({Role(row.role)})
        missing = "you are not a member of this organization; ask one of its owners or admins to add you"
    if not roles:
        raise NotAMember(missing)
    return scopes_of(roles)


def _actor_id(identity: "Identity", member_id: UUID | None) -> str:
    """A name for audit records that does not reveal the person: some issuers use e-mail addresses as subjects."""
    if member_id is not None:
        return encode(MEMBER, member_id)
    return "sub_" + hashlib.sha256(f"{identity.issuer}\n{identity.subject}".encode()).hexdigest()[:32]


def _again(refusal: WaybillError) -> WaybillError:
    # A fresh instance: raising one exception object from many requests would chain their tracebacks endlessly.
    return type(refusal)(refusal.detail, code=refusal.code, **refusal.extra)


def _remember(
    entries: dict[bytes, tuple[float, _Entry]], digest: bytes, entry: tuple[float, _Entry], most: int
) -> None:
    if len(entries) >= most:
        now = monotonic()
        fresh = {key: kept for key, kept in list(entries.items()) if kept[0] > now}
        entries.clear()
        if len(fresh) < most:
            entries.update(fresh)
    entries[digest] = entry
