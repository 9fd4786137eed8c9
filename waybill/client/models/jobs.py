"""Jobs as the API tells of them, and what belongs to a job."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from waybill.client.models.base import Resource

TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "expired", "rejected"})


class JobError(Resource):
    """Why a job failed: a stable `code` and a sentence."""

    code: str
    message: str = ""


class Question(Resource):
    """What a waiting job wants to know; `answer_schema` is the JSON Schema of the answer.

    `approves` is the effect that a yes lets happen, `write` or `money`: another person may have to give it.
    """

    key: str
    question: str
    answer_schema: dict[str, Any] = Field(alias="schema", default_factory=dict)
    details: dict[str, Any] | None = None
    approves: str | None = None
    asked_at: datetime | None = None
    due_at: datetime | None = None


class JobRecord(Resource):
    """A job as the API reported it. `result` is set once it has succeeded; `reason` is a stable code for the state."""

    id: str
    project_id: str = ""
    capability: str
    state: str
    reason: str | None = None
    error: JobError | None = None
    data_class: str = ""
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
    # The mark of a result that a model or agent generated.
    disclosure: dict[str, Any] | None = None
    usage: list[dict[str, Any]] = Field(default_factory=list)
    # None: what it used has no price. With `priced` false it cost more than is known.
    cost_usd: Decimal | None = Decimal(0)
    priced: bool = True
    # The same of the jobs below it; a listing does not look for them.
    children_cost_usd: Decimal | None = Decimal(0)
    children_priced: bool = True
    max_cost_usd: Decimal | None = None
    parent_id: str | None = None
    root_id: str | None = None
    is_shadow: bool = False
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
    cost_usd: Decimal | None = Decimal(0)
    priced: bool = True


class JobTree(Resource):
    """A job and all below it, parents before children."""

    job_id: str
    total_cost_usd: Decimal | None = Decimal(0)
    total_priced: bool = True
    jobs: list[TreeNode]


class Feedback(Resource):
    """A rating of a job's result."""

    job_id: str
    score: float
    comment: str | None = None
    given_at: datetime


class LedgerLine(Resource):
    """A line of a job's ledger: what a model call could cost at most, what it cost, or a correction of that.

    `entry` is 0 for the intent, 1 for the settlement, higher for corrections; `quantities` and `amounts` are by unit.
    """

    attempt: int
    call: int
    entry: int
    kind: str
    recorded_at: datetime
    provider: str = ""
    model: str = ""
    model_version: str | None = None
    step: str | None = None
    quantities: dict[str, int] = Field(default_factory=dict)
    amounts: dict[str, Decimal] = Field(default_factory=dict)
    bound_usd: Decimal = Decimal(0)
    amount_usd: Decimal | None = Decimal(0)
    priced: bool = True
    estimated: bool = False
    reason: str | None = None


class JobCost(Resource):
    """What a job has cost, line by line; the lines' amounts add up to `cost_usd`, to the last digit."""

    job_id: str
    cost_usd: Decimal | None
    priced: bool = True
    children_cost_usd: Decimal | None = Decimal(0)
    children_priced: bool = True
    total_cost_usd: Decimal | None
    total_priced: bool = True
    max_cost_usd: Decimal | None = None
    lines: list[LedgerLine]
