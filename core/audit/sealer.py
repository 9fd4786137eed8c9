"""The sealer: gives waiting records their position in the organization's sequence and closes each batch with a seal."""

from itertools import groupby
from operator import attrgetter

from sqlalchemy.orm import Session

from core.audit import repository
from core.audit.documents import Record, make_seal
from core.kit.db import Database
from core.kit.signing import Signer

SEALED_MAX = 5_000


def seal_once(database: Database, signer: Signer, most: int = SEALED_MAX) -> int:
    """Seal up to `most` of the oldest waiting records, in one transaction; returns how many.

    Safe to call anywhere, any time: a second sealer returns 0 while one is running, and the work of a killed one is
    rolled back to the inbox. Raises the driver's errors when Postgres is unavailable.
    """
    if not repository.any_waiting(database.single_system()):
        return 0
    with database.system() as session:
        if not repository.try_lock(session, repository.SEALING):
            return 0
        waiting = repository.waiting_records(session, most)
        by_organization = attrgetter("organization_id")
        # A stable sort: it preserves the inbox order within an organization.
        for _, batch in groupby(sorted(waiting, key=by_organization), by_organization):
            _seal(session, signer, list(batch))
        return len(waiting)


def _seal(session: Session, signer: Signer, batch: list[Record]) -> None:
    organization_id = batch[0].organization_id
    previous = repository.head(session, organization_id)
    first = previous.last_sequence + 1 if previous else 1
    leaves = [record.leaf_at(first + at) for at, record in enumerate(batch)]
    seal_id, sealed_at = repository.new_seal_identity(session)
    seal = make_seal(
        signer,
        organization_id=organization_id,
        seal_id=seal_id,
        previous=previous,
        leaves=leaves,
        sealed_at=sealed_at,
    )
    moved = repository.move_records(session, seal_id, [record.id for record in batch], first, leaves)
    if moved != len(batch):
        # Only the sealer deletes from the inbox, and it holds a lock; if anything else does, the seal must not be
        # written with holes.
        raise RuntimeError(f"{len(batch) - moved} records left the inbox while they were being sealed")
    repository.insert_seal(session, seal)
