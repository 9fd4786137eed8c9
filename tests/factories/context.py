"""A `JobContext` in memory: records what a capability does, and interrupts it where a test wants."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from core.capability import (
    Answer,
    Artifact,
    CheckpointStore,
    ChildCall,
    ChildOutcome,
    GivenApproval,
    JobSuspended,
    LeaseLost,
    ModelCall,
    ModelRef,
    ModelUsage,
    StoredCheckpoint,
    UploadedFile,
)
from core.guard.disclosure import with_notice
from core.guard.policy import Disclosure
from core.jobs.suspension.questions import schema_of
from core.kit.data_classes import DataClass
from core.kit.db import Database, Executor
from core.kit.errors import CapabilityFailure
from core.kit.ids import new_id


@dataclass
class Checkpoints:
    """Implements `CheckpointStore`. Raises `LeaseLost` once `lost`, as a fenced store does."""

    lost: bool = False
    saved: dict[tuple[str, str], StoredCheckpoint] = field(default_factory=dict)
    writes: dict[tuple[str, str], dict[tuple[str, int], tuple[str, str, bytes]]] = field(default_factory=dict)

    def save(self, checkpoint: StoredCheckpoint) -> None:
        self._require()
        self.saved[checkpoint.namespace, checkpoint.id] = checkpoint

    def save_writes(
        self, namespace: str, checkpoint_id: str, task_id: str, writes: list[tuple[int, str, str, bytes]]
    ) -> None:
        self._require()
        kept = self.writes.setdefault((namespace, checkpoint_id), {})
        for index, channel, kind, body in writes:
            kept[task_id, index] = (channel, kind, body)

    def load(self, namespace: str, checkpoint_id: str | None = None) -> StoredCheckpoint | None:
        newest = max((id_ for space, id_ in self.saved if space == namespace), default="")
        found = self.saved.get((namespace, checkpoint_id or newest))
        return found and self._with_writes(found)

    def list(self, namespace: str | None, before: str | None, limit: int | None) -> Iterator[StoredCheckpoint]:
        matching = [
            checkpoint
            for (space, id_), checkpoint in sorted(self.saved.items(), key=lambda item: item[0][1], reverse=True)
            if (namespace is None or space == namespace) and (before is None or id_ < before)
        ]
        yield from (self._with_writes(checkpoint) for checkpoint in matching[:limit])

    def writes_of(self, channel: str) -> Sequence[bytes]:
        """What was written to `channel` and is not part of a checkpoint yet, or was not once."""
        return [body for kept in list(self.writes.values()) for name, _, body in list(kept.values()) if name == channel]

    def _with_writes(self, found: StoredCheckpoint) -> StoredCheckpoint:
        kept = self.writes.get((found.namespace, found.id), {})
        writes = tuple((task, index, *line) for (task, index), line in sorted(kept.items()))
        return StoredCheckpoint(
            found.namespace, found.id, found.parent_id, found.kind, found.body, found.metadata, writes
        )

    def _require(self) -> None:
        if self.lost:
            raise LeaseLost


@dataclass
class RecordedCall:
    """Implements `ModelCall`: the last report, or the bound."""

    usage: ModelUsage

    def report(self, usage: ModelUsage) -> None:
        self.usage = usage

    def when_settled(self, hear: Callable[[Decimal | None], None]) -> None:
        hear(None)

    def checkpoint_usage(self, count: Callable[[], Mapping[str, int]]) -> None:
        """A context in memory outlives its calls."""


@dataclass
class RecordingContext:
    """Implements `JobContext`. `on_check` runs at every check, and `database` serves transactions when given.

    `next_attempt` is the same job after its worker was lost: a new context over the same checkpoints.
    """

    capability: str = "test.run"
    attempt: int = 1
    job_id: UUID = field(default_factory=new_id)
    root_id: UUID = field(default_factory=new_id)
    organization_id: UUID = field(default_factory=new_id)
    project_id: UUID = field(default_factory=new_id)
    database: Database | None = None
    on_check: Callable[[], None] | None = None
    store: Checkpoints = field(default_factory=Checkpoints)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    deltas: list[str] = field(default_factory=list)
    usage: list[ModelUsage] = field(default_factory=list)
    checks: int = 0
    # The client's files by id: name, type and where they are.
    files: dict[str, tuple[str, str, Path]] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    # Those of them that only show what somebody sent.
    copies: set[str] = field(default_factory=set)
    disclosure: Disclosure = field(default_factory=Disclosure)
    # What people have answered and how children have ended, as the test says; `calls` is what was asked of them.
    answers: dict[str, Answer] = field(default_factory=dict)
    outcomes: dict[str, ChildOutcome] = field(default_factory=dict)
    calls: dict[str, ChildCall] = field(default_factory=dict)
    # What the caller behind the job holds; None for everything.
    scopes: frozenset[str] | None = None
    deadline_at: datetime | None = None
    shadow_arm_id: UUID | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    executor: Executor | None = None
    data_class: DataClass = DataClass.INTERNAL
    # What raised the class, in order.
    classified: list[tuple[DataClass, str]] = field(default_factory=list)

    def next_attempt(self) -> "RecordingContext":
        """The context of the attempt after this one."""
        return RecordingContext(
            capability=self.capability,
            attempt=self.attempt + 1,
            job_id=self.job_id,
            root_id=self.root_id,
            organization_id=self.organization_id,
            project_id=self.project_id,
            database=self.database,
            store=self.store,
            files=self.files,
            artifacts=self.artifacts,
            answers=self.answers,
            outcomes=self.outcomes,
            calls=self.calls,
            scopes=self.scopes,
            deadline_at=self.deadline_at,
            shadow_arm_id=self.shadow_arm_id,
            units=self.units,
            executor=self.executor,
            data_class=self.data_class,
            disclosure=self.disclosure,
        )

    def named(self, event: str) -> list[dict[str, Any]]:
        """The data of the events called `event`, in order."""
        return [data for name, data in self.events if name == event]

    def steps(self, event: str = "step.finished") -> list[str]:
        """The names of the steps that finished, in order."""
        return [data["step"] for data in self.named(event)]

    def raise_class(self, data_class: DataClass, because: str) -> None:
        if not data_class.is_within(self.data_class):
            self.data_class = data_class
            self.classified.append((data_class, because))

    def check(self) -> None:
        self.checks += 1
        if self.on_check is not None:
            self.on_check()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.check()
        self.emit("step.started", {"step": name})
        yield
        self.check()
        self.emit("step.finished", {"step": name})

    def progress(self, done: int, total: int, message: str = "") -> None:
        self.emit("progress.updated", {"done": done, "total": total, "message": message})

    def for_tool(
        self,
        arguments: Mapping[str, Any],
        *,
        exempt: Collection[str] = (),  # noqa: ARG002 - nothing is redacted
    ) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        return arguments, lambda answer: answer

    def delta(self, text: str) -> None:
        self.check()
        self.deltas.append(text)

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        self.events.append((event, dict(data)))

    @contextmanager
    def call_model(self, model: str | ModelRef, bound: Mapping[str, int]) -> Iterator[ModelCall]:
        name = model.name if isinstance(model, ModelRef) else model
        call = RecordedCall(ModelUsage(name, bound, estimated=True))
        try:
            yield call
        finally:
            self.usage.append(call.usage)

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
        self.check()
        if key not in self.answers:
            required = schema_of(schema)
            shown = {"key": key, "question": question, "schema": required, "details": details, "approves": approves}
            self.emit("input.required", {**shown, "timeout_seconds": timeout_seconds})
            raise JobSuspended("input")
        return self.answers[key]

    def approval(self, key: str) -> GivenApproval | None:
        answer = self.answers.get(key)
        if answer is None or answer.answered_at is None or answer.answered_by is None:
            return None
        return GivenApproval(answer.value, answer.answered_by, answer.answered_at, datetime.now(UTC))

    def call_all(self, calls: Sequence[ChildCall]) -> list[ChildOutcome]:
        self.check()
        self.calls |= {call.key: call for call in calls if call.key not in self.calls}
        if any(call.key not in self.outcomes for call in calls):
            raise JobSuspended("children")
        return [self.outcomes[call.key] for call in calls]

    def call(
        self, key: str, capability: str, payload: Mapping[str, Any], *, max_cost_usd: Decimal | None = None
    ) -> ChildOutcome:
        return self.call_all([ChildCall(key, capability, payload, max_cost_usd)])[0]

    def require(self, scope: str) -> None:
        if self.scopes is not None and scope not in self.scopes:
            raise CapabilityFailure(f"lacks the scope {scope}", code="scope_missing")

    def with_notice(self, reply: str) -> str:
        return with_notice(reply, self.disclosure)

    def artifact(self, name: str, content: bytes | Path, content_type: str, *, is_copy: bool = False) -> Artifact:
        self.copies |= {name} if is_copy else set()
        body = content if isinstance(content, bytes) else content.read_bytes()
        self.artifacts[name] = body
        return Artifact(name, content_type, len(body), hashlib.sha256(body).hexdigest())

    @contextmanager
    def open_file(self, file_id: str) -> Iterator[UploadedFile]:
        if file_id not in self.files:
            raise CapabilityFailure(f"there is no file {file_id}", code="file_not_found")
        name, content_type, path = self.files[file_id]
        body = path.read_bytes()
        yield UploadedFile(file_id, name, content_type, len(body), hashlib.sha256(body).hexdigest(), path)

    def transaction(self) -> AbstractContextManager[Session]:
        assert self.database is not None, "this test gave no database"
        return self.database.tenant(self.organization_id)

    def checkpoints(self) -> CheckpointStore:
        return self.store
