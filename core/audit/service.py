"""The audit trail as clients use it: query, prove, verify, erase. Adds to the caller's transaction; edges commit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit import merkle, repository
from core.audit.actions import AuditAction
from core.audit.documents import Record, Seal
from core.audit.record import PERSONAL, Actor, record, salted_digest
from core.audit.repository import RecordFilter
from core.kit.db import Executor
from core.kit.errors import Conflict, NotFound
from core.kit.ids import AUDIT, ERASURE, encode, new_id


class RecordNotFound(NotFound):
    """No such record among those that the caller may see."""

    default_code = "audit_record_not_found"


class RecordNotSealed(Conflict):
    """The record waits for its seal, which takes about a second."""

    default_code = "audit_record_not_sealed"


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof that `record` is the leaf `leaf_index` of the tree whose root is in `seal`."""

    record: Record
    seal: Seal
    leaf_index: int
    path: tuple[bytes, ...]

    @property
    def tree_size(self) -> int:
        """How many leaves the tree has."""
        return self.seal.last_sequence - self.seal.first_sequence + 1

    def as_json(self) -> dict[str, Any]:
        """The proof without record and seal."""
        return {
            "seal": self.seal.number,
            "leaf_index": self.leaf_index,
            "tree_size": self.tree_size,
            "path": [node.hex() for node in self.path],
        }


@dataclass(frozen=True, slots=True)
class Erasure:
    """The result of an erasure: how many personal values it removed."""

    id: UUID
    erased_values: int


def find(
    session: Executor, organization_id: UUID, where: RecordFilter, *, cursor: UUID | None, most: int
) -> list[Record]:
    """Records, sealed or not, newest first, with ids below `cursor`."""
    return repository.find_records(session, organization_id, where, cursor=cursor, most=most)


def of_subject(
    session: Executor,
    organization_id: UUID,
    project_id: UUID,
    subject_id: str,
    *,
    cursor: UUID | None = None,
    most: int,
) -> list[Record]:
    """The records about one subject of a project, oldest first, with ids above `cursor`."""
    where = RecordFilter(project_id=project_id, subject_id=subject_id)
    return repository.find_records(session, organization_id, where, cursor=cursor, most=most, oldest_first=True)


def personal_of(session: Executor, organization_id: UUID, records: Iterable[Record]) -> dict[UUID, dict[str, Any]]:
    """The personal values of records by record id and field; None for a value that was erased or does not match."""
    wanted: dict[UUID, dict[str, bytes]] = {}
    for each in records:
        fields = each.document()["detail"].get(PERSONAL) if f'"{PERSONAL}"' in each.detail else None
        if isinstance(fields, dict):
            wanted[each.id] = {name: _digest(text) for name, text in fields.items()}
    if not wanted:
        return {}
    digests = [digest for fields in wanted.values() for digest in fields.values()]
    known = repository.personal_values(session, organization_id, digests)
    return {
        record_id: {name: _value(known, digest) for name, digest in fields.items()}
        for record_id, fields in wanted.items()
    }


def prove(session: Executor, organization_id: UUID, project_id: UUID | None, record_id: UUID) -> Proof:
    """The inclusion proof of a record; with `project_id`, only if it belongs to that project.

    Raises `RecordNotFound`, and `RecordNotSealed` for one that waits for its seal.
    """
    found = repository.get_record(session, organization_id, project_id, record_id)
    if found is None:
        raise RecordNotFound(f"there is no record {encode(AUDIT, record_id)} that this caller may see")
    proofs = prove_all(session, organization_id, [found])
    if not proofs:
        raise RecordNotSealed("this record is not sealed yet; try again in a second", retry_after_seconds=1)
    return proofs[0]


def prove_all(session: Executor, organization_id: UUID, records: Sequence[Record]) -> list[Proof]:
    """The inclusion proofs of those of `records` that are sealed, in their order; each seal's leaves are read once."""
    proofs = []
    seals: dict[UUID, tuple[Seal, list[bytes]]] = {}
    for each in records:
        if each.sequence is None or each.seal_id is None:
            continue
        if each.seal_id not in seals:
            seal = repository.seal_of(session, organization_id, each.sequence)
            if seal is None:
                continue
            seals[each.seal_id] = seal, repository.leaves(session, seal)
        seal, leaves = seals[each.seal_id]
        index = each.sequence - seal.first_sequence
        proofs.append(Proof(each, seal, index, tuple(merkle.path(leaves, index))))
    return proofs


def erase(session: Session, organization_id: UUID, actor: Actor, data_subject: str) -> Erasure:
    """Remove every personal value of a data subject; the record of the erasure does not name the subject.

    The records keep digests, which reveal nothing without their salts; the trail verifies as before. Erasing an unknown
    subject is recorded too: the answer must not reveal who is in the trail.
    """
    erasure = Erasure(new_id(), repository.erase(session, organization_id, data_subject))
    record(
        session,
        organization_id,
        None,
        AuditAction.AUDIT_ERASE,
        subject_id=encode(ERASURE, erasure.id),
        actor=actor,
        detail={"erased_values": erasure.erased_values},
    )
    return erasure


def _digest(text: object) -> bytes:
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        return b""


def _value(known: dict[bytes, tuple[bytes, str]], digest: bytes) -> str | None:
    salt, value = known.get(digest, (b"", ""))
    # A value that does not match the digest was inserted later: it was never part of the record.
    return value if digest in known and salted_digest(salt, value) == digest else None
