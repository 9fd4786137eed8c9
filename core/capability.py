"""The contract between the platform and a capability.

A capability is a `Manifest` (pure data, importable by the API without any agent framework) whose `entry` names a
function ``build() -> Runner``. A worker loads the entry, validates the job's input against `Manifest.input` and calls
``runner.run(ctx, input)``; the return value is validated against `Manifest.output` and becomes the job's result.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from uuid import UUID

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from sqlalchemy.orm import Session

from core.kit.data_classes import DataClass
from core.kit.money import ZERO

if TYPE_CHECKING:
    from core.kit.db import Executor
    from core.kit.metrics.models import ModelLabels


class JobInterrupted(BaseException):
    """Ends an attempt from inside. A BaseException, so that no framework's retry swallows it."""


class JobCancelled(JobInterrupted):
    """Cancellation was requested; the attempt must stop at the next opportunity."""


class LeaseLost(JobInterrupted):
    """Another attempt owns the job now (or it ended elsewhere); nothing this attempt writes is persisted."""


class JobSuspended(JobInterrupted):
    """The job suspends and frees its worker. `reason` is ``input``, ``children`` or ``budget``.

    `why` is shown to the client while the job waits: a ``code``, a ``message`` and further helpful fields.
    """

    def __init__(self, reason: str, why: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.why = why


@dataclass(frozen=True, slots=True)
class Needs:
    """Annotates an input field: a caller that fills it must hold `scope`.

    ``FileId = Annotated[str, Field(pattern=…), Needs("files:read")]``. A job reads on its caller's behalf, so naming a
    file requires the same scope as reading it. The published JSON Schema carries it as ``x-scope``.
    """

    scope: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validates as before, and collects the scope when `Manifest.needs` asks for it."""
        return core_schema.with_info_after_validator_function(self._collect, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema as before, with the scope."""
        return {**handler(schema), "x-scope": self.scope}

    def _collect(self, value: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, _CollectedScopes):
            info.context.scopes.add(self.scope)
        return value


@dataclass(slots=True)
class _CollectedScopes:
    scopes: set[str]


# For a capability that names no version, and for checkpoints written before they carried one.
FIRST_GRAPH = 1

# The kinds of quantity that count as input, and as output.
_INPUT_KINDS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "embedding_tokens")
_OUTPUT_KINDS = ("output_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model call consumed: amounts by kind, with the kinds of the price table.

    Every token counts in exactly one kind, so that the kinds add up: ``input_tokens`` are the uncached ones,
    ``output_tokens`` the ones that are not reasoning. `estimated`: the provider reported nothing, and the amounts were
    counted here. `reason` explains amounts that differ from the expected ones, for example ``cache``.
    """

    model: str
    quantities: Mapping[str, int]
    estimated: bool = False
    reason: str | None = None

    @property
    def input_tokens(self) -> int:
        """All input tokens."""
        return sum(self.quantities.get(kind, 0) for kind in _INPUT_KINDS)

    @property
    def output_tokens(self) -> int:
        """All output tokens."""
        return sum(self.quantities.get(kind, 0) for kind in _OUTPUT_KINDS)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model as the ledger names it: `provider` and `name` as in the price table, `version` of the registry.

    `labels` is how metrics name it: provider, deployment, model and the version's number.
    """

    provider: str
    name: str
    version: str | None = None
    labels: "ModelLabels | None" = field(default=None, compare=False)


class ModelCall(Protocol):
    """An open model call: its money is set aside, and settled when the block that opened it ends, however it ends."""

    def report(self, usage: ModelUsage) -> None:
        """Report the consumption so far; the last report counts. A call that reports nothing costs its bound."""

    def when_settled(self, hear: Callable[[Decimal | None], None]) -> None:
        """Call `hear` once with the amount the ledger settled in USD; None for a model without a price, or no line.

        From any thread, after the block that opened the call, or at its end.
        """

    def checkpoint_usage(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Record consumption: `count` returns the amounts so far, by kind, and may be called from another thread.

        Cheap enough for every chunk of an answer. If the process is killed, the call is settled with the last recorded
        amounts.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer: `value` matches the question's schema, and is None when no one answered in time.

    `answered_by` identifies that person as audit records do, for example ``key_…``.
    """

    value: Any | None
    answered_by: str | None
    answered_at: datetime | None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class GivenApproval:
    """An answer that permits an effect, as it stands at `read_at`, the database's time.

    `lapsed` is the reason why it no longer counts, for example ``approver_ended``; None while it does.
    """

    value: Any
    approved_by: str
    given_at: datetime
    read_at: datetime
    lapsed: str | None = None


@dataclass(frozen=True, slots=True)
class ChildCall:
    """A job to be started by a job. `key` is unique in the parent: the same key always means the same child.

    `max_cost_usd` is cut to what is left of the parent's own cap, `deadline_seconds` (the capability's own when None)
    to the parent's deadline.
    """

    key: str
    capability: str
    payload: Mapping[str, Any]
    max_cost_usd: Decimal | None = None
    deadline_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    """How a child ended: a terminal `state`, its `result` if it succeeded, its `error` if it has one.

    `cost_usd` includes the cost of its own children, and is complete only if `is_priced`. `result` is None when
    retention has removed it.
    """

    key: str
    job_id: UUID
    state: str
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    cost_usd: Decimal
    is_priced: bool = True

    @property
    def succeeded(self) -> bool:
        """Whether there is a result to use."""
        return self.state == "succeeded"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job produced; `sha256` is hexadecimal."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A client's file, at `path` on this machine until the block that opened it ends."""

    id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    path: Path


class JobContext(Protocol):
    """What a running attempt may do. Every write is fenced by the attempt; none succeeds after the lease is lost.

    `root_id` is the job at the top of the tree that the job belongs to, which may be the job itself.
    """

    job_id: UUID
    root_id: UUID
    organization_id: UUID
    project_id: UUID
    attempt: int
    capability: str
    deadline_at: datetime | None
    # The arm of an experiment that a shadow job runs under; None for a job that a client requested.
    shadow_arm_id: UUID | None

    @property
    def data_class(self) -> DataClass:
        """The class in force now. It only rises: read it before each use."""

    @property
    def units(self) -> Mapping[str, str]:
        """The units the job belongs to beyond its project, by the names that experiments use: ``key``, ``end_user``."""

    @property
    def executor(self) -> "Executor | None":
        """Single statements as the job's tenant; None for a context without a database, such as an evaluation's."""

    def raise_class(self, data_class: DataClass, because: str) -> None:
        """Raise the job's data class from now on; does nothing when its class is already as high.

        `because` names the source, for example ``file_…``, or the kind of finding: never a value. Emits
        ``job.classified`` and leaves a policy decision in the receipt. Uses its own transaction: call it outside of
        `transaction`. Raises `LeaseLost`.
        """

    def check(self) -> None:
        """Raise `JobCancelled` or `LeaseLost` when the attempt must stop. Free: call it at every chunk and step."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """A named unit of work: emits ``step.started`` and ``step.finished``, opens a span, checks before and after."""

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Emit ``progress.updated``: `done` of `total` units; persisted, so call it once per unit of real work."""

    def delta(self, text: str) -> None:
        """Emit one ``message.delta``: the next piece of the answer's text. Live only, never persisted in Postgres."""

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """Emit and persist an event specific to the capability, for example ``document.failed``."""

    def call_model(self, model: str | ModelRef, bound: Mapping[str, int]) -> AbstractContextManager[ModelCall]:
        """Open a call that consumes at most `bound` (amounts by kind), make it inside the block, and settle it after.

        Writes the intent to the ledger before the block and the settlement after it, and emits ``cost.updated``. Raises
        `LeaseLost`; and, when no budget has room for the bound, `JobSuspended` or `CapabilityFailure`
        (``budget_exhausted``), depending on the budget.
        """

    def ask(
        self,
        key: str,
        question: str,
        schema: type[BaseModel] | Mapping[str, Any],
        *,
        details: Mapping[str, Any] | None = None,
        timeout_seconds: int = 86_400,
        approves: Literal["write", "money"] | None = None,
    ) -> Answer:
        """A person's answer to question `key`, which is unique in the job; `schema` is the JSON Schema of the answer.

        `approves` is the effect that a yes permits; None when the answer permits none. The job's caller may not approve
        effects that the operator reserves for a second person (``WAYBILL_FOUR_EYES``).

        While there is no answer: stores the question, emits ``input.required`` and raises `JobSuspended` (``input``);
        the next attempt asks again and gets the answer. After `timeout_seconds` the job resumes by itself, with an
        answer that `timed_out`. Code before this call in the same step runs again: ask first, act afterwards.
        """

    def approval(self, key: str) -> GivenApproval | None:
        """The answer to question `key`, read again with the rights of the person who gave it; None while there is none.

        Raises `CapabilityFailure` (``key_revoked``, ``not_a_member``) when the job's caller has lost its rights.
        """

    def call_all(self, calls: Sequence[ChildCall]) -> list[ChildOutcome]:
        """Start child jobs, once each, in parallel, and return how they ended, in the order of `calls`.

        Raises `JobSuspended` (``children``) until all of them have ended, whatever their state; and
        `CapabilityFailure` when they cannot be started. Failed children are outcomes, not errors.
        """

    def call(
        self, key: str, capability: str, payload: Mapping[str, Any], *, max_cost_usd: Decimal | None = None
    ) -> ChildOutcome:
        """`call_all` of one."""

    def for_tool(
        self, arguments: Mapping[str, Any], *, exempt: Collection[str] = ()
    ) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        """The part of `arguments` an outside system may receive, and a function that restores the values in its answer.

        The guard's policy decides at the border ``to_tool``; values of the kinds in `exempt` are passed unchanged,
        unless they are blocked. Raises `CapabilityFailure`: ``guard_blocked``, ``guard_unavailable``,
        ``guard_key_missing``.
        """

    def with_notice(self, reply: str) -> str:
        """`reply` to a person, with a closing sentence that a machine wrote it, where the policy requires one.

        In the language of the reply, and never twice.
        """

    def artifact(self, name: str, content: bytes | Path, content_type: str, *, is_copy: bool = False) -> Artifact:
        """Store a file, served by ``GET /v1/jobs/{id}/artifacts/{name}``; emits ``artifact.created``.

        Markdown, PDF, PNG and JPEG that the job generated are marked as such (`Manifest.written_by`), so what is stored
        may differ from `content`; `is_copy` marks a file that only reproduces what a client sent. The same name again
        replaces the file, so a step that runs twice may write twice. It is retained as long as the job's result. Raises
        `LeaseLost`, and `Unprocessable` for an invalid name.
        """

    def require(self, scope: str) -> None:
        """Raise `CapabilityFailure` (``scope_missing``) unless the caller behind the job holds `scope` now.

        Code that reads or writes project data other than the job's own calls this first.
        """

    def open_file(self, file_id: str) -> AbstractContextManager[UploadedFile]:
        """A file of the job's project, on this machine, for the time of the block.

        Raises `CapabilityFailure` (``file_not_found``; ``scope_missing`` when the caller may not read files).
        """

    def transaction(self) -> AbstractContextManager[Session]:
        """A transaction as the job's tenant (row-level security applies); commits at the end of the block."""

    def checkpoints(self) -> "CheckpointStore":
        """The job's durable checkpoints, fenced by the attempt: those of its graph version."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """One checkpoint as bytes; `kind` names the serializer, `writes` are (task id, index, channel, kind, bytes)."""

    namespace: str
    id: str
    parent_id: str | None
    kind: str
    body: bytes
    metadata: Mapping[str, Any]
    writes: tuple[tuple[str, int, str, str, bytes], ...] = ()


class CheckpointStore(Protocol):
    """Holds a graph's state between steps, so that the next attempt continues after the last finished step."""

    def save(self, checkpoint: StoredCheckpoint) -> None:
        """Store a checkpoint. Raises `LeaseLost` when the attempt no longer owns the job."""

    def save_writes(
        self, namespace: str, checkpoint_id: str, task_id: str, writes: list[tuple[int, str, str, bytes]]
    ) -> None:
        """Store the finished writes of one task of a step: (index, channel, kind, bytes). Raises `LeaseLost`."""

    def load(self, namespace: str, checkpoint_id: str | None = None) -> StoredCheckpoint | None:
        """The named checkpoint with its writes, or the newest of `namespace`."""

    def list(self, namespace: str | None, before: str | None, limit: int | None) -> Iterator[StoredCheckpoint]:
        """Checkpoints of the job, newest first."""


class Runner(Protocol):
    """The object a capability's entry point builds, once per worker process; `run` must be safe in several threads."""

    def run(self, ctx: JobContext, payload: Any) -> BaseModel:
        """Do the work. Raises `CapabilityFailure` for expected failures; any other exception is retried."""


class Migrating(Runner, Protocol):
    """A runner whose jobs may be migrated from an earlier graph version (`Manifest.migrations`)."""

    def migrate(self, migration: Callable[..., Any], old: CheckpointStore, new: CheckpointStore) -> None:
        """Convert the state in `old` with `migration` into `new`, in one write; does nothing when `old` is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A capability as published by ``GET /v1/capabilities`` and enforced by the dispatcher and the workers.

    `scopes` are what every caller must hold; naming things in the input may require more (`Needs`). `calls` are the
    capabilities that it calls itself as part of its work: a key restricted to this one need not allow those.
    `reserve_usd` is set aside from every budget when a job without its own cap is accepted, so that a job that must
    spend is refused before it starts; a call that needs more sets the rest aside when it is made.

    `graph_version` is named by every checkpoint, of a graph or of a crew. A job resumes on the version it started with:
    this one, or one of `earlier_graphs`, which maps a version to its entry point. `migrations` maps a version to a
    function (``module:name``) that converts that version's state to this one's. A job of any other version waits for a
    worker that has it.
    """

    id: str
    version: str
    title: str
    description: str
    input: type[BaseModel]
    output: type[BaseModel]
    entry: str
    examples: tuple[Mapping[str, Any], ...] = ()
    max_attempts: int = 3
    deadline_seconds: int = 3600
    price_hint: str = "no model is billed by default"
    reserve_usd: Decimal = ZERO
    scopes: frozenset[str] = field(default_factory=frozenset)
    calls: frozenset[str] = field(default_factory=frozenset)
    # Whether a job may run a second time with its result discarded: it only reads, asks no one and changes nothing.
    shadowable: bool = False
    # The author of a job's result and artifacts, for the disclosure mark. `machine`: an agent, whatever models took
    # part; `model`: a model, if a generating one was used, else no one; `none`: it generates no text.
    written_by: Literal["machine", "model", "none"] = "model"
    graph_version: int = FIRST_GRAPH
    earlier_graphs: Mapping[int, str] = field(default_factory=dict)
    migrations: Mapping[int, str] = field(default_factory=dict)
    # The pool of another folder whose workers run it.
    runs_in: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for contradictory versions."""
        declared = [*self.earlier_graphs, *self.migrations]
        if len(set(declared)) < len(declared):
            raise ValueError(f"{self.id}: an earlier graph is either run or migrated, not both")
        if any(not FIRST_GRAPH <= version < self.graph_version for version in declared):
            raise ValueError(f"{self.id}: what is run or migrated is of a version below {self.graph_version}")

    @property
    def pool(self) -> str:
        """The folder part of the id, unless another pool is set: one Celery queue and one worker pool per folder."""
        return self.runs_in or self.id.partition(".")[0]

    def resumes(self, graph_version: int) -> bool:
        """Whether a job that started with this graph version can resume here, unchanged or migrated."""
        return graph_version in {self.graph_version, *self.earlier_graphs, *self.migrations}

    def needs(self, given: Mapping[str, Any]) -> frozenset[str]:
        """The scopes that a caller must hold to submit the input `given`. Raises the errors of `read`."""
        return self.read(given)[1]

    def read(self, given: Mapping[str, Any] | None) -> tuple[BaseModel, frozenset[str]]:
        """The input as the runner gets it, and the scopes that a caller must hold to submit it.

        Raises pydantic's ValidationError for an input that does not match `input`.
        """
        collected = _CollectedScopes(set(self.scopes))
        payload = self.input.model_validate(given, context=collected)
        return payload, frozenset(collected.scopes)

    def load(self, graph_version: int | None = None) -> Runner:
        """Import the entry point and build the runner. Slow: this is where the agent frameworks are loaded.

        `graph_version` may be one of `earlier_graphs`; the current one by default.
        """
        entry = self.entry if graph_version in {None, self.graph_version} else self.earlier_graphs[graph_version]
        return cast("Callable[[], Runner]", _named(entry))()

    def load_migration(self, graph_version: int) -> Callable[..., Any]:
        """Import the function that migrates jobs from `graph_version`, one of `migrations`."""
        return cast("Callable[..., Any]", _named(self.migrations[graph_version]))


def _named(entry: str) -> Any:
    module, _, name = entry.partition(":")
    return getattr(import_module(module), name)
