"""Job schemas: what clients send and receive."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.amounts import Money
from api.times import Schedule
from core.jobs.records import JobRecord
from core.jobs.states import JobState, Priority
from core.jobs.suspension.records import Question
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import JOB, PROJECT, encode
from core.kit.json_values import dumps
from core.kit.money import format_cost, format_money
from core.webhooks.events import JOB_EVENTS
from core.webhooks.targets import URL_MAX_CHARACTERS

METADATA_MAX = 32
_EXAMPLE_ID = "job_01jd3q8v9tfq8a1b2c3d4e5f6g"
_PRIORITIES = tuple(str(priority) for priority in (Priority.of_rank(rank) for rank in range(len(Priority))))

JobEvent = Literal["job.succeeded", "job.failed", "job.cancelled", "job.expired", "job.rejected", "job.waiting"]
MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class JobWebhook(BaseModel):
    """A webhook for one job, in addition to the project's endpoints."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        min_length=1,
        max_length=URL_MAX_CHARACTERS,
        description=(
            "Where to POST: an https URL on the public internet. Messages are signed with the project's webhook secret."
        ),
        examples=["https://example.com/hooks/waybill"],
    )
    events: list[JobEvent] = Field(
        default_factory=list, max_length=len(JOB_EVENTS), description="The job's events to send. Empty means all."
    )
    include_result: bool = Field(False, description="Include the result, unless it is larger than 64 KiB.")


class SubmitJob(BaseModel):
    """A request for a job."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "capability": "knowledge.search",
                    "input": {
                        "knowledge_base": "kb_01jd3q8v9tfq8a1b2c3d4e5f6g",
                        "query": "How long is the warranty?",
                    },
                    "metadata": {"ticket": "4711"},
                }
            ]
        },
    )

    capability: str = Field(max_length=200, description="The capability to run. See `GET /v1/capabilities`.")
    input: dict[str, Any] = Field(description="The capability's input, matching its JSON Schema.")
    priority: Priority = Field(
        Priority.NORMAL, description="Priority among the jobs of your project. It does not affect other projects."
    )
    run_at: Schedule | None = Field(None, description="Earliest start (RFC 3339 with a zone).")
    deadline_seconds: int | None = Field(
        None,
        ge=1,
        le=366 * 24 * 3600,
        description="Seconds after acceptance, or after `run_at` if that is later, when the job becomes `expired`.",
    )
    deadline_at: Schedule | None = Field(None, description="Time at which the job becomes `expired`.")
    max_attempts: int | None = Field(
        None, ge=1, le=100, description="Maximum number of attempts before the job is `failed`."
    )
    max_cost_usd: Money | None = Field(
        None,
        description=(
            "The most that the job may cost, in US dollars, as a decimal string. The amount is reserved when the"
            " job is accepted, and the rest is released when the job ends."
        ),
        examples=["0.25"],
    )
    metadata: dict[MetadataName, MetadataValue] = Field(
        default_factory=dict, max_length=METADATA_MAX, description="Your labels. `GET /v1/jobs` can filter by them."
    )

    data_class: DataClass | None = Field(
        None,
        description=(
            "The data class of the input. Default: `internal`. The job's class is the highest of this class, its"
            " project's class, and the classes of the data it reads."
        ),
    )
    webhook: JobWebhook | None = Field(
        None, description="A webhook for this job, in addition to the project's endpoints."
    )

    @model_validator(mode="after")
    def _one_deadline(self) -> Self:
        if self.deadline_at is not None and self.deadline_seconds is not None:
            raise ValueError("send either deadline_at or deadline_seconds, not both")
        if self.deadline_at is not None and self.run_at is not None and self.deadline_at <= self.run_at:
            raise ValueError("deadline_at must be later than run_at")
        return self


class JobError(BaseModel):
    """Why a job did not succeed, or what a waiting job waits for."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="A stable code to branch on.")
    message: str


class Usage(BaseModel):
    """Usage of one model call."""

    model_config = ConfigDict(extra="allow")

    model: str
    attempt: int
    input_tokens: int
    output_tokens: int
    cost_usd: str | None = Field(description="US dollars. Null when the model has no price.")
    priced: bool = Field(True, description="Whether all usage had a price.")
    estimated: bool


class DisclosureMark(BaseModel):
    """Marks machine-generated content, as the EU AI Act, Art. 50, requires."""

    ai_generated: Literal[True]
    generator: str = Field(description="The product name.", examples=["Waybill"])
    job_id: str
    model: str | None = Field(
        description="The model that wrote the result. Null when no model wrote it, or its name is not known."
    )
    model_version: str | None
    generated_at: datetime
    digital_source_type: str = Field(description="An IPTC term, as in the metadata of images and PDFs.")


class JobLinks(BaseModel):
    """Related URLs."""

    self: str
    events: str
    cancel: str
    cost: str
    tree: str


class Job(BaseModel):
    """A job. The states `succeeded`, `failed`, `cancelled`, `expired` and `rejected` are final."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    id: str = Field(examples=[_EXAMPLE_ID])
    project_id: str
    capability: str
    state: JobState
    reason: str | None = Field(description="A stable code for why the job is in this state.")
    error: JobError | None
    priority: Priority
    metadata: dict[str, str]
    data_class: DataClass = Field(description="The current data class of the job. It can only rise.")
    attempt: int = Field(
        description=(
            "Number of attempts started, without those that were not counted because a dependency was unavailable."
        )
    )
    max_attempts: int
    created_at: datetime
    run_at: datetime
    deadline_at: datetime | None
    dispatched_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    payload_erased_at: datetime | None = Field(
        description="When retention deleted input and result. Null while they exist."
    )
    parent_id: str | None
    root_id: str | None
    webhook: JobWebhook | None = Field(description="The webhook that this job names.")
    is_shadow: bool = Field(
        description="Whether this job is a repetition by an experiment's shadow arm, whose result is discarded."
    )
    usage: list[Usage]
    cost_usd: str | None = Field(
        description="The known cost in US dollars, as a decimal string. Null when no part of it had a price."
    )
    priced: bool = Field(
        description="Whether every model call had a price. If false, the actual cost is higher than shown."
    )
    max_cost_usd: str | None = Field(description="The most that the job may cost.")
    disclosure: DisclosureMark | None = Field(
        description="The mark of generated content. Null without a result, and when no model or agent wrote it."
    )
    links: JobLinks


class OpenQuestion(BaseModel):
    """A question that a waiting job asks."""

    key: str
    question: str
    # Not named `schema`, because every model has a method of that name.
    answer_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of the answer.")
    details: dict[str, Any] | None = Field(description="Information for the person who answers.")
    asked_at: datetime
    due_at: datetime = Field(description="When the job resumes without an answer.")
    approves: Literal["write", "money"] | None = Field(
        description="The effect that an approval allows. It may need approval by someone other than the submitter."
    )


class JobWithResult(Job):
    """A job with its result, once it succeeded, or its open questions while it waits."""

    children_cost_usd: str | None = Field(
        description="Cost of all descendant jobs, in US dollars. Null when no part of it is known."
    )
    children_priced: bool = Field(description="Whether every model call of the descendant jobs had a price.")
    total_cost_usd: str | None = Field(
        description="The sum of `cost_usd` and `children_cost_usd`. Null when no part of it is known."
    )
    total_priced: bool = Field(
        description="Whether both amounts are complete. If false, the actual cost is higher than shown."
    )
    questions: list[OpenQuestion] = Field(description="Open questions for a person.")
    result: dict[str, Any] | None = Field(None, description="The result, matching the capability's output schema.")


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    data: list[Job]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(job: JobRecord) -> dict[str, Any]:
    """`job` as the members of `Job`."""
    job_id = encode(JOB, job.id)
    where = f"/v1/jobs/{job_id}"
    return {
        "id": job_id,
        "project_id": encode(PROJECT, job.project_id),
        "capability": job.capability,
        "state": job.state,
        "reason": job.reason,
        "error": job.error,
        "priority": _PRIORITIES[job.priority],
        "metadata": job.metadata,
        "data_class": job.data_class,
        "attempt": job.attempts_spent,
        "max_attempts": job.max_attempts,
        "created_at": isoformat(job.created_at),
        "run_at": isoformat(job.run_at),
        "deadline_at": _time(job.deadline_at),
        "dispatched_at": _time(job.dispatched_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "cancel_requested_at": _time(job.cancel_requested_at),
        "payload_erased_at": _time(job.payload_erased_at),
        "parent_id": _job_id(job.parent_id),
        "root_id": _job_id(job.root_id),
        "webhook": job.webhook,
        "is_shadow": job.shadow_arm_id is not None,
        "usage": job.usage,
        "cost_usd": format_cost(job.cost_usd, priced=job.is_priced),
        "priced": job.is_priced,
        "max_cost_usd": None if job.max_cost_usd is None else format_money(job.max_cost_usd),
        "disclosure": job.disclosure,
        "links": {"self": where, **{name: f"{where}/{name}" for name in ("events", "cancel", "cost", "tree")}},
    }


def dump(job: JobRecord, result: dict[str, Any] | None, questions: Sequence[Question] = ()) -> bytes:
    """`job` with its result, or its open questions, as the JSON of `JobWithResult`."""
    costs = costs_with_children(job, job.cost_usd, priced=job.is_priced)
    return dumps({**to_wire(job), **costs, "questions": [_question(each) for each in questions], "result": result})


def costs_with_children(job: JobRecord, cost_usd: Decimal, *, priced: bool) -> dict[str, Any]:
    """Adds the cost of `job`'s descendants and the total.

    `cost_usd` is its own cost, `priced` whether that is complete.
    """
    total_priced = priced and job.children_are_priced
    return {
        "children_cost_usd": format_cost(job.children_cost_usd, priced=job.children_are_priced),
        "children_priced": job.children_are_priced,
        "total_cost_usd": format_cost(cost_usd + job.children_cost_usd, priced=total_priced),
        "total_priced": total_priced,
    }


def _question(asked: Question) -> dict[str, Any]:
    return {
        "key": asked.key,
        "question": asked.question,
        "schema": asked.schema,
        "details": asked.details,
        "asked_at": isoformat(asked.asked_at),
        "due_at": isoformat(asked.due_at),
        "approves": asked.approves,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)


def _job_id(value: UUID | None) -> str | None:
    return None if value is None else encode(JOB, value)


# Postgres compares a page's bounds with the time inside UUIDv7 keys, which starts in 1970 and ends in 10889.
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)


def clamp(moment: datetime | None) -> datetime | None:
    """`moment` limited to the time span in which jobs can exist; a bound beyond it means the same."""
    return None if moment is None else min(max(moment, EARLIEST), LATEST)
