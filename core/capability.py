"""The contract between the platform and a capability.

A capability is a `Manifest` (pure data, importable by the API without any agent framework) whose `entry` names a
function ``build() -> Runner``. A worker loads the entry, validates the job's input against `Manifest.input` and calls
``runner.run(ctx, input)``; what it returns is validated against `Manifest.output` and becomes the job's result.
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
    """Cancellation was asked for; the attempt must stop at the next opportunity."""


class LeaseLost(JobInterrupted):
    """Another attempt owns the job now (or it ended elsewhere); nothing this attempt writes will be kept."""


class JobSuspended(JobInterrupted):
    """The job steps aside and frees its worker. `reason` is ``input``, ``children`` or ``budget``.

    `why` is shown to the client while the job waits: a ``code``, a ``message``, and what else helps.
    """

    def __init__(self, reason: str, why: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.why = why


@dataclass(frozen=True, slots=True)
class Needs:
    """In the annotation of an input's field: whoever fills it must hold `scope`.

    ``FileId = Annotated[str, Field(pattern=…), Needs("files:read")]``. A job reads for whoever asked for it, so naming
    a file needs what reading it needs. The published JSON Schema says so as ``x-scope``.
    """

    scope: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validates as before, and notes the scope where `Manifest.needs` asks."""
        return core_schema.with_info_after_validator_function(self._note, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema as before, with the scope."""
        return {**handler(schema), "x-scope": self.scope}

    def _note(self, value: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, _Noted):
            info.context.scopes.add(self.scope)
        return value


@dataclass(slots=True)
class _Noted:
    scopes: set[str]


# Of a capability that does not say, and of checkpoints that were written before they named it.
FIRST_GRAPH = 1

# The kinds of quantity that count as what went in, and as what came out.
_INPUT_KINDS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "embedding_tokens")
_OUTPUT_KINDS = ("output_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model call consumed: amounts by kind, the kinds being those of the price book.

    Every token counts in exactly one kind, so that the kinds add up: ``input_tokens`` are the uncached ones,
    ``output_tokens`` those that are not reasoning. `estimated`: nothing was reported, the amounts were counted here.
    `reason` says why the amounts are not what one would expect, for example ``cache``.
    """

    model: str
    quantities: Mapping[str, int]
    estimated: bool = False
    reason: str | None = None

    @property
    def input_tokens(self) -> int:
        """All tokens that went in."""
        return sum(self.quantities.get(kind, 0) for kind in _INPUT_KINDS)

    @property
    def output_tokens(self) -> int:
        """All tokens that came out."""
        return sum(self.quantities.get(kind, 0) for kind in _OUTPUT_KINDS)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model as the ledger names it: `provider` and `name` as in the price book, `version` of the registry.

    `labels` is how metrics name it: provider, deployment, model and the version's number.
    """

    provider: str
    name: str
    version: str | None = None
    labels: "ModelLabels | None" = field(default=None, compare=False)


class ModelCall(Protocol):
    """An open model call: its money is set aside, and settled when the block that opened it ends, however it ends."""

    def report(self, usage: ModelUsage) -> None:
        """Say what was consumed up to now; the last report counts. A call that reports nothing costs its bound."""

    def when_settled(self, hear: Callable[[Decimal | None], None]) -> None:
        """Have `hear` called once with what the ledger settled in USD; None for a model without a price, or no line.

        From any thread, after the block that opened the call, or at its end.
        """

    def note(self, count: Callable[[], Mapping[str, int]]) -> None:
        """More was consumed, and `count` knows how much by now, by kind; it may be asked later, from another thread.

        Cheap, for every piece of an answer: should the process be killed, the call is settled with what was noted last.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered: `value` obeys the question's schema, and is None when nobody answered in time.

    `answered_by` is who did, as audit records name them, for example ``key_…``.
    """

    value: Any | None
    answered_by: str | None
    answered_at: datetime | None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class GivenApproval:
    """An answer that lets something happen, as it stands at `read_at`, the database's time.

    `lapsed` says why it does not count any more, for example ``approver_ended``; None while it does.
    """

    value: Any
    approved_by: str
    given_at: datetime
    read_at: datetime
    lapsed: str | None = None


@dataclass(frozen=True, slots=True)
class ChildCall:
    """A job to be started by a job. `key` is unique in the parent: the same key is the same child, whatever happens.

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
    """How a child ended: a terminal `state`, its `result` if it succeeded, its `error` if it says one.

    `cost_usd` counts what its own children cost too, and is not all of it unless `is_priced`. `result` is None when
    retention has taken it away.
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
    """A file that a job left behind; `sha256` is hexadecimal."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A client's file, at `path` on this machine as long as the block lasts that opened it."""

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
    # The arm of an experiment that a shadow job runs under; None for what somebody asked for.
    shadow_arm_id: UUID | None

    @property
    def data_class(self) -> DataClass:
        """The class in force now. It only rises: read it before each use."""

    @property
    def units(self) -> Mapping[str, str]:
        """Whom the job is for beyond its project, by the names that experiments know: ``key``, ``end_user``."""

    @property
    def executor(self) -> "Executor | None":
        """Single statements as the job's tenant; None for a context without a database, such as an evaluation's."""

    def raise_class(self, data_class: DataClass, because: str) -> None:
        """The job holds data of this class from now on; nothing happens when its class is as high already.

        `because` names the source, for example ``file_…``, or the kind of what was found: never a value. Emits
        ``job.classified`` and leaves a policy decision in the receipt. Has a transaction of its own: call it outside of
        `transaction`. Raises `LeaseLost`.
        """

    def check(self) -> None:
        """Raise `JobCancelled` or `LeaseLost` when the attempt must stop. Free: call it at every chunk and step."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """A named unit of work: emits ``step.started`` and ``step.finished``, opens a span, checks before and after."""

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Emit ``progress.updated``: `done` of `total` units; kept in Postgres, so call it per unit of real work."""

    def delta(self, text: str) -> None:
        """Emit one ``message.delta``: the next piece of the answer's text. Live only, never kept in Postgres."""

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """Emit and keep an event of the capability's own, for example ``document.failed``."""

    def call_model(self, model: str | ModelRef, bound: Mapping[str, int]) -> AbstractContextManager[ModelCall]:
        """Open a call that consumes at most `bound` (amounts by kind), make it inside the block, and settle it after.

        Writes the intent to the ledger before the block and the settlement after it, and emits ``cost.updated``.
        Raises `LeaseLost`; and, when no budget has room for the bound, `JobSuspended` or `CapabilityFailure`
        (``budget_exhausted``), as the budget says.
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

        `approves` is the effect that a yes lets happen; None when nothing hangs on the answer. Who asked for the job
        may not approve what the operator keeps for a second pair of eyes (``WAYBILL_FOUR_EYES``).

        Not there yet: keeps the question, emits ``input.required`` and raises `JobSuspended` (``input``); the next
        attempt asks again and gets the answer. After `timeout_seconds` the job goes on by itself, with an answer that
        `timed_out`. What stands before this call in the same step runs again: ask first, act afterwards.
        """

    def approval(self, key: str) -> GivenApproval | None:
        """The answer to question `key`, read again together with the rights of who gave it; None while there is none.

        Raises `CapabilityFailure` (``key_revoked``, ``not_a_member``) when the caller behind the job may not go on.
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
        self, arguments: Mapping[str, Any], *, keeps: Collection[str] = ()
    ) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        """What a system outside may get of `arguments`, and what puts the values again into its answer.

        The guard's policy decides at the border ``to_tool``; values of the kinds `keeps` go as they are, unless they
        are blocked. Raises `CapabilityFailure`: ``guard_blocked``, ``guard_unavailable``, ``guard_key_missing``.
        """

    def with_notice(self, reply: str) -> str:
        """`reply`, which a person gets, with a last sentence that says a machine wrote it, where the policy wants it.

        In the language of the reply, and never twice.
        """

    def artifact(self, name: str, content: bytes | Path, content_type: str, *, is_copy: bool = False) -> Artifact:
        """Leave a file behind, for ``GET /v1/jobs/{id}/artifacts/{name}``; emits ``artifact.created``.

        Markdown, PDF, PNG and JPEG that the job generated are marked as such (`Manifest.written_by`), so what is
        stored may differ from `content`; `is_copy` says that it only shows what somebody sent.
        The same name again replaces it, so a step that runs twice may write twice. It is kept as long as the job's
        result. Raises `LeaseLost`, and `Unprocessable` for a name that is none.
        """

    def require(self, scope: str) -> None:
        """Raise `CapabilityFailure` (``scope_missing``) unless the caller behind the job holds `scope` now.

        Whatever reads or writes what belongs to the project, other than the job's own, asks this first.
        """

    def open_file(self, file_id: str) -> AbstractContextManager[UploadedFile]:
        """A file of the job's project, on this machine, for the time of the block.

        Raises `CapabilityFailure` (``file_not_found``; ``scope_missing`` when the caller may not read files).
        """

    def transaction(self) -> AbstractContextManager[Session]:
        """A transaction as the job's tenant (row-level security applies); commits at the end of the block."""

    def checkpoints(self) -> "CheckpointStore":
        """The job's durable checkpoints, fenced by the attempt: those of the graph version that it runs."""


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
    """Where a graph keeps its state between steps, so that the next attempt continues after the last finished one."""

    def save(self, checkpoint: StoredCheckpoint) -> None:
        """Keep a checkpoint. Raises `LeaseLost` when the attempt no longer owns the job."""

    def save_writes(
        self, namespace: str, checkpoint_id: str, task_id: str, writes: list[tuple[int, str, str, bytes]]
    ) -> None:
        """Keep the finished writes of one task of a step: (index, channel, kind, bytes). Raises `LeaseLost`."""

    def load(self, namespace: str, checkpoint_id: str | None = None) -> StoredCheckpoint | None:
        """The named checkpoint with its writes, or the newest of `namespace`."""

    def list(self, namespace: str | None, before: str | None, limit: int | None) -> Iterator[StoredCheckpoint]:
        """Checkpoints of the job, newest first."""


class Runner(Protocol):
    """What a capability's entry point builds, once per worker process; `run` must be safe in several threads."""

    def run(self, ctx: JobContext, payload: Any) -> BaseModel:
        """Do the work. Raises `CapabilityFailure` for expected failures; any other exception is retried."""


class Migrating(Runner, Protocol):
    """A runner whose jobs may be carried over from an earlier graph version (`Manifest.migrations`)."""

    def migrate(self, migration: Callable[..., Any], old: CheckpointStore, new: CheckpointStore) -> None:
        """Write to `new` what `migration` makes of the state in `old`, in one write. Nothing in `old`: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What can be asked for: published by ``GET /v1/capabilities`` and obeyed by dispatcher and workers.

    `scopes` are what every caller must hold; what an input names may need more (`Needs`). `calls` are the capabilities
    that it asks for by itself, as a part of its work: a key that is narrowed to this one need not be for those.
    `reserve_usd` is set aside from every budget when a job that states no cap of its own is accepted, so that a job
    that must spend is refused before it begins; what a call needs beyond it is set aside when the call is made.

    `graph_version` is named by every checkpoint, of a graph or of a crew. A job resumes on the version that it began
    with: this one, or one of `earlier_graphs`, which maps a version to its entry point. `migrations` maps a version to
    a function (``module:name``) that makes this version's state of that one's. A job of any other version waits for a
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
    # Whether a job may be run a second time for nobody to see: it reads, asks nobody and changes nothing anywhere.
    shadowable: bool = False
    # Who wrote what a job returns and leaves behind, for the mark that says so. `machine`: an agent, whatever models
    # took part; `model`: a model, if one that writes was used, else nobody; `nobody`: it is no text of its own.
    written_by: Literal["machine", "model", "nobody"] = "model"
    graph_version: int = FIRST_GRAPH
    earlier_graphs: Mapping[int, str] = field(default_factory=dict)
    migrations: Mapping[int, str] = field(default_factory=dict)
    # The pool of another folder, whose workers run it.
    runs_in: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for versions that contradict each other."""
        declared = [*self.earlier_graphs, *self.migrations]
        if len(set(declared)) < len(declared):
            raise ValueError(f"{self.id}: an earlier graph is either run or migrated, not both")
        if any(not FIRST_GRAPH <= version < self.graph_version for version in declared):
            raise ValueError(f"{self.id}: what is run or migrated is of a version below {self.graph_version}")

    @property
    def pool(self) -> str:
        """The folder part of the id, unless it says another: one Celery queue and one worker pool per folder."""
        return self.runs_in or self.id.partition(".")[0]

    def resumes(self, graph_version: int) -> bool:
        """Whether a job that began with this graph version goes on here, as it was or migrated."""
        return graph_version in {self.graph_version, *self.earlier_graphs, *self.migrations}

    def needs(self, given: Mapping[str, Any]) -> frozenset[str]:
        """The scopes that a caller must hold to ask for this with the input `given`. Raises as `read`."""
        return self.read(given)[1]

    def read(self, given: Mapping[str, Any] | None) -> tuple[BaseModel, frozenset[str]]:
        """The input as the runner gets it, and the scopes that a caller must hold to ask for this with it.

        Raises pydantic's ValidationError for an input that is not as `input` says.
        """
        noted = _Noted(set(self.scopes))
        payload = self.input.model_validate(given, context=noted)
        return payload, frozenset(noted.scopes)

    def load(self, graph_version: int | None = None) -> Runner:
        """Import the entry point and build the runner. Slow: this is where the agent frameworks are loaded.

        `graph_version` may be one of `earlier_graphs`; the current one by default.
        """
        entry = self.entry if graph_version in {None, self.graph_version} else self.earlier_graphs[graph_version]
        return cast("Callable[[], Runner]", _named(entry))()

    def load_migration(self, graph_version: int) -> Callable[..., Any]:
        """Import the function that carries jobs over from `graph_version`, one of `migrations`."""
        return cast("Callable[..., Any]", _named(self.migrations[graph_version]))


def _named(entry: str) -> Any:
    module, _, name = entry.partition(":")
    return getattr(import_module(module), name)
