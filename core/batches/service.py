"""Batches as a project uses them. Everything here adds to the caller's transaction; only the edge commits.

Between its creation and its end a batch belongs to the dispatcher: `core.batches.submission` creates the lines' jobs,
`core.batches.intake` validates files, `core.batches.outcome` writes the result file.
"""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.batches import repository
from core.batches.errors import BatchErased, BatchNotFound
from core.batches.records import (
    ENDS,
    LINES_MAX,
    BatchRecord,
    BatchState,
    LineError,
    LineResult,
    LineState,
    NewBatch,
)
from core.files import repository as files
from core.files.errors import FileNotFound
from core.jobs.records import JobRecord
from core.jobs.service import JobService
from core.keys.clearance import require_cleared
from core.keys.principal import Principal
from core.kit.blob import BlobNotFound
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.kit.ids import BATCH, FILE, JOB, encode, new_id
from core.kit.json_values import dumps
from core.kit.money import format_cost, format_money

_LINES_AT_ONCE = 500


class Batches:
    """Create, read, list, cancel; creating and cancelling leave audit records."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    def create(self, session: Session, principal: Principal, new: NewBatch) -> BatchRecord:
        """Write a batch: with its lines, `in_progress`; with a file, `validating`. Raises `FileNotFound`.

        The lines were validated by `core.batches.validation.LineValidator`.
        """
        if new.input_file_id is None and not 1 <= len(new.lines) <= LINES_MAX:
            raise Unprocessable(f"a batch has 1 to {LINES_MAX} lines")
        if new.input_file_id is not None and files.get(session, principal, new.input_file_id) is None:
            raise FileNotFound(f"there is no file {encode(FILE, new.input_file_id)} in this project")
        batch_id = new_id()
        state = BatchState.IN_PROGRESS if new.input_file_id is None else BatchState.VALIDATING
        repository.insert(session, principal, batch_id, new, state)
        numbered = list(enumerate(new.lines, start=1))
        for start in range(0, len(numbered), _LINES_AT_ONCE):
            repository.insert_lines(session, principal, batch_id, numbered[start : start + _LINES_AT_ONCE])
        facts = {
            "lines": len(new.lines) or None,
            "input_file_id": None if new.input_file_id is None else encode(FILE, new.input_file_id),
            "max_cost_usd": None if new.max_cost_usd is None else format_money(new.max_cost_usd),
        }
        _audit(session, principal, AuditAction.BATCH_CREATE, batch_id, facts)
        return self.get(session, principal, batch_id)

    def get(self, executor: Executor, principal: Principal, batch_id: UUID) -> BatchRecord:
        """The batch with its current, exact counts and cost. Raises `BatchNotFound`."""
        found = repository.get(executor, principal, batch_id)
        if found is None:
            raise _no_batch(batch_id)
        return found

    def cancel(self, session: Session, principal: Principal, batch_id: UUID) -> tuple[BatchRecord, Sequence[JobRecord]]:
        """Start nothing more, and cancel live lines; an ended batch stays unchanged. Raises `BatchNotFound`.

        Returns the batch, and the jobs that changed, for publishing after the commit. Idempotent.
        """
        state = repository.lock(session, principal, batch_id)
        if state is None:
            raise _no_batch(batch_id)
        touched: list[JobRecord] = []
        if state in ENDS or state in {BatchState.CANCELLING, BatchState.FINALIZING}:
            return self.get(session, principal, batch_id), touched
        repository.ask_to_cancel(session, principal.organization_id, batch_id)
        if state is BatchState.IN_PROGRESS:
            message = "the batch was cancelled before this line was started"
            repository.end_queued(
                session, principal.organization_id, batch_id, LineState.CANCELLED, LineError.CANCELLED, message
            )
            for job_id in repository.live_jobs(session, principal.organization_id, batch_id):
                if not self._jobs.get(session, principal, job_id).is_terminal:
                    touched += self._jobs.cancel_tree(session, principal, job_id)
        made = self.get(session, principal, batch_id)
        _audit(session, principal, AuditAction.BATCH_CANCEL, batch_id, {"queued": made.counts.cancelled})
        return made, touched

    def results(
        self, executor: Executor, principal: Principal, batch: BatchRecord, *, after: int = 0, limit: int = 200
    ) -> list[LineResult]:
        """Lines above number `after` that have ended, in order, at most `limit`.

        Raises `BatchErased` and, when one of them is above the caller's clearance, `ClearanceExceeded`.
        """
        if batch.payload_erased_at is not None:
            raise BatchErased("the results of this batch are past their retention", code="batch_erased")
        found = repository.results(executor, principal, batch.id, after, limit)
        for each in found:
            require_cleared(principal, each.data_class, "a line of this batch")
        return found

    def require_readable(self, executor: Executor, principal: Principal, batch: BatchRecord) -> None:
        """Raise `ClearanceExceeded` unless the caller may read all results of the batch."""
        if principal.clearance is not DataClass.RESTRICTED:
            require_cleared(principal, repository.highest_class(executor, principal, batch.id), "a line of this batch")

    def render(self, results: Sequence[LineResult]) -> Iterator[bytes]:
        """Results as JSON lines: ``custom_id``, ``line``, ``status``, ``result`` or ``error``, ``job_id``, cost.

        A generated result has its mark beside it as ``disclosure``.
        """
        for each in results:
            shown = {
                "custom_id": each.custom_id,
                "line": each.line,
                "status": each.state,
                "job_id": None if each.job_id is None else encode(JOB, each.job_id),
                "cost_usd": format_cost(each.cost_usd, priced=each.is_priced),
                "priced": each.is_priced,
            }
            if each.state is LineState.SUCCEEDED:
                shown["result"] = self._result(each)
                if each.disclosure is not None:
                    shown["disclosure"] = each.disclosure
            else:
                shown["error"] = each.error
            yield dumps(shown) + b"\n"

    def list(
        self,
        executor: Executor,
        principal: Principal,
        *,
        states: Sequence[BatchState] = (),
        cursor: UUID | None = None,
        limit: int = 50,
    ) -> list[BatchRecord]:
        """The project's batches, newest first, with ids below `cursor`."""
        return repository.list_batches(executor, principal, states, cursor, limit)

    def _result(self, each: LineResult) -> object:
        try:
            return self._jobs.payloads.get(each.result, each.result_ref)
        except BlobNotFound:
            return None


def _no_batch(batch_id: UUID) -> BatchNotFound:
    return BatchNotFound(f"there is no batch {encode(BATCH, batch_id)} in this project")


def _audit(
    session: Session, principal: Principal, action: AuditAction, batch_id: UUID, detail: Mapping[str, object]
) -> None:
    record(
        session,
        principal.organization_id,
        principal.project_id,
        action,
        subject_id=encode(BATCH, batch_id),
        actor=principal.actor,
        detail={name: value for name, value in detail.items() if value is not None},
    )
