"""Batches."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from waybill.client.models.base import Resource

# The states that end a batch.
BATCH_ENDS = frozenset({"completed", "failed", "cancelled", "expired"})


class BatchCounts(Resource):
    """Lines by where they are; the six add up to `total`."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int

    @property
    def ended(self) -> int:
        """How many lines have ended, however."""
        return self.total - self.queued - self.running


class BatchProblem(Resource):
    """What is wrong with a line of a batch's file; `line` counts from one."""

    line: int
    path: str
    code: str
    message: str


class Batch(Resource):
    """Many jobs that were asked for together."""

    id: str
    state: str
    capability: str | None = None
    priority: str
    counts: BatchCounts
    # None: what its lines used has no price. With `priced` false they cost more than is known.
    cost_usd: Decimal | None
    priced: bool = True
    max_cost_usd: Decimal | None = None
    max_line_cost_usd: Decimal | None = None
    delayed_reason: str | None = None
    errors: list[BatchProblem]
    bad_lines: int
    input_file_id: str | None = None
    results_file_id: str | None = None
    metadata: dict[str, str]
    deadline_at: datetime | None = None
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing about it changes any more."""
        return self.state in BATCH_ENDS


class LineResult(Resource):
    """How a line has ended: with a `result`, or with an `error` of a code and a message."""

    custom_id: str
    line: int
    status: str
    job_id: str | None = None
    cost_usd: Decimal | None
    priced: bool = True
    result: dict[str, Any] | None = None
    disclosure: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
