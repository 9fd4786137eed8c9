"""Sessions of the web console: a cookie stands for a key or a person, whose rights are read again at every use."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys import repository as keys
from core.keys.authentication import REMEMBER_SECONDS, Authenticator, remember
from core.keys.errors import KeyUnknown
from core.keys.hashing import KeyHasher
from core.keys.principal import Principal
from core.keys.roles import Role
from core.keys.sessions import repository
from core.keys.sessions.errors import LinkInvalid, SessionEnded, SessionNotFound
from core.keys.sessions.repository import OpenSession, Owner, SessionRow
from core.kit.db import Database
from core.kit.ids import PROJECT, SESSION, encode, new_id
from core.kit.settings import Settings

if TYPE_CHECKING:
    from core.keys.oidc import Identity

IDLE = timedelta(minutes=30)
LIVES = timedelta(hours=12)
# What a token said about roles is not asked for again, so it counts as long as such tokens usually live.
CLAIMED_LIVES = timedelta(hours=1)
LINK_LIVES = timedelta(minutes=10)
LISTED_MAX = 100
_TOUCH_SECONDS = 60.0
_REMEMBERED_MAX = 10_000
_USER_AGENT_MAX = 200
_FORM = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session at work: its caller, the names that a page shows, and the token that its forms carry."""

    row: SessionRow
    principal: Principal
    csrf_token: str
    touched_at: float = field(compare=False)

    def is_recently_used(self) -> bool:
        """Whether another use need not be recorded."""
        return monotonic() - self.touched_at < _TOUCH_SECONDS

    @property
    def name(self) -> str:
        """Who signed in, as a page shows it to them."""
        return self.row.key_name or self.row.subject or ""


class ConsoleSessions:
    """Opens, resolves, lists and ends sessions.

    A session is cached as briefly as a key, so that a revocation takes effect within two seconds; its end takes effect
    at once in the process that ends it.
    """

    def __init__(self, settings: Settings, database: Database, authenticator: Authenticator) -> None:
        self._hasher = KeyHasher(settings)
        self._database = database
        self._authenticator = authenticator
        self._known: dict[bytes, tuple[float, SignedIn]] = {}

    def open(self, principal: Principal, user_agent: str, identity: "Identity | None" = None) -> str:
        """A new session of a key, or of the person with `identity`; returns the cookie's value. Blocks."""
        token, session_id = secrets.token_urlsafe(32), new_id()
        with self._database.tenant(principal.organization_id) as session:
            repository.insert(
                session,
                session_id,
                self._digest(token),
                _owner(principal, identity),
                roles=_roles(identity),
                user_agent=user_agent[:_USER_AGENT_MAX],
                idle=IDLE,
                lives=LIVES if identity is None or identity.roles is None else CLAIMED_LIVES,
            )
            _record(session, AuditAction.SESSION_CREATE, principal, session_id)
        return token

    def recall(self, token: str, *, is_use: bool) -> SignedIn | None:
        """A recently resolved session, or None when Postgres must be queried. Never blocks.

        Raises `SessionEnded` for text that cannot be a session.
        """
        found = self._known.get(self._digest(token))
        if found is None or found[0] <= monotonic() or (is_use and not found[1].is_recently_used()):
            return None
        return found[1]

    def has_recognized(self, token: str) -> bool:
        """Whether this was recently a session here; it may have ended. Never blocks."""
        try:
            return self._digest(token) in self._known
        except SessionEnded:
            return False

    def resolve(self, token: str, *, is_use: bool) -> SignedIn:
        """The session of a cookie, with what its key or person may do now. Blocks unless cached.

        `is_use` moves the idle end. Raises `SessionEnded`, and what `Authenticator` raises for the key or person.
        """
        remembered = self.recall(token, is_use=is_use)
        if remembered is not None:
            return remembered
        digest = self._digest(token)
        now = monotonic()
        row = repository.find(self._database.single_system(), digest, IDLE if is_use else None)
        if row is None:
            raise SessionEnded("your session has ended; sign in again")
        earlier = self._known.get(digest)
        touched_at = now if is_use or earlier is None else earlier[1].touched_at
        principal = replace(self._principal(row), ends_at=row.expires_at.timestamp())
        signed_in = SignedIn(row, principal, self._hasher.digest(f"csrf {token}").hex(), touched_at)
        remember(self._known, digest, (now + REMEMBER_SECONDS, signed_in), _REMEMBERED_MAX)
        return signed_in

    def list(self, signed_in: SignedIn) -> Sequence[OpenSession]:
        """The open sessions of the same key or person, newest first. Blocks."""
        single = self._database.single_tenant(signed_in.row.organization_id)
        return repository.list_open(single, signed_in.row.owner, LISTED_MAX)

    def end(self, signed_in: SignedIn, session_id: UUID) -> None:
        """End one of the caller's own sessions. Blocks. Raises `SessionNotFound`."""
        with self._database.tenant(signed_in.row.organization_id) as session:
            digest = repository.delete(session, signed_in.row.owner, session_id)
            if digest is None:
                raise SessionNotFound("there is no such session of yours; it may have ended already")
            _record(session, AuditAction.SESSION_END, signed_in.principal, session_id)
        self._known.pop(digest, None)

    def choose_project(self, signed_in: SignedIn, token: str, project_id: UUID) -> None:
        """Work in `project_id`, which the caller was shown to be allowed to see. Blocks."""
        with self._database.tenant(signed_in.row.organization_id) as session:
            repository.choose_project(session, signed_in.row.organization_id, signed_in.row.id, project_id)
        self._known.pop(self._digest(token), None)

    def create_link(self, principal: Principal) -> str:
        """The token of a link that signs in with the caller's key, once. Blocks."""
        assert principal.key_id is not None
        token = secrets.token_urlsafe(32)
        with self._database.tenant(principal.organization_id) as session:
            repository.insert_link(
                session, self._link_digest(token), principal.organization_id, principal.key_id, LINK_LIVES
            )
        return token

    def redeem_link(self, token: str) -> Principal:
        """Whom a link signs in. Blocks. Raises `LinkInvalid`, and `KeyExpired` or `KeyRevoked`."""
        single = self._database.single_system()
        key_id = repository.redeem_link(single, self._link_digest(token)) if _FORM.fullmatch(token) else None
        if key_id is None:
            raise LinkInvalid("this link was used already, or is older than ten minutes; make a new one")
        return self._key(key_id)

    def _principal(self, row: SessionRow) -> Principal:
        if row.key_id is not None:
            return self._key(row.key_id)
        from core.keys.oidc import Identity

        assert row.issuer is not None
        assert row.subject is not None
        roles = None if row.roles is None else frozenset(Role(each) for each in row.roles)
        identity = Identity(row.issuer, row.subject, row.organization, roles, row.expires_at.timestamp())
        return self._authenticator.find(identity, None if row.project_id is None else encode(PROJECT, row.project_id))

    def _key(self, key_id: UUID) -> Principal:
        found = keys.key_by_id(self._database.single_system(), key_id)
        if found is None:
            raise KeyUnknown("the key that signed in is not known here any more")
        return self._authenticator.accept(found)

    def _digest(self, token: str) -> bytes:
        if _FORM.fullmatch(token) is None:
            raise SessionEnded("your session has ended; sign in again")
        return self._hasher.digest(f"console {token}")

    def _link_digest(self, token: str) -> bytes:
        return self._hasher.digest(f"console link {token}")


def _owner(principal: Principal, identity: "Identity | None") -> Owner:
    if identity is None:
        assert principal.key_id is not None
        return Owner(principal.organization_id, principal.key_id, None, None)
    return Owner(principal.organization_id, None, identity.issuer, identity.subject)


def _roles(identity: "Identity | None") -> list[str] | None:
    return None if identity is None or identity.roles is None else sorted(identity.roles)


def _record(session: Session, action: AuditAction, principal: Principal, session_id: UUID) -> None:
    project_id = principal.project_id if principal.has_project else None
    subject_id = encode(SESSION, session_id)
    record(session, principal.organization_id, project_id, action, subject_id=subject_id, actor=principal.actor)
