"""A batch as OpenAI's ``batch`` object."""

from datetime import datetime
from typing import Any

from api.openai.jobs import LABELS
from core.batches.records import BatchRecord, BatchState
from core.kit.ids import BATCH, encode

WINDOW = "24h"
OUTPUT = "output"
ERRORS = "errors"


def is_ours(batch: BatchRecord) -> bool:
    """Whether it was created through this dialect."""
    return LABELS + "endpoint" in batch.metadata


def to_wire(batch: BatchRecord) -> dict[str, Any]:
    """The object."""
    counts = batch.counts
    failed = counts.failed + counts.cancelled + counts.expired
    ended = {
        state: _time(batch.finished_at) if batch.state is state else None
        for state in (BatchState.COMPLETED, BatchState.FAILED, BatchState.EXPIRED, BatchState.CANCELLED)
    }
    has_files = batch.has_ended and batch.payload_erased_at is None
    return {
        "id": encode(BATCH, batch.id),
        "object": "batch",
        "endpoint": batch.metadata[LABELS + "endpoint"],
        "errors": None,
        "input_file_id": batch.metadata[LABELS + "input_file_id"],
        "completion_window": WINDOW,
        "status": batch.state,
        "output_file_id": encode(OUTPUT, batch.id) if has_files and counts.succeeded else None,
        "error_file_id": encode(ERRORS, batch.id) if has_files and failed else None,
        "created_at": _time(batch.created_at),
        "in_progress_at": _time(batch.started_at),
        "expires_at": _time(batch.deadline_at),
        "finalizing_at": None,
        "completed_at": ended[BatchState.COMPLETED],
        "failed_at": ended[BatchState.FAILED],
        "expired_at": ended[BatchState.EXPIRED],
        "cancelling_at": _time(batch.cancel_requested_at),
        "cancelled_at": ended[BatchState.CANCELLED],
        "request_counts": {"total": counts.total, "completed": counts.succeeded, "failed": failed},
        "metadata": {name: value for name, value in batch.metadata.items() if not name.startswith(LABELS)},
    }


def _time(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
