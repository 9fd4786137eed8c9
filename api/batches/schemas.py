"""Batch schemas."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.amounts import Money
from api.jobs.schemas import METADATA_MAX, MetadataName, MetadataValue
from api.times import Schedule
from core.batches.records import CUSTOM_ID_MAX_CHARACTERS, INLINE_LINES_MAX, LINES_MAX, BatchRecord, BatchState
from core.batches.validation import PROBLEMS_MAX
from core.jobs.states import Priority
from core.kit.clock import isoformat
from core.kit.ids import BATCH, FILE, PROJECT, encode
from core.kit.money import format_cost, format_money
from core.webhooks.targets import URL_MAX_CHARACTERS

_EXAMPLE_ID = "batch_01jd3q8v9tfq8a1b2c3d4e5f6g"
_FILE = "file_01jd3q8v9tfq8a1b2c3d4e5f6g"
_LINE: dict[str, Any] = {
    "custom_id": "q-1",
    "input": {"knowledge_base": "kb_01jd3q8v9tfq8a1b2c3d4e5f6g", "query": "How long do refunds take?"},
}
_PRIORITIES = {priority.rank: priority for priority in Priority}

Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=METADATA_MAX)]


class BatchLine(BaseModel):
    """One job of a batch."""

    model_config = ConfigDict(extra="forbid")

    custom_id: Annotated[str, StringConstraints(min_length=1, max_length=CUSTOM_ID_MAX_CHARACTERS)] = Field(
        description="Your identifier for the line, unique within the batch. The line's result includes it."
    )
    capability: str | None = Field(
        None,
        max_length=200,
        description="Overrides the batch's capability for this line. Required when the batch has none.",
    )
    input: dict[str, Any] = Field(description="The capability's input, matching its JSON Schema.")
    metadata: Metadata = Field(
        default_factory=dict, description="Labels of the line's job, in addition to the batch's."
    )


class BatchWebhook(BaseModel):
    """An additional webhook that is notified when the batch ends."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(min_length=1, max_length=URL_MAX_CHARACTERS)] = Field(
        description="Where `batch.completed`, `batch.failed`, `batch.cancelled` or `batch.expired` is sent by POST.",
        examples=["https://example.com/hooks/waybill"],
    )


class CreateBatch(BaseModel):
    """Many jobs at once: either `lines`, or a file with one JSON line per job."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"capability": "knowledge.search", "lines": [_LINE], "max_cost_usd": "2", "max_line_cost_usd": "0.01"},
                {"capability": "knowledge.search", "input_file_id": _FILE},
            ]
        },
    )

    lines: list[BatchLine] | None = Field(
        None,
        min_length=1,
        max_length=INLINE_LINES_MAX,
        description=f"At most {INLINE_LINES_MAX:,}. Use a file for more.",
    )
    input_file_id: str | None = Field(
        None,
        max_length=100,
        description=f"A file from `POST /v1/files` with a JSON object in each line, at most {LINES_MAX:,} of them."
        " The whole file is validated in the background before its first line is accepted.",
        examples=[_FILE],
    )
    capability: str | None = Field(None, max_length=200, description="The capability of lines that name none.")
    priority: Priority = Field(
        Priority.LOW, description="Priority of the batch's jobs. `low` runs after all other work."
    )
    max_cost_usd: Money | None = Field(
        None,
        description=(
            "The most that the whole batch may cost, in US dollars. Lines that exceed the rest are not started"
            " and end with the error `cost_cap_reached`."
        ),
        examples=["10"],
    )
    max_line_cost_usd: Money | None = Field(
        None,
        description=(
            "The most that each line's job may cost. Required with `max_cost_usd` for capabilities that do not"
            " reserve an amount themselves."
        ),
        examples=["0.01"],
    )
    deadline_at: Schedule | None = Field(None, description="Lines that have not ended by this time become `expired`.")
    deadline_seconds: int | None = Field(
        None, ge=1, le=366 * 24 * 3600, description="The same deadline, in seconds from now."
    )
    metadata: Metadata = Field(default_factory=dict, description="Your labels, for the batch and all its jobs.")
    webhook: BatchWebhook | None = Field(None, description="A webhook for this batch only.")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.lines is None) == (self.input_file_id is None):
            raise ValueError("send either lines or input_file_id")
        if self.deadline_at is not None and self.deadline_seconds is not None:
            raise ValueError("send either deadline_at or deadline_seconds, not both")
        return self


class BatchCounts(BaseModel):
    """Line counts by state. The six counts add up to `total`."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


class BatchProblem(BaseModel):
    """A problem with a line of the file."""

    line: int = Field(description="Line number, starting at 1.")
    path: str = Field(description="Location within the line. Empty for the line as a whole.")
    code: str
    message: str


class BatchLinks(BaseModel):
    """Related URLs."""

    self: str
    results: str
    cancel: str


class Batch(BaseModel):
    """A batch. The states `completed`, `failed`, `cancelled` and `expired` are final."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    id: str = Field(examples=[_EXAMPLE_ID])
    project_id: str
    state: BatchState = Field(
        description=(
            "`validating`: the file is being validated. `failed`: the file has invalid lines, and nothing was"
            " started. `finalizing`: every line has ended, and the result file is being written."
        )
    )
    capability: str | None
    priority: Priority
    counts: BatchCounts
    cost_usd: str | None = Field(
        description="Cost of the batch so far, including child jobs. Null when no part of it had a price."
    )
    priced: bool = Field(
        description="Whether every model call had a price. If false, the actual cost is higher than shown."
    )
    max_cost_usd: str | None
    max_line_cost_usd: str | None
    delayed_reason: str | None = Field(
        description=(
            "Why no further lines are started at the moment, for example `budget_exhausted` or `quota_exceeded`."
        )
    )
    errors: list[BatchProblem] = Field(description=f"Problems with the file: the first {PROBLEMS_MAX}.")
    bad_lines: int = Field(description="Number of invalid lines.")
    input_file_id: str | None
    results_file_id: str | None = Field(description="The result file, once the batch has ended.")
    results_sha256: str | None
    results_size_bytes: int | None
    metadata: dict[str, str]
    webhook: BatchWebhook | None
    deadline_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    payload_erased_at: datetime | None
    links: BatchLinks


class BatchPage(BaseModel):
    """A page of batches, newest first."""

    data: list[Batch]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(batch: BatchRecord) -> dict[str, Any]:
    """`batch` as the members of `Batch`."""
    batch_id = encode(BATCH, batch.id)
    where = f"/v1/batches/{batch_id}"
    counts = batch.counts
    has_file = batch.results_sha256 is not None and batch.results_file_id is not None
    return {
        "id": batch_id,
        "project_id": encode(PROJECT, batch.project_id),
        "state": batch.state,
        "capability": batch.capability,
        "priority": _PRIORITIES[batch.priority],
        "counts": {name: getattr(counts, name) for name in BatchCounts.model_fields},
        "cost_usd": format_cost(batch.cost_usd, priced=batch.is_priced),
        "priced": batch.is_priced,
        "max_cost_usd": None if batch.max_cost_usd is None else format_money(batch.max_cost_usd),
        "max_line_cost_usd": None if batch.max_line_cost_usd is None else format_money(batch.max_line_cost_usd),
        "delayed_reason": batch.delayed_reason,
        "errors": batch.errors,
        "bad_lines": batch.bad_lines,
        "input_file_id": None if batch.input_file_id is None else encode(FILE, batch.input_file_id),
        "results_file_id": encode(FILE, batch.results_file_id) if has_file and batch.results_file_id else None,
        "results_sha256": batch.results_sha256,
        "results_size_bytes": batch.results_size_bytes,
        "metadata": batch.metadata,
        "webhook": None if batch.webhook is None else {"url": batch.webhook["url"]},
        "deadline_at": _time(batch.deadline_at),
        "created_at": isoformat(batch.created_at),
        "started_at": _time(batch.started_at),
        "finished_at": _time(batch.finished_at),
        "cancel_requested_at": _time(batch.cancel_requested_at),
        "payload_erased_at": _time(batch.payload_erased_at),
        "links": {"self": where, "results": f"{where}/results", "cancel": f"{where}/cancel"},
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
