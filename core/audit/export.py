"""Exports: ranges of seals with their records, and anchors, in the blob store.

In Azure the container has an immutability policy (WORM), so that no one, including the operators of Waybill, can change
or remove an export. No key is ever written twice.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from core.audit import repository
from core.audit.anchors import folder, write_anchor
from core.audit.documents import Record, Seal
from core.kit.blob import BlobStore
from core.kit.db import Database

RECORDS_MAX = 50_000
_SEALS_MAX = 5_000
_CONTENT_TYPE = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Exported:
    """A range of seals that was written to the blob store."""

    organization_id: UUID
    first_number: int
    last_number: int
    records: int
    blob_key: str


def export_once(
    database: Database, blobs: BlobStore, *, organization_id: UUID | None = None, max_records: int = RECORDS_MAX
) -> list[Exported]:
    """Write seals not exported yet: one object and one anchor for each organization, of about `max_records`.

    Returns what was written; call it again until that is empty. A second exporter writes nothing while one is running.
    A range that a killed exporter stored but did not record is stored again, under a different key.
    """
    with database.system() as session:
        if not repository.try_lock(session, repository.EXPORTING):
            return []
        return [
            _export(session, blobs, organization, after, through, max_records)
            for organization, after, through in repository.unexported(session)
            if organization_id in {None, organization}
        ]


def _export(  # noqa: PLR0917 - private, and every caller says all of it
    session: Session, blobs: BlobStore, organization_id: UUID, after: int, through: int, max_records: int
) -> Exported:
    chosen: list[Seal] = []
    for seal in repository.seals(session, organization_id, after=after, through=through, most=_SEALS_MAX):
        chosen.append(seal)
        if seal.last_sequence - chosen[0].first_sequence + 1 >= max_records:
            break
    first, last = chosen[0], chosen[-1]
    records = repository.records(session, organization_id, after=first.first_sequence - 1, through=last.last_sequence)
    lines = list(_lines(chosen, records))
    body = b"".join(lines)
    key = f"{folder(organization_id)}records/{first.number:012}-{last.number:012}.ndjson"
    if not blobs.exists(key):
        blobs.put(key, body, _CONTENT_TYPE)
    write_anchor(blobs, last)
    digest = hashlib.sha256(body).hexdigest()
    repository.insert_export(
        session,
        organization_id,
        first_number=first.number,
        last_number=last.number,
        blob_key=key,
        sha256=digest,
        size_bytes=len(body),
    )
    return Exported(organization_id, first.number, last.number, len(lines) - len(chosen), key)


def _lines(seals: list[Seal], records: Iterator[Record]) -> Iterator[bytes]:
    """A line for each seal, followed by a line for each of its records, in order."""
    by_seal = {seal_id: list(group) for seal_id, group in groupby(records, lambda record: record.seal_id)}
    for seal in seals:
        yield orjson.dumps({"seal": seal.document()}, option=orjson.OPT_APPEND_NEWLINE)
        for record in by_seal.get(seal.id, ()):
            yield orjson.dumps({"record": record.document()}, option=orjson.OPT_APPEND_NEWLINE)
