"""The running attempt: the operations open to a capability, and where its events, usage and checkpoints go."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy.orm import Session

from core.capability import (
    FIRST_GRAPH,
    Answer,
    Artifact,
    CheckpointStore,
    ChildCall,
    ChildOutcome,
    GivenApproval,
    JobCancelled,
    JobInterrupted,
    JobSuspended,
    LeaseLost,
    ModelCall,
    ModelRef,
    UploadedFile,
)
from core.files.errors import FileNotFound
from core.files.service import check_name, local_copy
from core.jobs import artifacts, leases, settlements
from core.jobs.checkpoints import JobCheckpoints
from core.jobs.records import Claim, Event
from core.jobs.states import Transition
from core.jobs.suspension import approvals
from core.keys.authority import act_for
from core.keys.errors import KeyRevoked, NotAMember, ScopeMissing
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.data_classes import DataClass
from core.kit.db import SingleStatement
from core.kit.errors import CapabilityFailure
from core.kit.ids import FILE, decode
from core.kit.metrics import observe_step
from core.kit.telemetry import is_exporting
from core.ledger import service as ledger
from core.ledger.records import CallIdentity, Settlement
from workers import children, questions
from workers.attempt_guard import AttemptGuard
from workers.disclosure import AttemptDisclosure
from workers.metering import Meter
from workers.services import Services
from workers.settlements import Settlements
from workers.tracing import AttemptTrace

# The label of a job that names the client's own user.
END_USER = "end_user"
# The step that this thread, or this task of a graph, is in.
_step: ContextVar[str | None] = ContextVar("step", default=None)


class WorkerStopping(JobInterrupted):
    """The worker must stop now; the job returns to the queue and the attempt does not count as a failure."""


class CallerGone(JobInterrupted):
    """The key behind the job was revoked: the job stops, and fails."""

    code = KeyRevoked.default_code
    detail = "the key that asked for this job was revoked while it ran"
    retryable = False


class MemberGone(CallerGone):
    """The member who requested the job was removed."""

    code = NotAMember.default_code
    detail = "the member who asked for this job was removed while it ran"


class AttemptContext:
    """Implements `core.capability.JobContext`. Safe to use from several threads of the same attempt."""

    def __init__(self, claim: Claim, services: Services) -> None:
        job = claim.job
        self.job = job
        self.job_id = job.id
        self.root_id = job.root_id or job.id
        self.organization_id = job.organization_id
        self.project_id = job.project_id
        self.attempt = job.attempt
        self.capability = job.capability
        self.deadline_at = job.deadline_at
        # The arm that a shadow job runs under; None for a requested job.
        self.shadow_arm_id = job.shadow_arm_id
        self._data_class = job.data_class
        self._services = services
        self._claim = claim
        self._database = services.database
        self._single = services.database.single_tenant(job.organization_id)
        self._publisher = services.publisher
        self._settlements = Settlements(services.settlements)
        self._meter = Meter(job, services.database, services.prices, self._settlements, services.usage_checkpoints)
        self.guard = AttemptGuard(services.guard, self, logs_text=services.settings.log_exception_text)
        self._deltas_lock = threading.Lock()
        self.trace = AttemptTrace(job)
        self.disclosure = AttemptDisclosure(job, self._single, services.disclosure)
        self._checkpoints = self._open_checkpoints(FIRST_GRAPH)
        self._event_id = claim.event_id
        self._event_limit = claim.event_limit
        self._previous = claim.event_id
        self._delta_index = 0
        self._events_lock = threading.Lock()
        self._interruption: type[JobInterrupted] | None = None

    @property
    def executor(self) -> SingleStatement:
        """Single statements as the job's tenant, for reads that need no transaction."""
        return self._single

    @property
    def units(self) -> dict[str, str]:
        """The units that an experiment may assign an arm to, beyond the job's project."""
        known = {"key": self.job.key_id and str(self.job.key_id), "end_user": self.job.metadata.get(END_USER)}
        return {unit: str(key) for unit, key in known.items() if key}

    @property
    def data_class(self) -> DataClass:
        """The current data class."""
        return self._data_class

    # Signals from the platform to the attempt.

    def ask_to_cancel(self) -> None:
        """Make the next `check` raise `JobCancelled`."""
        self._interruption = self._interruption or JobCancelled

    def mark_caller_gone(self) -> None:
        """Make the next `check` raise `CallerGone`."""
        self._interruption = self._interruption or (MemberGone if self.job.key_id is None else CallerGone)

    def ask_to_stop(self) -> None:
        """Make the next `check` raise `WorkerStopping`."""
        self._interruption = self._interruption or WorkerStopping

    def mark_lost(self) -> None:
        """Make the next `check` raise `LeaseLost`, whatever was requested before."""
        self._interruption = LeaseLost

    @property
    def is_lost(self) -> bool:
        """Whether another attempt may own the job."""
        return self._interruption is LeaseLost

    def wait_settled(self) -> None:
        """Wait until every ended call is settled. Raises the error of a failed settlement, which may be `LeaseLost`."""
        self._settlements.wait()

    def caller(self) -> Principal:
        """The principal that the job runs for, with its rights when the attempt began.

        Raises `KeyRevoked` and `NotAMember`.
        """
        return act_for(self.organization_id, self.project_id, self._claim, "worker")

    def require(self, scope: str) -> None:
        """See `core.capability.JobContext.require`."""
        if scope not in self.caller().scopes:
            raise CapabilityFailure(
                f"the key or role behind this job lacks the scope {scope}", code=ScopeMissing.default_code
            )

    # Operations for the capability.

    def raise_class(self, data_class: DataClass, because: str) -> None:
        """See `core.capability.JobContext.raise_class`."""
        if data_class.is_within(self._data_class):
            return
        self.wait_settled()
        with self._events_lock:
            if data_class.is_within(self._data_class):
                return
            described = {"data_class": data_class, "from": self._data_class, "because": because}
            event = self._next_event(leases.CLASSIFIED, described, persisted=True)
            leases.classify(self._single, event, data_class, because)
            self._previous = event.id
            self._data_class = data_class
            self._publisher.publish([event])

    def check(self) -> None:
        """Raise the pending interruption, if any."""
        if self._interruption is not None:
            raise self._interruption

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A named unit of work with its events and its span."""
        self.check()
        begun = self._emit("step.started", {"step": name})
        began = perf_counter()
        entered = _step.set(name)
        outcome = "failed"
        try:
            # The step is over once its end is written: an attempt that loses the lease before has not finished it.
            with self.trace.step(name, begun.id):
                try:
                    yield
                finally:
                    _step.reset(entered)
                self.check()
                milliseconds = round((perf_counter() - began) * 1000, 1)
                self.emit("step.finished", {"step": name, "duration_ms": milliseconds})
            outcome = "succeeded"
        except JobSuspended:
            outcome = "suspended"
            raise
        except JobInterrupted:
            outcome = "interrupted"
            raise
        finally:
            observe_step(self.capability, name, outcome, perf_counter() - began)

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Emit ``progress.updated``."""
        self.emit("progress.updated", {"done": done, "total": total, "message": message})

    def delta(self, text: str) -> None:
        """Publish the next piece of text, live only."""
        self.check()
        # Two pieces are published in the order in which they were screened.
        with self._deltas_lock:
            self._publish_delta(self.guard.delta(text))

    def end_deltas(self) -> None:
        """Publish the rest of the text, which the guard held back until its end."""
        with self._deltas_lock:
            if rest := self.guard.end_stream():
                self._publish_delta(rest)

    def _publish_delta(self, text: str) -> None:
        if not text and self.guard.holds_deltas:
            return
        with self._events_lock:
            event = self._next_event("message.delta", {"text": text, "index": self._delta_index}, persisted=False)
            self._delta_index += 1
            self._publisher.publish([event])

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """Persist an event, then publish it. Raises `LeaseLost` when the fence refuses it."""
        self._emit(event, data)

    def _emit(self, event: str, data: Mapping[str, Any]) -> Event:
        data = self.guard.event(event, data)
        self.wait_settled()
        with self._events_lock:
            persisted = self._next_event(event, data, persisted=True)
            leases.persist_events(self._single, self.job_id, self.attempt, [persisted])
            self._previous = persisted.id
            self._publisher.publish([persisted])
        return persisted

    @contextmanager
    def call_model(self, model: str | ModelRef, bound: Mapping[str, int]) -> Iterator[ModelCall]:
        """Open a call; when the block ends, settle it in the background and emit ``cost.updated``."""
        self.check()
        self.disclosure.record_call(model)
        with self._meter.call(model, bound, _step.get(), self._settle) as call:
            yield call

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
        """A person's answer, or the end of this attempt."""
        self._checkpoints.name_version()
        question, details = self.guard.value([question, details])
        return questions.ask(
            self, key, question, schema, details=details, timeout_seconds=timeout_seconds, approves=approves
        )

    def approval(self, key: str) -> GivenApproval | None:
        """See `core.capability.JobContext.approval`."""
        self.check()
        four_eyes = self._services.settings.four_eyes
        return approvals.given(self._single, self.organization_id, self.job_id, key, four_eyes=four_eyes)

    def call_all(self, calls: Sequence[ChildCall]) -> list[ChildOutcome]:
        """How the children ended, or the end of this attempt."""
        self._checkpoints.name_version()
        return self.guard.outcomes(children.call_all(self, self._services.jobs, self._services.settings, calls))

    def call(
        self, key: str, capability: str, payload: Mapping[str, Any], *, max_cost_usd: Decimal | None = None
    ) -> ChildOutcome:
        """`call_all` of one."""
        return self.call_all([ChildCall(key, capability, payload, max_cost_usd)])[0]

    def for_tool(
        self, arguments: Mapping[str, Any], *, exempt: Collection[str] = ()
    ) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        """See `core.capability.JobContext.for_tool`."""
        return self.guard.for_tool(arguments, exempt)

    def with_notice(self, reply: str) -> str:
        """See `core.capability.JobContext.with_notice`."""
        return self.disclosure.with_notice(reply)

    def artifact(self, name: str, content: bytes | Path, content_type: str, *, is_copy: bool = False) -> Artifact:
        """Store a file. See `core.capability.JobContext.artifact`."""
        self.check()
        content = self.guard.artifact(content, content_type)
        if not is_copy:
            # The author is known once every call is settled.
            self.wait_settled()
            content = self.disclosure.artifact(content, content_type)
        key = artifacts.place(self.job_id, self.attempt, check_name(name))
        if isinstance(content, bytes):
            stored = self._services.blobs.put(key, content, content_type)
        else:
            with content.open("rb") as file:
                stored = self._services.blobs.put(key, file, content_type)
        made, replaced = artifacts.put(self._single, self.job_id, self.attempt, check_name(name), stored)
        if replaced is not None:
            self._services.blobs.delete(replaced)
        described = {"name": made.name, "content_type": made.content_type, "size_bytes": made.size_bytes}
        self.emit("artifact.created", {**described, "sha256": made.sha256})
        return made

    @contextmanager
    def open_file(self, file_id: str) -> Iterator[UploadedFile]:
        """A file of the job's project, on this machine, for the time of the block."""
        self.require("files:read")
        try:
            found = self._services.files.get(self._single, self.caller(), decode(FILE, file_id))
        except (FileNotFound, ValueError):
            raise CapabilityFailure(
                f"there is no file {file_id[:60]} in this project; upload it with POST /v1/files", code="file_not_found"
            ) from None
        self.raise_class(found.data_class, file_id)
        with local_copy(self._services.blobs, found) as path:
            yield UploadedFile(file_id, found.name, found.content_type, found.size_bytes, found.sha256, path)

    @contextmanager
    def persisting(self) -> Iterator[tuple[Session, Callable[[str, Mapping[str, Any]], None]]]:
        """A transaction that also persists events; they are published once it has committed."""
        self.wait_settled()
        with self._events_lock:
            persisted: list[Event] = []

            def persist(event_type: str, data: Mapping[str, Any]) -> None:
                event = self._next_event(event_type, data, persisted=True)
                self._previous = event.id
                persisted.append(event)

            before = self._previous
            try:
                with self._open_transaction() as session:
                    yield session, persist
                    if persisted:
                        leases.persist_events(session, self.job_id, self.attempt, persisted)
            except BaseException:
                self._previous = before
                raise
            if persisted:
                self._publisher.publish(persisted)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction as the job's tenant."""
        self.wait_settled()
        with self._open_transaction() as session:
            yield session

    def _open_transaction(self) -> AbstractContextManager[Session]:
        # The holder of the events' lock must not wait for a settlement, which needs it for its own event.
        return self._database.tenant(self.organization_id)

    def checkpoints(self) -> CheckpointStore:
        """The job's durable checkpoints."""
        return self._checkpoints

    def graph_begun(self) -> int | None:
        """The graph version that the job began with, or was migrated to; None when it has no checkpoint yet."""
        return None if self.attempt == 1 else self._checkpoints.begun_with()

    def use_graph(self, version: int, *, begun: int | None) -> None:
        """Limit the attempt to checkpoints of `version`; `begun` is the value of `graph_begun`."""
        self._checkpoints = self._open_checkpoints(version, is_named=begun == version)

    def migrate_graph(self, begun: int, migrate: Callable[[CheckpointStore, CheckpointStore], None]) -> None:
        """Let `migrate` convert the checkpoints of `begun` to the version in use, which the job names from then on."""
        migrate(self._open_checkpoints(begun), self._checkpoints)
        self._checkpoints.name_version()

    def _open_checkpoints(self, version: int, *, is_named: bool = False) -> JobCheckpoints:
        return JobCheckpoints(
            self._database,
            self.job_id,
            self.organization_id,
            self.attempt,
            version=version,
            is_named=is_named,
            before_saving=self.wait_settled,
        )

    # The end of the attempt.

    def end(self, rule: Transition, event_type: str, data: Mapping[str, Any], **outcome: Any) -> Event:
        """Apply `rule`; returns the persisted event, unpublished. Raises `LeaseLost`."""
        self.wait_settled()
        with self._events_lock:
            event = self._next_event(event_type, data, persisted=True)
            if event.is_final and (self._checkpoints.written or self.attempt > 1):
                with self._open_transaction() as session:
                    self.trace.ended = leases.end(session, rule, event, with_usage=is_exporting(), **outcome)
                    leases.delete_checkpoints(session, self.job_id)
            else:
                self.trace.ended = leases.end(self._single, rule, event, with_usage=is_exporting(), **outcome)
            return event

    def publish(self, events: Sequence[Event], *, hint: str | None = None) -> None:
        """Announce persisted events after their commit; `hint` names the pool that has a free slot or a due job."""
        self._publisher.publish(events, hint=hint)

    def _settle(self, call: CallIdentity, settlement: Settlement, line: dict[str, Any]) -> None:
        self.disclosure.record_settled(line)
        if self.is_lost:
            ledger.settle_call(self._single, call, settlement, line)
            return
        with self._events_lock:
            try:
                event = self._next_event("cost.updated", line, persisted=True)
            except LeaseLost:
                ledger.settle_call(self._single, call, settlement, line)
                raise
            if not settlements.settle_call(self._single, call, settlement, line, event):
                raise LeaseLost
            self._previous = event.id
            self._publisher.publish([event])

    def _next_event(self, event_type: str, data: Mapping[str, Any], *, persisted: bool) -> Event:
        if self._event_id >= self._event_limit:
            self._event_limit = leases.more_event_ids(self._single, self.job_id, self.attempt)
        self._event_id += 1
        previous = self._previous if persisted else 0
        return Event(self.job_id, self._event_id, previous, event_type, self.attempt, data, utc_now())
