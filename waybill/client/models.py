"""What the API answers, as typed values. Members this version does not know are kept, so output loses nothing."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "expired", "rejected"})
FINAL_EVENTS = frozenset(f"job.{state}" for state in TERMINAL_STATES)

Item = TypeVar("Item")


class Resource(BaseModel):
    """Anything the API returns. Times are aware UTC, money is US dollars as `Decimal`."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    def as_json(self) -> dict[str, Any]:
        """The resource as plain JSON values, with every member the server sent and none it did not."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


class JobError(Resource):
    """Why a job failed: a stable `code` and a sentence."""

    code: str
    message: str = ""


class Question(Resource):
    """What a waiting job wants to know; `answer_schema` is the JSON Schema of the answer."""

    key: str
    question: str
    answer_schema: dict[str, Any] = Field(alias="schema", default_factory=dict)
    details: dict[str, Any] | None = None
    asked_at: datetime | None = None
    due_at: datetime | None = None


class Job(Resource):
    """A job. `result` is present once it succeeded; `reason` is a stable code beside the state."""

    id: str
    capability: str
    state: str
    reason: str | None = None
    error: JobError | None = None
    priority: str = "normal"
    attempt: int = 0
    max_attempts: int = 1
    created_at: datetime
    run_at: datetime | None = None
    deadline_at: datetime | None = None
    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    payload_erased_at: datetime | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    input: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    usage: list[dict[str, Any]] = Field(default_factory=list)
    cost_usd: Decimal = Decimal(0)
    children_cost_usd: Decimal = Decimal(0)
    questions: list[Question] = Field(default_factory=list)

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.state in TERMINAL_STATES


class TreeNode(Resource):
    """A job of a tree; `key` is the name under which its parent called it."""

    id: str
    parent_id: str | None = None
    key: str | None = None
    depth: int = 0
    capability: str
    state: str
    reason: str | None = None
    cost_usd: Decimal = Decimal(0)


class JobTree(Resource):
    """A job and all below it, parents before children."""

    job_id: str
    total_cost_usd: Decimal = Decimal(0)
    jobs: list[TreeNode]


class Feedback(Resource):
    """A rating of a job's result."""

    job_id: str
    score: float
    comment: str | None = None
    given_at: datetime


class Event(Resource):
    """One event of a job. Ids rise within a job, with jumps."""

    id: int
    type: str
    job_id: str = ""
    attempt: int = 0
    data: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing follows this event."""
        return self.type in FINAL_EVENTS


class Page(Resource, Generic[Item]):
    """One page of a listing; `next_cursor` is None on the last."""

    data: list[Item]
    next_cursor: str | None = None


class Capability(Resource):
    """Something that can be asked for, with the JSON Schemas of its input and output."""

    id: str
    version: str = ""
    title: str = ""
    description: str = ""
    input_schema: dict[str, Any] = Field(default_factory=dict)
    output_schema: dict[str, Any] = Field(default_factory=dict)
    examples: list[dict[str, Any]] = Field(default_factory=list)


class KnowledgeBase(Resource):
    """A named collection of documents that can be searched."""

    id: str
    name: str
    description: str = ""
    embedding_model: str = ""
    chunk_count: int = 0
    created_at: datetime | None = None


class Document(Resource):
    """A file in a knowledge base: ``pending`` until it was ingested, then ``ready`` or ``failed``."""

    id: str
    name: str
    media_type: str = ""
    size_bytes: int = 0
    sha256: str = ""
    state: str = ""
    error: JobError | None = None
    page_count: int | None = None
    chunk_count: int = 0
