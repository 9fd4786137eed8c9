"""Records and seals as JSON documents: the API, exports and waybills show exactly the hashed bytes.

The holder of such a document can check it without Waybill: a leaf is ``SHA-256(0x00 || canonical(record))``, the hash
of a seal is ``SHA-256(0x02 || canonical(seal without hash and signature))``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from core.audit import merkle
from core.kit.canonical import canonical, exact
from core.kit.clock import isoformat
from core.kit.ids import AUDIT, ORGANIZATION, PROJECT, encode
from core.kit.signing import Keyring, Signer, base64url, unbase64url

VERSION = 1
GENESIS = bytes(32)
SEAL = b"\x02"
# States what a signature covers, so that one made for a seal is not valid anywhere else.
_SEAL_CONTEXT = b"waybill.audit.seal/1\n"
_RETIREMENT_CONTEXT = b"waybill.audit.retirement/1\n"
_UNHASHED = frozenset({"hash", "signature"})


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the trail. `sequence`, `leaf` and `seal_id` are None until it is sealed.

    `detail` is the text stored by Postgres, so that no number in it loses a digit.
    """

    organization_id: UUID
    sequence: int | None
    id: UUID
    project_id: UUID | None
    recorded_at: datetime
    action: str
    subject_id: str
    actor_kind: str
    actor_id: str | None
    attempt: int | None
    payload_digest: bytes | None
    detail: str
    leaf: bytes | None
    seal_id: UUID | None

    def at(self, sequence: int | None) -> dict[str, Any]:
        """The document of this record at position `sequence`."""
        return {
            "version": VERSION,
            "organization_id": _organization(self.organization_id),
            "sequence": sequence,
            "id": encode(AUDIT, self.id),
            "project_id": None if self.project_id is None else _project(self.project_id),
            "recorded_at": isoformat(self.recorded_at),
            "action": self.action,
            "subject_id": self.subject_id,
            "actor_kind": self.actor_kind,
            "actor_id": self.actor_id,
            "attempt": self.attempt,
            "payload_digest": None if self.payload_digest is None else self.payload_digest.hex(),
            "detail": {} if self.detail == "{}" else exact(self.detail),
        }

    def document(self) -> dict[str, Any]:
        """The document of this record at its own position."""
        return self.at(self.sequence)

    def leaf_at(self, sequence: int) -> bytes:
        """The leaf of this record if it stood at `sequence`."""
        return leaf_of(self.at(sequence))


@dataclass(frozen=True, slots=True)
class Seal:
    """A link of the chain over the records from `first_sequence` to `last_sequence`, both included."""

    organization_id: UUID
    number: int
    id: UUID
    first_sequence: int
    last_sequence: int
    root: bytes
    previous_hash: bytes
    hash: bytes
    signature: bytes
    key_id: str
    sealed_at: datetime

    def document(self) -> dict[str, Any]:
        """The seal as a JSON document."""
        return {
            "version": VERSION,
            "organization_id": _organization(self.organization_id),
            "number": self.number,
            "id": str(self.id),
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
            "root": self.root.hex(),
            "previous_hash": self.previous_hash.hex(),
            "key_id": self.key_id,
            "sealed_at": isoformat(self.sealed_at),
            "hash": self.hash.hex(),
            "signature": base64url(self.signature),
        }


def leaf_of(document: Mapping[str, Any]) -> bytes:
    """The leaf of a record's document. Raises ValueError if it is not canonical JSON."""
    return merkle.leaf_hash(canonical(document))


def seal_hash(document: Mapping[str, Any]) -> bytes:
    """The hash of a seal's document. Raises ValueError."""
    content = {name: value for name, value in document.items() if name not in _UNHASHED}
    return hashlib.sha256(SEAL + canonical(content)).digest()


def make_seal(
    signer: Signer,
    *,
    organization_id: UUID,
    seal_id: UUID,
    previous: Seal | None,
    leaves: list[bytes],
    sealed_at: datetime,
) -> Seal:
    """The signed seal over `leaves`, as the next link after `previous`."""
    first = previous.last_sequence + 1 if previous else 1
    unsigned = Seal(
        organization_id=organization_id,
        number=previous.number + 1 if previous else 1,
        id=seal_id,
        first_sequence=first,
        last_sequence=first + len(leaves) - 1,
        root=merkle.root(leaves),
        previous_hash=previous.hash if previous else GENESIS,
        hash=b"",
        signature=b"",
        key_id=signer.key_id,
        sealed_at=max(sealed_at, previous.sealed_at) if previous else sealed_at,
    )
    digest = seal_hash(unsigned.document())
    return replace(unsigned, hash=digest, signature=signer.sign(_SEAL_CONTEXT + digest))


def is_signed(keyring: Keyring, document: Mapping[str, Any]) -> bool:
    """Whether a seal's document bears the signature of a known key over its own content. Raises ValueError."""
    message = _SEAL_CONTEXT + seal_hash(document)
    return keyring.verifies(str(document["key_id"]), message, unbase64url(str(document["signature"])))


def retirement_message(organization_id: UUID, through_number: int, digest: bytes, retired_at: datetime) -> bytes:
    """The message signed before the records of seals up to `through_number`, whose hash is `digest`, are deleted."""
    content = {
        "organization_id": _organization(organization_id),
        "through_number": through_number,
        "seal_hash": digest.hex(),
        "retired_at": isoformat(retired_at),
    }
    return _RETIREMENT_CONTEXT + canonical(content)


@lru_cache(maxsize=1024)
def _organization(value: UUID) -> str:
    return encode(ORGANIZATION, value)


@lru_cache(maxsize=1024)
def _project(value: UUID) -> str:
    return encode(PROJECT, value)
