"""Batches as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.jobs.states import Priority
from core.kit.data_classes import DataClass
from core.kit.money import ZERO

# Lines in a request, and in a file.
INLINE_LINES_MAX = 1_000
LINES_MAX = 50_000
CUSTOM_ID_MAX_CHARACTERS = 200


class BatchState(StrEnum):
    """The state of a batch. `completed`, `failed`, `cancelled` and `expired` are final."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDS = frozenset({BatchState.COMPLETED, BatchState.FAILED, BatchState.CANCELLED, BatchState.EXPIRED})


class LineState(StrEnum):
    """The state of a line, as shown in its results."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class LineError(StrEnum):
    """Why a line without a job ended; a job's failure is the job's own error."""

    COST_CAP_REACHED = "cost_cap_reached"
    CANCELLED = "batch_cancelled"
    DEADLINE = "deadline"
    CAPABILITY_UNKNOWN = "capability_unknown"
    KEY_REVOKED = "key_revoked"
    NOT_A_MEMBER = "not_a_member"


class LineRule(StrEnum):
    """The rules for a line, besides those of its capability's JSON Schema."""

    LINE_TOO_LONG = "line_too_long"
    MALFORMED_JSON = "malformed_json"
    DUPLICATE_CUSTOM_ID = "duplicate_custom_id"
    TOO_MANY_LINES = "too_many_lines"
    OBJECT_EXPECTED = "object_expected"
    EXTRA_FORBIDDEN = "extra_forbidden"
    CUSTOM_ID = "custom_id"
    MISSING = "missing"
    CAPABILITY_UNKNOWN = "capability_unknown"
    SCOPE_MISSING = "scope_missing"
    CAPABILITY_DENIED = "capability_denied"
    MAX_LINE_COST_MISSING = "max_line_cost_missing"
    METADATA = "metadata"
    INVALID_TEXT = "invalid_text"
    NESTING_TOO_DEEP = "nesting_too_deep"
    NO_LINES = "no_lines"
    FILE_NOT_FOUND = "file_not_found"


@dataclass(frozen=True, slots=True)
class BatchLine:
    """The request of one line, validated."""

    custom_id: str
    capability: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A problem of a line: `line` counts from one, `path` is within the line (``input.query``)."""

    line: int
    path: str
    code: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """The form that is stored and shown."""
        return {"line": self.line, "path": self.path, "code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A client's request. Has either `lines`, which were validated, or `input_file_id`, which will be.

    `allowed` are the capabilities that its lines may use. `deadline_at` wins over `deadline_seconds`.
    """

    lines: Sequence[BatchLine] = ()
    input_file_id: UUID | None = None
    capability: str | None = None
    allowed: frozenset[str] = frozenset()
    priority: Priority = Priority.LOW
    max_cost_usd: Decimal | None = None
    max_line_cost_usd: Decimal | None = None
    deadline_at: datetime | None = None
    deadline_seconds: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    webhook: Mapping[str, Any] | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """The lines of a batch by state; the six add up to `total`."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch, with counts and cost as of one moment."""

    id: UUID
    organization_id: UUID
    project_id: UUID
    key_id: UUID | None
    state: BatchState
    capability: str | None
    priority: int
    max_cost_usd: Decimal | None
    max_line_cost_usd: Decimal | None
    deadline_at: datetime | None
    metadata: dict[str, str]
    webhook: dict[str, Any] | None
    input_file_id: UUID | None
    errors: list[dict[str, Any]]
    bad_lines: int
    delayed_reason: str | None
    results_file_id: UUID | None
    results_sha256: str | None
    results_size_bytes: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    payload_erased_at: datetime | None
    counts: Counts = Counts()
    cost_usd: Decimal = ZERO
    is_priced: bool = True

    @property
    def has_ended(self) -> bool:
        """Whether it has ended and no longer changes."""
        return self.state in ENDS


@dataclass(frozen=True, slots=True)
class LineResult:
    """The state of a line; one that ended has a `result` or an `error`. `result` is None once retention has removed it.

    `cost_usd` is incomplete unless `is_priced`.
    """

    custom_id: str
    line: int
    state: LineState
    job_id: UUID | None
    cost_usd: Decimal
    is_priced: bool
    result: dict[str, Any] | None
    result_ref: str | None
    disclosure: dict[str, Any] | None
    error: dict[str, Any] | None
    data_class: DataClass
