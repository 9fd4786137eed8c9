"""The SQL of the audit trail. Reading statements name the organization; sealing works across all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from core.audit.documents import Record, Seal
from core.kit.db import Executor

_LOCK = text("SELECT pg_try_advisory_xact_lock(7201951, :what)")
SEALING, EXPORTING = 1, 2

_COLUMNS = (
    "organization_id, sequence, id, project_id, recorded_at, action, subject_id, actor_kind, actor_id, attempt,"
    " payload_digest, detail::text AS detail, leaf, seal_id"
)
_INBOX = text(
    "SELECT organization_id, NULL::bigint, id, project_id, recorded_at, action, subject_id, actor_kind, actor_id,"
    " attempt, payload_digest, detail::text, NULL::bytea, NULL::uuid FROM audit_inbox ORDER BY id LIMIT :most"
)
_ANY_WAITING = text("SELECT EXISTS (SELECT FROM audit_inbox)")
_BACKLOG = text("""
SELECT (SELECT count(*) FROM (SELECT FROM audit_inbox LIMIT 100000) AS waiting) AS records,
  coalesce(extract(epoch FROM now() - (SELECT recorded_at FROM audit_inbox ORDER BY id LIMIT 1)), 0) AS age_seconds
""")
# The rows move inside Postgres: the sealed rows are the written ones, even if this process misread them.
_MOVE = text("""
WITH placed AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:sequences AS bigint[]), CAST(:leaves AS bytea[]))
    AS placed (id, sequence, leaf)
), moved AS (
  DELETE FROM audit_inbox AS inbox USING placed WHERE inbox.id = placed.id
  RETURNING inbox.*, placed.sequence, placed.leaf
)
INSERT INTO audit_records (organization_id, sequence, seal_id, id, project_id, recorded_at, action, subject_id,
  actor_kind, actor_id, attempt, payload_digest, detail, leaf)
SELECT organization_id, sequence, :seal_id, id, project_id, recorded_at, action, subject_id, actor_kind, actor_id,
  attempt, payload_digest, detail, leaf
FROM moved
""")
_SEAL_COLUMNS = (
    "organization_id, number, id, first_sequence, last_sequence, root, previous_hash,"
    " hash, signature, key_id, sealed_at"
)
_INSERT_SEAL = text(
    f"INSERT INTO audit_seals ({_SEAL_COLUMNS}) VALUES (:organization_id, :number, :id, :first_sequence,"
    " :last_sequence, :root, :previous_hash, :hash, :signature, :key_id, :sealed_at)"
)
_HEAD = text(
    f"SELECT {_SEAL_COLUMNS} FROM audit_seals WHERE organization_id = :organization_id ORDER BY number DESC LIMIT 1"
)
_NEW_SEAL = text("SELECT uuidv7() AS id, clock_timestamp() AS sealed_at")
_SEALS = text(
    f"SELECT {_SEAL_COLUMNS} FROM audit_seals WHERE organization_id = :organization_id AND number > :after"
    " AND number <= :through ORDER BY number LIMIT :most"
)
_SEAL_OF = text(
    f"SELECT {_SEAL_COLUMNS} FROM audit_seals WHERE organization_id = :organization_id"
    " AND first_sequence <= :sequence ORDER BY first_sequence DESC LIMIT 1"
)
_RECORDS = text(
    f"SELECT {_COLUMNS} FROM audit_records WHERE organization_id = :organization_id"
    " AND (sequence, seal_id) > (:sequence, :seal_id) AND sequence <= :through ORDER BY sequence, seal_id LIMIT :most"
)
_LEAVES = text(
    "SELECT leaf FROM audit_records WHERE organization_id = :organization_id"
    " AND sequence BETWEEN :first AND :last ORDER BY sequence"
)
# Records come with their seal, in one transaction: a record without one was not written by the sealer.
_LOOSE = text(
    "SELECT record.sequence FROM audit_records AS record WHERE record.organization_id = :organization_id"
    " AND NOT EXISTS (SELECT FROM audit_seals AS seal WHERE seal.organization_id = record.organization_id"
    " AND seal.id = record.seal_id) AND record.sequence > :sequence ORDER BY record.sequence LIMIT :most"
)
_WAITING = text("SELECT count(*) FROM audit_inbox WHERE organization_id = :organization_id")
_RETIREMENTS = text(
    "SELECT through_number, seal_hash, retired_at, signature, key_id FROM audit_retirements"
    " WHERE organization_id = :organization_id ORDER BY through_number DESC"
)
_RETIRABLE = text(
    f"SELECT DISTINCT ON (organization_id) {_SEAL_COLUMNS} FROM audit_seals AS seal"
    " WHERE id < uuid7_floor(CAST(:before AS timestamptz)) AND NOT EXISTS (SELECT FROM audit_retirements AS retired"
    " WHERE retired.organization_id = seal.organization_id AND retired.through_number >= seal.number)"
    " ORDER BY organization_id, number DESC"
)
_INSERT_RETIREMENT = text(
    "INSERT INTO audit_retirements (organization_id, through_number, seal_hash, retired_at, signature, key_id)"
    " VALUES (:organization_id, :through_number, :seal_hash, :retired_at, :signature, :key_id)"
)
_NOW = text("SELECT now()")
_ORGANIZATIONS = text("SELECT id FROM organizations UNION SELECT DISTINCT organization_id FROM audit_seals ORDER BY 1")
_UNEXPORTED = text(
    "SELECT seal.organization_id, max(seal.number) AS last, coalesce(max(done.last_number), 0) AS exported"
    " FROM (SELECT organization_id, max(number) AS number FROM audit_seals GROUP BY 1) AS seal"
    " LEFT JOIN (SELECT organization_id, max(last_number) AS last_number FROM audit_exports GROUP BY 1) AS done"
    " USING (organization_id) GROUP BY 1 HAVING max(seal.number) > coalesce(max(done.last_number), 0) ORDER BY 1"
)
_INSERT_EXPORT = text(
    "INSERT INTO audit_exports (organization_id, first_number, last_number, blob_key, sha256, size_bytes)"
    " VALUES (:organization_id, :first_number, :last_number, :blob_key, :sha256, :size_bytes)"
)
_PERSONAL = text(
    "SELECT digest, salt, value FROM audit_personal WHERE organization_id = :organization_id AND digest = ANY(:digests)"
)
_ERASE = text("DELETE FROM audit_personal WHERE organization_id = :organization_id AND data_subject = :data_subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """The filter of a query of the trail. `project_id` None means the whole organization."""

    project_id: UUID | None = None
    actor_id: str | None = None
    subject_id: str | None = None
    actions: tuple[str, ...] = ()
    recorded_after: datetime | None = None
    recorded_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retirement:
    """A signed statement that the records of seals up to `through_number` may be deleted."""

    through_number: int
    seal_hash: bytes
    retired_at: datetime
    signature: bytes
    key_id: str


def try_lock(session: Session, what: int) -> bool:
    """Take the lock of `SEALING` or `EXPORTING` until the transaction ends; False when another process has it."""
    return bool(session.execute(_LOCK, {"what": what}).scalar_one())


def any_waiting(executor: Executor) -> bool:
    """Whether the inbox holds a record. Needs `Database.system`."""
    return bool(executor.execute(_ANY_WAITING, {}).scalar_one())


def waiting_records(session: Session, most: int) -> list[Record]:
    """The oldest records of the inbox, of all organizations."""
    return [_record(row) for row in session.execute(_INBOX, {"most": most})]


def head(session: Executor, organization_id: UUID) -> Seal | None:
    """The newest seal."""
    row = session.execute(_HEAD, {"organization_id": organization_id}).one_or_none()
    return None if row is None else _seal(row)


def new_seal_identity(session: Session) -> tuple[UUID, datetime]:
    """The id and the time of a new seal, by the database's clock."""
    row = session.execute(_NEW_SEAL).one()
    return row.id, row.sealed_at


def move_records(session: Session, seal_id: UUID, ids: list[UUID], first_sequence: int, leaves: list[bytes]) -> int:
    """Move records from the inbox to their positions from `first_sequence` on; returns how many were still there."""
    sequences = list(range(first_sequence, first_sequence + len(ids)))
    found = session.execute(_MOVE, {"seal_id": seal_id, "ids": ids, "sequences": sequences, "leaves": leaves})
    return int(found.rowcount)  # type: ignore[attr-defined]


def insert_seal(session: Session, seal: Seal) -> None:
    """Add a link to the chain. A second seal of the same number violates the primary key."""
    session.execute(_INSERT_SEAL, {name: getattr(seal, name) for name in Seal.__slots__})


def seals(session: Executor, organization_id: UUID, *, after: int, through: int, most: int) -> list[Seal]:
    """Seals with numbers above `after` up to `through`, in order."""
    scope = {"organization_id": organization_id, "after": after, "through": through, "most": most}
    return [_seal(row) for row in session.execute(_SEALS, scope)]


def seal_of(session: Executor, organization_id: UUID, sequence: int) -> Seal | None:
    """The seal that covers the record at `sequence`."""
    row = session.execute(_SEAL_OF, {"organization_id": organization_id, "sequence": sequence}).one_or_none()
    return None if row is None or row.last_sequence < sequence else _seal(row)


def records(
    session: Session, organization_id: UUID, *, after: int, through: int, page: int = 10_000
) -> Iterator[Record]:
    """Sealed records with sequences above `after` up to `through`, in order, read by the page."""
    last = (after, UUID(int=2**128 - 1))
    while True:
        scope = {
            "organization_id": organization_id,
            "sequence": last[0],
            "seal_id": last[1],
            "through": through,
            "most": page,
        }
        rows = session.execute(_RECORDS, scope).all()
        yield from (_record(row) for row in rows)
        if len(rows) < page:
            return
        last = (rows[-1].sequence, rows[-1].seal_id)


def leaves(session: Executor, seal: Seal) -> list[bytes]:
    """The stored leaves of a seal's records, in order."""
    scope = {"organization_id": seal.organization_id, "first": seal.first_sequence, "last": seal.last_sequence}
    return [bytes(row.leaf) for row in session.execute(_LEAVES, scope)]


def loose_records(session: Executor, organization_id: UUID, after: int, most: int) -> list[int]:
    """Sequences above `after` of records whose seal does not exist."""
    scope = {"organization_id": organization_id, "sequence": after, "most": most}
    return [row.sequence for row in session.execute(_LOOSE, scope)]


def count_waiting(session: Executor, organization_id: UUID) -> int:
    """How many records are not sealed yet."""
    return int(session.execute(_WAITING, {"organization_id": organization_id}).scalar_one())


def retirements(session: Executor, organization_id: UUID) -> list[Retirement]:
    """The organization's retirements, the widest first."""
    rows = session.execute(_RETIREMENTS, {"organization_id": organization_id})
    return [
        Retirement(row.through_number, bytes(row.seal_hash), row.retired_at, bytes(row.signature), row.key_id)
        for row in rows
    ]


def retirable_seals(session: Session, before: datetime) -> list[Seal]:
    """For every organization the newest seal made before `before`, unless it is retired already."""
    return [_seal(row) for row in session.execute(_RETIRABLE, {"before": before})]


def insert_retirement(session: Session, organization_id: UUID, retirement: Retirement) -> None:
    """Store a signed retirement."""
    values = {name: getattr(retirement, name) for name in Retirement.__slots__}
    session.execute(_INSERT_RETIREMENT, {"organization_id": organization_id, **values})


def now(session: Session) -> datetime:
    """The database's time."""
    moment: datetime = session.execute(_NOW).scalar_one()
    return moment


def organizations(session: Session) -> list[UUID]:
    """Every organization, including deleted ones that ever had a seal."""
    return [row.id for row in session.execute(_ORGANIZATIONS)]


def unexported(session: Session) -> list[tuple[UUID, int, int]]:
    """Organizations with seals that are in no export: id, number exported last, number sealed last."""
    return [(row.organization_id, row.exported, row.last) for row in session.execute(_UNEXPORTED)]


def insert_export(
    session: Session,
    organization_id: UUID,
    *,
    first_number: int,
    last_number: int,
    blob_key: str,
    sha256: str,
    size_bytes: int,
) -> None:
    """Record that a range of seals was written to the blob store."""
    session.execute(
        _INSERT_EXPORT,
        {
            "organization_id": organization_id,
            "first_number": first_number,
            "last_number": last_number,
            "blob_key": blob_key,
            "sha256": sha256,
            "size_bytes": size_bytes,
        },
    )


def _query(where: RecordFilter, *, with_cursor: bool, oldest_first: bool) -> TextClause:
    clauses = ["organization_id = :organization_id"]
    if where.project_id is not None:
        clauses.append("project_id = :project_id")
    if where.actor_id is not None:
        clauses.append("actor_id = :actor_id")
    if where.subject_id is not None:
        clauses.append("subject_id = :subject_id")
    if where.actions:
        clauses.append("action = ANY(:actions)")
    if where.recorded_after is not None:
        # The key contains the time: bounding it keeps the index scan short. The minute absorbs clock differences.
        clauses.append("recorded_at >= :after AND id >= uuid7_floor(CAST(:after AS timestamptz) - interval '1 minute')")
    if where.recorded_before is not None:
        clauses.append("recorded_at < :before AND id < uuid7_floor(CAST(:before AS timestamptz) + interval '1 minute')")
    if with_cursor:
        clauses.append("id > :cursor" if oldest_first else "id < :cursor")
    order = "id" if oldest_first else "id DESC"
    return text(f"SELECT {_COLUMNS} FROM audit_log WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT :most")


def find_records(
    session: Executor,
    organization_id: UUID,
    where: RecordFilter,
    *,
    cursor: UUID | None = None,
    most: int,
    oldest_first: bool = False,
) -> list[Record]:
    """Records, sealed or not, newest first by default, after the record whose id is `cursor`."""
    rows = session.execute(
        _query(where, with_cursor=cursor is not None, oldest_first=oldest_first),
        {
            "organization_id": organization_id,
            "project_id": where.project_id,
            "actor_id": where.actor_id,
            "subject_id": where.subject_id,
            "actions": list(where.actions),
            "after": where.recorded_after,
            "before": where.recorded_before,
            "cursor": cursor,
            "most": most,
        },
    )
    return [_record(row) for row in rows]


_BY_ID = f"SELECT {_COLUMNS} FROM audit_log WHERE organization_id = :organization_id AND id = :id"
_ONE = text(_BY_ID)
_ONE_OF_PROJECT = text(f"{_BY_ID} AND project_id = :project_id")


def get_record(session: Executor, organization_id: UUID, project_id: UUID | None, record_id: UUID) -> Record | None:
    """One record; with `project_id`, only if it belongs to that project."""
    scope = {"organization_id": organization_id, "project_id": project_id, "id": record_id}
    row = session.execute(_ONE if project_id is None else _ONE_OF_PROJECT, scope).one_or_none()
    return None if row is None else _record(row)


def personal_values(
    session: Executor, organization_id: UUID, digests: Sequence[bytes]
) -> dict[bytes, tuple[bytes, str]]:
    """The salt and value of each digest that was not erased."""
    rows = session.execute(_PERSONAL, {"organization_id": organization_id, "digests": list(digests)})
    return {bytes(row.digest): (bytes(row.salt), row.value) for row in rows}


def erase(session: Session, organization_id: UUID, data_subject: str) -> int:
    """Delete the salts and values of a data subject; returns how many."""
    found = session.execute(_ERASE, {"organization_id": organization_id, "data_subject": data_subject})
    return int(found.rowcount)  # type: ignore[attr-defined]


def _record(row: Row[Any]) -> Record:
    return Record(*tuple(row))


def _seal(row: Row[Any]) -> Seal:
    return Seal(*tuple(row))


def backlog(session: Executor) -> tuple[int, float]:
    """How many records wait for their seal, counted up to 100,000, and the age of the oldest in seconds."""
    row = session.execute(_BACKLOG, {}).one()
    return int(row.records), max(0.0, float(row.age_seconds))
