"""Issuing, revoking and recognising API keys."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from core.keys import repository
from core.keys.errors import KeyExpired, KeyRevoked, KeyUnknown
from core.keys.hashing import KeyHasher, generate_key, is_well_formed
from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import NotFound, Unauthenticated, Unprocessable
from core.kit.ids import KEY, encode, new_id
from core.kit.settings import Settings

SCOPES = (
    "jobs:read",
    "jobs:write",
    "knowledge:read",
    "knowledge:write",
    "projects:read",
    "projects:write",
    "keys:read",
    "keys:write",
    "members:read",
    "members:write",
    "budgets:read",
    "budgets:write",
    "costs:read",
    "prices:read",
    "prices:write",
    "audit:read",
    "audit:write",
    "limits:read",
    "limits:write",
    "organization:read",
)

# A revoked key works for at most this long in a process that has just used it.
_REMEMBER_SECONDS = 1.5
_REMEMBERED_KEYS_MAX = 10_000
_REFUSED_KEYS_MAX = 1_000

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key. `plaintext` is not stored anywhere: whoever receives this shows it once."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    prefix: str
    scopes: tuple[str, ...]
    plaintext: str


class KeyService:
    """Issues and revokes keys. Works across organisations, so its sessions come from `Database.system`."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = KeyHasher(settings)

    def create_key(
        self,
        session: Session,
        *,
        organization: str,
        project: str,
        name: str,
        scopes: Iterable[str] = SCOPES,
        expires_in: timedelta | None = None,
    ) -> IssuedKey:
        """Issue a key for a project, creating organisation and project when absent.

        `expires_in` counts from now; None means never. Raises `Unprocessable` for an unknown scope or a blank name.
        """
        wanted = tuple(sorted(set(scopes)))
        unknown = sorted(set(wanted) - set(SCOPES))
        if unknown or not wanted:
            offered = ", ".join(SCOPES)
            raise Unprocessable(f"scopes are chosen from {offered}; not known: {', '.join(unknown) or 'none given'}")
        for label, text in (("organization", organization), ("project", project), ("name", name)):
            if not text.strip() or "\x00" in text:
                raise Unprocessable(f"the {label} of a key must not be blank")
        if expires_in is not None and expires_in <= timedelta(0):
            raise Unprocessable("a key must expire in the future")
        generated = generate_key()
        key_id = new_id()
        organization_id = repository.ensure_organization(session, organization)
        project_id = repository.ensure_project(session, organization_id, project)
        repository.insert_key(
            session,
            key_id=key_id,
            organization_id=organization_id,
            project_id=project_id,
            name=name,
            prefix=generated.prefix,
            digest=self._hasher.digest(generated.plaintext),
            scopes=list(wanted),
            expires_in=expires_in,
        )
        return IssuedKey(key_id, organization_id, project_id, generated.prefix, wanted, generated.plaintext)

    def revoke_key(self, session: Session, organization_id: UUID, key_id: UUID) -> None:
        """Make a key useless, everywhere within two seconds. Revoking twice is fine. Raises `NotFound`."""
        if not repository.revoke_key(session, organization_id, key_id):
            raise NotFound(f"there is no key {encode(KEY, key_id)}", code="key_not_found")


class Authenticator:
    """Turns a key into a `Principal`, asking Postgres at most once per key and 1.5 seconds.

    Safe in threads: entries are replaced whole, and the worst of a race is one query too many.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._hasher = KeyHasher(settings)
        self._database = database
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._refused: dict[bytes, tuple[float, Unauthenticated]] = {}

    def recall(self, plaintext: str) -> Principal | None:
        """The principal of a key that was recognised a moment ago, or None when Postgres must be asked.

        Never blocks. Raises `KeyUnknown` for what cannot be a key, and the refusal of a key refused a moment ago.
        """
        if not is_well_formed(plaintext):
            raise KeyUnknown("this is not a Waybill API key; check that all of it was copied")
        digest = self._hasher.digest(plaintext)
        now = monotonic()
        known = self._known.get(digest)
        if known is not None and known[0] > now:
            return known[1]
        refused = self._refused.get(digest)
        if refused is not None and refused[0] > now:
            raise _again(refused[1])
        return None

    def authenticate(self, plaintext: str) -> Principal:
        """The principal of `plaintext`. Blocks on Postgres unless remembered.

        Raises `KeyUnknown`, `KeyExpired` or `KeyRevoked`.
        """
        remembered = self.recall(plaintext)
        if remembered is not None:
            return remembered
        digest = self._hasher.digest(plaintext)
        # The age of an answer counts from before the question, so that a slow query does not stretch it.
        until = monotonic() + _REMEMBER_SECONDS
        try:
            principal = self._look_up(digest)
        except Unauthenticated as refusal:
            _remember(self._refused, digest, (until, refusal), _REFUSED_KEYS_MAX)
            raise
        _remember(self._known, digest, (until, principal), _REMEMBERED_KEYS_MAX)
        return principal

    def _look_up(self, digest: bytes) -> Principal:
        with self._database.system() as session:
            row = repository.key_by_hash(session, digest)
        if row is None or not hmac.compare_digest(row.hash, digest):
            raise KeyUnknown("this API key is not known here")
        if row.is_revoked:
            raise KeyRevoked("this API key was revoked")
        if row.is_expired:
            raise KeyExpired("this API key has expired; issue a new one")
        return Principal(row.organization_id, row.project_id, row.id, row.scopes)


def _again(refusal: Unauthenticated) -> Unauthenticated:
    # A fresh instance: raising one exception object from many requests would chain their tracebacks without end.
    return type(refusal)(refusal.detail, code=refusal.code)


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
