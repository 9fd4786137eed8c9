"""The contract between the platform and a capability.

A capability is a `Manifest` (pure data, importable by the API without any agent framework) whose `entry` names a
function ``build() -> Runner``. A worker loads the entry, validates the job's input against `Manifest.input` and calls
``runner.run(ctx, input)``; what it returns is validated against `Manifest.output` and becomes the job's result.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import Any, Protocol, cast
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session


class JobInterrupted(BaseException):
    """Ends an attempt from inside. A BaseException, so that no framework's retry swallows it."""


class JobCancelled(JobInterrupted):
    """Cancellation was asked for; the attempt must stop at the next opportunity."""


class LeaseLost(JobInterrupted):
    """Another attempt owns the job now (or it ended elsewhere); nothing this attempt writes will be kept."""


class JobSuspended(JobInterrupted):
    """The job steps aside and frees its worker. `reason` is ``input``, ``children`` or ``budget``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model call consumed. Tokens are counted by the model's own tokenizer; cost is US dollars."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    estimated: bool = False


class JobContext(Protocol):
    """What a running attempt may do. Every write is fenced by the attempt; none succeeds after the lease is lost."""

    job_id: UUID
    organization_id: UUID
    project_id: UUID
    attempt: int
    capability: str

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

    def meter(self, usage: ModelUsage) -> None:
        """Add a model call to the job's usage and emit ``cost.updated``."""

    def transaction(self) -> AbstractContextManager[Session]:
        """A transaction as the job's tenant (row-level security applies); commits at the end of the block."""

    def checkpoints(self) -> "CheckpointStore":
        """The job's durable checkpoints, fenced by the attempt."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What can be asked for: published by ``GET /v1/capabilities`` and obeyed by dispatcher and workers."""

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
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def pool(self) -> str:
        """The folder part of the id: one Celery queue and one worker pool per folder."""
        return self.id.partition(".")[0]

    def load(self) -> Runner:
        """Import the entry point and build the runner. Slow: this is where the agent frameworks are loaded."""
        module, _, name = self.entry.partition(":")
        return cast("Callable[[], Runner]", getattr(import_module(module), name))()
