"""Deletes results of batches together with their jobs' payloads: by their project's retention periods for payloads."""

from uuid import UUID

from sqlalchemy import text

from core.files.records import blob_key
from core.jobs.retention.records import Kind, default_days
from core.kit.blob import BlobStore
from core.kit.db import Database
from core.kit.settings import Settings

_AT_ONCE = 50

# The result file has the highest class of the lines. A batch without a result file has no payload left.
_DUE = text("""
SELECT batch.id, batch.project_id, batch.results_file_id
FROM retention_payload_clocks(CAST(:default_days AS int)) AS clock
CROSS JOIN LATERAL (
  SELECT batches.id, batches.project_id, results_file_id
  FROM batches LEFT JOIN files AS results ON results.id = results_file_id
  WHERE batches.project_id = clock.project_id AND finished_at IS NOT NULL AND payload_erased_at IS NULL
    AND finished_at < now() - make_interval(days => clock.days)
    AND coalesce(results.data_class, 'public') = ANY(clock.data_classes)
  ORDER BY finished_at LIMIT :most FOR UPDATE OF batches SKIP LOCKED
) AS batch
WHERE clock.days IS NOT NULL LIMIT :most
""")
_DELETE_FILES = text("DELETE FROM files WHERE id = ANY(:ids)")
_DELETE_LINES = text("DELETE FROM batch_lines WHERE batch_id = ANY(:ids)")
_BLANK = text("UPDATE batches SET payload_erased_at = now(), errors = '[]' WHERE id = ANY(:ids)")


def erase_once(database: Database, blobs: BlobStore, settings: Settings) -> int:
    """Erase lines and results of batches past their retention period, at most fifty; returns how many batches.

    Counts, cost and the digest of the result file stay. Content is deleted before its row: after a kill in between, the
    next run finds the row and continues.
    """
    with database.system() as session:
        values = {"default_days": default_days(settings)[Kind.PAYLOADS], "most": _AT_ONCE}
        due: list[tuple[UUID, UUID, UUID | None]] = [tuple(row) for row in session.execute(_DUE, values)]
        if not due:
            return 0
        kept = [(project_id, file_id) for _, project_id, file_id in due if file_id is not None]
        for project_id, file_id in kept:
            blobs.delete(blob_key(project_id, file_id))
        session.execute(_DELETE_FILES, {"ids": [file_id for _, file_id in kept]})
        ids = [batch_id for batch_id, _, _ in due]
        session.execute(_DELETE_LINES, {"ids": ids})
        session.execute(_BLANK, {"ids": ids})
    return len(due)
