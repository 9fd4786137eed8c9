"""The values behind tokens, as stored, and the SQL that gives them their numbers. Every statement names its tenant."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.kit.db import Base, Executor, execute_all

# Child jobs of one tree name values at the same time, and two may mean the same one. The lock is a statement of its
# own: the next one's snapshot is taken when the lock is held, and shows what the process before has committed.
_LOCK = text("SELECT pg_advisory_xact_lock(7201960, hashtext(CAST(:root AS text)))")
_NAME = text("""
WITH wanted AS (
  SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[]), CAST(:boxes AS bytea[]))
    WITH ORDINALITY AS wanted (kind, digest, sealed, position)
), known AS (
  SELECT kind, digest, number, known.sealed FROM guard_pseudonyms AS known JOIN wanted USING (kind, digest)
  WHERE root_job_id = :root AND organization_id = :organization
), made AS (
  INSERT INTO guard_pseudonyms (root_job_id, kind, number, organization_id, digest, sealed)
  SELECT :root, kind, coalesce((SELECT max(number) FROM guard_pseudonyms AS used
      WHERE used.root_job_id = :root AND used.kind = wanted.kind), 0)
    + row_number() OVER (PARTITION BY kind ORDER BY position), :organization, digest, sealed
  FROM wanted WHERE NOT EXISTS (SELECT FROM known WHERE known.kind = wanted.kind AND known.digest = wanted.digest)
  RETURNING kind, digest, number, sealed
)
SELECT * FROM known UNION ALL SELECT * FROM made
""")
_FIND = text("""
SELECT kind, digest, number, sealed FROM guard_pseudonyms
JOIN unnest(CAST(:kinds AS text[]), CAST(:numbers AS int[])) AS wanted (kind, number) USING (kind, number)
WHERE root_job_id = :root AND organization_id = :organization AND sealed IS NOT NULL
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


class Row(NamedTuple):
    """A value that has a number; of one that is to be given a number it is 0."""

    kind: str
    digest: bytes
    number: int
    sealed: bytes


def name(executor: Executor, organization_id: UUID, root_job_id: UUID, wanted: Sequence[Row]) -> list[Row]:
    """Give a number to each that has none, in this order; returns all with their numbers. One round trip.

    `wanted` holds each pair of kind and digest once.
    """
    values = {
        "root": root_job_id,
        "organization": organization_id,
        "kinds": [row.kind for row in wanted],
        "digests": [row.digest for row in wanted],
        "boxes": [row.sealed for row in wanted],
    }
    named = execute_all(executor, [(_LOCK, {"root": str(root_job_id)}), (_NAME, values)])[1]
    return [Row(row.kind, bytes(row.digest), row.number, bytes(row.sealed)) for row in named]


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
    return [Row(row.kind, bytes(row.digest), row.number, bytes(row.sealed)) for row in found]


def erase(session: Session, organization_id: UUID, digests: Sequence[bytes]) -> list[UUID]:
    """Take these values away from every tree of the organization; returns the tree of each row."""
    found = session.execute(_ERASE, {"organization": organization_id, "digests": list(digests)})
    return list(found.scalars())
