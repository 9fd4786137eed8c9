"""The values behind tokens, as stored, and the SQL that numbers them. Every statement filters by tenant."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.kit.db import Base, Executor, execute_all

# Child jobs of one tree name values concurrently, and two may name the same one. The lock is a separate statement: the
# next one's snapshot is taken when the lock is held, and so shows what the previous process committed.
_LOCK = text("SELECT pg_advisory_xact_lock(7201960, hashtext(CAST(:root AS text)))")
_NAME = text("""
WITH wanted AS (
  SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[]), CAST(:boxes AS bytea[]))
    WITH ORDINALITY AS wanted (kind, digest, sealed, position)
), known AS (
  SELECT wanted.position, stored.number, stored.sealed
  FROM wanted JOIN unnest(CAST(:positions AS int[]), CAST(:lookups AS bytea[])) AS lookup (position, digest)
    USING (position)
  JOIN guard_pseudonyms AS stored ON stored.root_job_id = :root AND stored.kind = wanted.kind
    AND stored.digest = lookup.digest
  WHERE stored.organization_id = :organization
), made AS (
  INSERT INTO guard_pseudonyms (root_job_id, kind, number, organization_id, digest, sealed)
  SELECT :root, kind, coalesce((SELECT max(number) FROM guard_pseudonyms AS used
      WHERE used.root_job_id = :root AND used.kind = wanted.kind), 0)
    + row_number() OVER (PARTITION BY kind ORDER BY position), :organization, digest, sealed
  FROM wanted WHERE NOT EXISTS (SELECT FROM known WHERE known.position = wanted.position)
  RETURNING kind, digest, number, sealed
)
SELECT position, number, sealed FROM known
UNION ALL SELECT wanted.position, made.number, made.sealed FROM made JOIN wanted USING (kind, digest)
""")
_FIND = text("""
SELECT kind, number, sealed FROM guard_pseudonyms
JOIN unnest(CAST(:kinds AS text[]), CAST(:numbers AS int[])) AS wanted (kind, number) USING (kind, number)
WHERE root_job_id = :root AND organization_id = :organization AND sealed IS NOT NULL
""")
_SEALED = text("""
SELECT root_job_id, kind, number, organization_id, sealed FROM guard_pseudonyms
WHERE sealed IS NOT NULL AND (root_job_id, kind, number) > (:root, :kind, :number)
ORDER BY root_job_id, kind, number LIMIT 1000 FOR UPDATE
""")
_REPLACE = text("""
UPDATE guard_pseudonyms AS stored SET digest = new.digest, sealed = new.sealed
FROM unnest(CAST(:roots AS uuid[]), CAST(:kinds AS text[]), CAST(:numbers AS int[]), CAST(:digests AS bytea[]),
  CAST(:boxes AS bytea[])) AS new (root_job_id, kind, number, digest, sealed)
WHERE stored.root_job_id = new.root_job_id AND stored.kind = new.kind AND stored.number = new.number
""")
_ERASE = text("""
UPDATE guard_pseudonyms SET sealed = NULL,
  digest = decode(replace(CAST(gen_random_uuid() AS text) || CAST(gen_random_uuid() AS text), '-', ''), 'hex')
WHERE organization_id = :organization AND digest = ANY(CAST(:digests AS bytea[])) RETURNING root_job_id
""")


class GuardPseudonym(Base):
    """A value of a job tree and its number. `sealed` is None once it was erased."""

    __tablename__ = "guard_pseudonyms"
    __table_args__ = (
        CheckConstraint("kind ~ '^[a-z][a-z0-9_]{0,39}$'", name="guard_pseudonyms_kind"),
        CheckConstraint("number >= 1", name="guard_pseudonyms_number"),
        CheckConstraint("octet_length(digest) = 32", name="guard_pseudonyms_digest"),
        UniqueConstraint("root_job_id", "kind", "digest", name="guard_pseudonyms_value"),
        Index("guard_pseudonyms_of_value", "organization_id", "digest"),
    )

    root_job_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(TEXT, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    digest: Mapped[bytes]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


class Wanted(NamedTuple):
    """A value that needs a number. `digests` are by every key, the current one first."""

    kind: str
    digests: Sequence[bytes]
    sealed: bytes


class Row(NamedTuple):
    """A value that has a number."""

    kind: str
    number: int
    sealed: bytes


def name(executor: Executor, organization_id: UUID, root_job_id: UUID, wanted: Sequence[Wanted]) -> list[Row]:
    """Give a number to each value without one, in this order; returns all in this order. One round trip.

    `wanted` holds each pair of kind and current digest once.
    """
    values = {
        "root": root_job_id,
        "organization": organization_id,
        "kinds": [row.kind for row in wanted],
        "digests": [row.digests[0] for row in wanted],
        "boxes": [row.sealed for row in wanted],
        "positions": [place for place, row in enumerate(wanted, start=1) for _ in row.digests],
        "lookups": [digest for row in wanted for digest in row.digests],
    }
    named = execute_all(executor, [(_LOCK, {"root": str(root_job_id)}), (_NAME, values)])[1]
    found = {row.position: Row(wanted[row.position - 1].kind, row.number, bytes(row.sealed)) for row in named}
    return [found[place] for place in range(1, len(wanted) + 1)]


def find(executor: Executor, organization_id: UUID, root_job_id: UUID, wanted: Iterable[tuple[str, int]]) -> list[Row]:
    """The values of these kinds and numbers, without those that were erased."""
    pairs = list(wanted)
    found = executor.execute(
        _FIND,
        {
            "root": root_job_id,
            "organization": organization_id,
            "kinds": [kind for kind, _ in pairs],
            "numbers": [number for _, number in pairs],
        },
    )
    return [Row(row.kind, row.number, bytes(row.sealed)) for row in found]


class Sealed(NamedTuple):
    """A stored value in its sealed form."""

    root_job_id: UUID
    kind: str
    number: int
    organization_id: UUID
    sealed: bytes


def sealed(session: Session) -> Iterator[list[Sealed]]:
    """Every value of every organization, locked, a thousand at a time; needs `Database.system`."""
    last = (UUID(int=0), "", 0)
    while rows := session.execute(_SEALED, dict(zip(("root", "kind", "number"), last, strict=True))).all():
        yield [Sealed(row.root_job_id, row.kind, row.number, row.organization_id, bytes(row.sealed)) for row in rows]
        last = (rows[-1].root_job_id, rows[-1].kind, rows[-1].number)


def replace_all(session: Session, rows: Sequence[Sealed], digests: Sequence[bytes]) -> None:
    """Replace the stored boxes and digests with these, row by row."""
    session.execute(
        _REPLACE,
        {
            "roots": [row.root_job_id for row in rows],
            "kinds": [row.kind for row in rows],
            "numbers": [row.number for row in rows],
            "digests": list(digests),
            "boxes": [row.sealed for row in rows],
        },
    )


def erase(session: Session, organization_id: UUID, digests: Sequence[bytes]) -> list[UUID]:
    """Erase these values from every tree of the organization; returns the tree of each row."""
    found = session.execute(_ERASE, {"organization": organization_id, "digests": list(digests)})
    return list(found.scalars())
