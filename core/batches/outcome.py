"""Writes the result file of a batch whose last line has ended, and ends the batch with it.

The file's id is chosen before its content is written, and the content goes into the blob store before the row that
refers to it: killed anywhere, the next round writes the same file again.
"""

import hashlib
import tempfile
from typing import BinaryIO, cast
from uuid import UUID

from core.batches import repository, work
from core.batches.records import BatchState
from core.batches.service import Batches
from core.batches.work import OpenBatch
from core.files.records import blob_key
from core.files.service import FileService
from core.kit.blob import BlobStore
from core.kit.db import Database
from core.kit.ids import BATCH, encode
from core.kit.logging import get_logger

MEDIA_TYPE = "application/x-ndjson"
_LINES_AT_ONCE = 500
_log = get_logger(__name__)


def finish_once(database: Database, blobs: BlobStore, batches: Batches, files: FileService) -> int:
    """Write the results of batches that are `finalizing`; returns how many have ended.

    A batch that fails is logged and retried in the next round.
    """
    with database.system() as session:
        found = work.open_batches(session, (BatchState.FINALIZING,))
    done = 0
    for batch_id, organization_id in found:
        try:
            with database.tenant(organization_id) as holding:
                if work.take(holding, batch_id):
                    done += _finish(database, blobs, batches, files, organization_id, batch_id)
        except Exception:  # noqa: BLE001 - whatever is wrong with this one, the others are to end
            _log.exception("batch_not_finished", batch_id=str(batch_id))
    return done


def _finish(  # noqa: PLR0917 - one call, a few lines above
    database: Database,
    blobs: BlobStore,
    batches: Batches,
    files: FileService,
    organization_id: UUID,
    batch_id: UUID,
) -> int:
    with database.tenant(organization_id) as session:
        batch = work.read(session, organization_id, batch_id, lock=False)
    if batch.state is not BatchState.FINALIZING or batch.results_file_id is None:
        return 0
    with tempfile.TemporaryFile() as written:
        sha256, size_bytes = _write(database, batches, batch, cast("BinaryIO", written))
        written.seek(0)
        blobs.put(blob_key(batch.project_id, batch.results_file_id), cast("BinaryIO", written), MEDIA_TYPE)
    with database.tenant(organization_id) as session:
        files.register(
            session,
            batch.principal,
            batch.results_file_id,
            name=f"{encode(BATCH, batch.id)}.jsonl",
            content_type=MEDIA_TYPE,
            size_bytes=size_bytes,
            sha256=sha256,
            data_class=repository.highest_class(session, batch.principal, batch.id),
        )
        work.end(session, batch_id, sha256, size_bytes)
    return 1


def _write(database: Database, batches: Batches, batch: OpenBatch, file: BinaryIO) -> tuple[str, int]:
    single = database.single_tenant(batch.organization_id)
    digest, size_bytes, after = hashlib.sha256(), 0, 0
    while results := repository.results(single, batch.principal, batch.id, after, _LINES_AT_ONCE):
        for raw in batches.render(results):
            digest.update(raw)
            file.write(raw)
            size_bytes += len(raw)
        after = results[-1].line
    return digest.hexdigest(), size_bytes
