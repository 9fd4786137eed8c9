"""Jobs on the wire: what a client sends, and what it is told."""

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
    """A receiver for one job, beside the project's endpoints."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        min_length=1,
        max_length=URL_MAX_CHARACTERS,
        description="Where to POST; https, on the public internet. Signed with the project's webhook secret.",
        examples=["https://example.com/hooks/waybill"],
    )
    events: list[JobEvent] = Field(
        default_factory=list, max_length=len(JOB_EVENTS), description="Which events of the job; none means all."
    )
    include_result: bool = Field(False, description="Send the result along, unless it is larger than 64 KiB.")


class SubmitJob(BaseModel):
    """A request for work."""

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

    capability: str = Field(max_length=200, description="What is asked for; see `GET /v1/capabilities`.")
    input: dict[str, Any] = Field(description="The capability's input, as its JSON Schema says.")
    priority: Priority = Field(
        Priority.NORMAL, description="Orders the jobs of your project; other projects are not overtaken."
    )
    run_at: Schedule | None = Field(None, description="Not before this moment (RFC 3339 with a zone).")
    deadline_seconds: int | None = Field(
        None,
        ge=1,
        le=366 * 24 * 3600,
        description="The job becomes `expired` this long after it was accepted, or after `run_at` when that is later.",
    )
    deadline_at: Schedule | None = Field(None, description="The job becomes `expired` at this moment.")
    max_attempts: int | None = Field(None, ge=1, le=100, description="Attempts before the job is `failed`.")
    max_cost_usd: Money | None = Field(
        None,
        description="The job never costs more than this, in US dollars, as a decimal string. It is set aside when the"
        " job is accepted; what is left goes back when the job ends.",
        examples=["0.25"],
    )
    metadata: dict[MetadataName, MetadataValue] = Field(
        default_factory=dict, max_length=METADATA_MAX, description="Your own labels; `GET /v1/jobs` filters by them."
    )

    data_class: DataClass | None = Field(
        None,
        description="How sensitive the input is; `internal` when left out. The job's class is the highest of this, its"
        " project's, and those of what it reads.",
    )
    webhook: JobWebhook | None = Field(None, description="A receiver for this job, beside the project's endpoints.")

    @model_validator(mode="after")
    def _one_deadline(self) -> Self:
        if self.deadline_at is not None and self.deadline_seconds is not None:
            raise ValueError("give deadline_at or deadline_seconds, not both")
        if self.deadline_at is not None and self.run_at is not None and self.deadline_at <= self.run_at:
            raise ValueError("deadline_at must be later than run_at")
        return self


class JobError(BaseModel):
    """Why a job did not succeed, or what a waiting one waits for."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="Stable; switch on this.")
    message: str


class Usage(BaseModel):
    """What one model call consumed."""

    model_config = ConfigDict(extra="allow")

    model: str
    attempt: int
    input_tokens: int
    output_tokens: int
    cost_usd: str | None = Field(description="US dollars; null when the model has no price.")
    priced: bool = Field(True, description="Whether all that was consumed had a price.")
    estimated: bool


class DisclosureMark(BaseModel):
    """That a machine generated something: the mark of the EU AI Act, Art. 50."""

    ai_generated: Literal[True]
    generator: str = Field(description="The product.", examples=["Waybill"])
    job_id: str
    model: str | None = Field(description="The model that wrote it; null when none did, or its name is not known.")
    model_version: str | None
    generated_at: datetime
    digital_source_type: str = Field(description="A term of IPTC's, as in the metadata of images and PDFs.")


class JobLinks(BaseModel):
    """Where to go from here."""

    self: str
    events: str
    cancel: str
    cost: str
    tree: str


class Job(BaseModel):
    """A job. States that end it (`succeeded`, `failed`, `cancelled`, `expired`, `rejected`) never change again."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    id: str = Field(examples=[_EXAMPLE_ID])
    project_id: str
    capability: str
    state: JobState
    reason: str | None = Field(description="A stable code that says why the job is in this state.")
    error: JobError | None
    priority: Priority
    metadata: dict[str, str]
    data_class: DataClass = Field(description="How sensitive its data is, by now. It only rises.")
    attempt: int = Field(
        description="How many attempts were started, without those that an outage of a dependency gave back."
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
        description="When retention took input and result away; null while they are kept."
    )
    parent_id: str | None
    root_id: str | None
    webhook: JobWebhook | None = Field(description="The receiver that this job alone names.")
    is_shadow: bool = Field(description="Run again by an experiment's shadow arm, for nobody to see.")
    usage: list[Usage]
    cost_usd: str | None = Field(
        description="US dollars, as a decimal string: what is known of it. Null when nothing is, for want of a price."
    )
    priced: bool = Field(description="Whether each of its model calls had a price; false: it cost more than is known.")
    max_cost_usd: str | None = Field(description="What the job may cost at most.")
    disclosure: DisclosureMark | None = Field(
        description="The mark of a generated result; null without a result, and for one that no model or agent wrote."
    )
    links: JobLinks


class OpenQuestion(BaseModel):
    """What a waiting job wants to know."""

    key: str
    question: str
    # Not named `schema`, which every model has as a method.
    answer_schema: dict[str, Any] = Field(alias="schema", description="The JSON Schema of the answer.")
    details: dict[str, Any] | None = Field(description="What the person should know before answering.")
    asked_at: datetime
    due_at: datetime = Field(description="When the job goes on without an answer.")
    approves: Literal["write", "money"] | None = Field(
        description="What a yes lets happen. Somebody else than who submitted the job may have to say it."
    )


class JobWithResult(Job):
    """A job and, once it succeeded, its result; what it asks while it waits for an answer."""

    children_cost_usd: str | None = Field(
        description="What all jobs below this one have cost, in US dollars; null when nothing is known."
    )
    children_priced: bool = Field(description="Whether each of their model calls had a price.")
    total_cost_usd: str | None = Field(description="`cost_usd` and `children_cost_usd`; null when nothing is known.")
    total_priced: bool = Field(description="Whether both are all that was consumed; false: it cost more than is known.")
    questions: list[OpenQuestion] = Field(description="What it waits for a person to answer.")
    result: dict[str, Any] | None = Field(None, description="As the capability's output schema says.")


class JobPage(BaseModel):
    """Jobs, newest first."""

    data: list[Job]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


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
    """What the jobs below `job` cost, and all together; `cost_usd` is its own cost, `priced` whether that is all."""
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


# Postgres compares a page's bounds with the time inside UUIDv7 keys, which begins in 1970 and ends in 10889.
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)


def clamp(moment: datetime | None) -> datetime | None:
    """`moment` moved into the span of time in which there can be jobs; a bound beyond it means the same."""
    return None if moment is None else min(max(moment, EARLIEST), LATEST)
