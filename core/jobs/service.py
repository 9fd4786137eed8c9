"""Jobs as clients use them. Everything here adds to the caller's transaction; only the edge commits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from sqlalchemy.orm import Session

from core.jobs import repository
from core.jobs.records import Event, JobFilter, JobRecord, NewJob
from core.jobs.states import CANCEL, JobState, Priority
from core.jobs.suspension import repository as suspensions
from core.keys import authority
from core.keys.clearance import is_cleared, require_cleared
from core.keys.principal import Principal
from core.kit.blob import BlobNotFound, BlobStore
from core.kit.data_classes import DataClass
from core.kit.db import Executor, execute_all
from core.kit.errors import NotFound
from core.kit.ids import JOB, encode, new_id
from core.kit.json_values import dumps, loads
from core.kit.settings import Settings
from core.ledger.errors import refusal_of as budget_refusal_of
from core.ledger.repository import reservation
from core.ledger.room import BudgetRoom
from core.limits.cache import LimitCache
from core.limits.errors import refusal_of as limit_refusal_of
from core.limits.repository import admission


class PayloadStore:
    """Inputs and results: inline in the row when small, in the blob store when large."""

    def __init__(self, settings: Settings, blobs: BlobStore) -> None:
        self._limit_bytes = settings.inline_payload_max_bytes
        self._blobs = blobs

    def put(self, job_id: UUID, name: str, payload: Mapping[str, Any]) -> str | None:
        """Store `payload` in the blob store when its JSON exceeds the inline limit; returns the blob's key, or None."""
        body = dumps(payload)
        if len(body) <= self._limit_bytes:
            return None
        key = f"jobs/{job_id}/{name}.json"
        self._blobs.put(key, body, "application/json")
        return key

    def get(self, inline: dict[str, Any] | None, reference: str | None) -> dict[str, Any] | None:
        """The payload, from wherever it is."""
        if reference is None:
            return inline
        return cast("dict[str, Any]", loads(self._blobs.get(reference)))


class JobService:
    """Submit, read, list and cancel.

    `submit`, `get`, `list` and `events` are one statement each: given `Database.single_tenant`, they are the whole
    transaction and cost one round trip. `cancel` needs a session.
    """

    def __init__(self, settings: Settings, blobs: BlobStore, limits: LimitCache | None = None) -> None:
        self.payloads = PayloadStore(settings, blobs)
        self._limits = limits or LimitCache(settings)
        self.room = BudgetRoom()

    def submit(self, session: Executor, principal: Principal, new: NewJob) -> JobRecord:
        """Count, reserve for and write a queued job with its first event and its audit record: one transaction.

        Raises `CapabilityDenied` and `ScopeMissing` for a request the caller may not make, `QuotaExceeded`,
        `RateLimited` (model tokens) and `BudgetExhausted`; nothing is written then.

        A large input is written to the blob store before the row: if the transaction then fails, an unreferenced blob
        is left behind, never a job without its input.
        """
        authority.require(principal, new.capability, new.needs)
        if not new.reserve_usd and new.parent_id is None:
            # Setting money aside checks every budget anyway, and a child spends from its root's reservation.
            self.room.require(session, principal)
        job_id = new_id()
        reference = self.payloads.put(job_id, "input", new.input)
        steps = [repository.insertion(principal, job_id, new, reference)]
        if new.reserve_usd:
            steps.insert(0, reservation(principal, job_id, amount_usd=new.reserve_usd, cap_usd=new.max_cost_usd))
        if self._limits.read(session, principal).has_quotas:
            steps.insert(0, admission(principal))
        try:
            results = execute_all(session, steps)
        except Exception as error:
            refusal = limit_refusal_of(error) or budget_refusal_of(error)
            if refusal is None:
                raise
            raise refusal from None
        return repository.to_record(results[-1].one())

    def get(self, session: Executor, principal: Principal, job_id: UUID) -> JobRecord:
        """The job. Raises `NotFound` for unknown ids and for other projects' jobs alike."""
        job = repository.get(session, principal, job_id)
        if job is None:
            raise _no_job(job_id)
        return job

    def open(self, session: Executor, principal: Principal, job_id: UUID) -> JobRecord:
        """The job, for a caller that will read its payloads. Raises `NotFound` and `ClearanceExceeded`."""
        job = self.get(session, principal, job_id)
        require_cleared(principal, job.data_class)
        return job

    def get_with_payloads(
        self, session: Executor, principal: Principal, job_id: UUID
    ) -> tuple[JobRecord, dict[str, Any] | None, dict[str, Any] | None]:
        """The job with its input and its result; None for what retention has removed.

        Raises `NotFound` and `ClearanceExceeded`.
        """
        row = repository.get_payloads(session, principal, job_id)
        if row is None:
            raise _no_job(job_id)
        require_cleared(principal, DataClass(row.data_class))
        try:
            given = self.payloads.get(row.input, row.input_ref)
            result = self.payloads.get(row.result, row.result_ref)
        except BlobNotFound:
            # Retention deletes the blobs just before it marks the row.
            return repository.to_record_with_children(row), None, None
        return repository.to_record_with_children(row), given, result

    def list(
        self, session: Executor, principal: Principal, where: JobFilter, *, cursor: UUID | None, limit: int
    ) -> list[JobRecord]:
        """The jobs of the filter's project as `listed`, newest first, with ids below `cursor`; at most `limit`.

        Raises `ScopeMissing` for another project's without the scope ``organization:read``.
        """
        return [listed(principal, job) for job in repository.list_jobs(session, principal, where, cursor, limit)]

    def cancel(self, session: Session, principal: Principal, job_id: UUID) -> JobRecord:
        """Cancel an idle job at once; ask a running one to stop; an ended one is returned unchanged.

        The jobs below it are cancelled too, as in `cancel_tree`.
        """
        return self.cancel_tree(session, principal, job_id)[0]

    def cancel_tree(self, session: Session, principal: Principal, job_id: UUID) -> Sequence[JobRecord]:
        """Cancel a job and everything below it; returns the job, then those below it that changed.

        A job whose row is locked at this moment is left, with those below it, to the dispatcher's next sweep.
        """
        job = repository.cancel(session, principal, job_id)
        if job is None:
            raise _no_job(job_id)
        touched = [job]
        parents = [job_id]
        while parents:
            found = suspensions.lock_children(session, principal, parents)
            idle = [child for child, state in found.items() if state in CANCEL.sources]
            running = [child for child, state in found.items() if state is JobState.RUNNING]
            if idle:
                touched += repository.cancel_idle(session, principal, idle)
            if running:
                touched += repository.ask_to_stop(session, principal, running)
            parents = list(found)
        return touched

    def events(
        self, session: Executor, organization_id: UUID, job_id: UUID, *, after: int, limit: int = 1000
    ) -> Sequence[Event]:
        """Persisted events with ids above `after`, oldest first."""
        return repository.events_after(session, organization_id, job_id, after, limit)


def listed(principal: Principal, job: JobRecord) -> JobRecord:
    """The job as the caller may see it: without the error's text, which may quote content, above its clearance."""
    return job if job.error is None or is_cleared(principal, job.data_class) else replace(job, error=None)


def queued_event(job: JobRecord) -> Event:
    """The event that `JobService.submit` wrote, for publishing after the commit."""
    data = {"capability": job.capability, "priority": str(Priority.of_rank(job.priority))}
    return Event(job.id, 1, 0, "job.queued", 0, data, job.created_at)


def _no_job(job_id: UUID) -> NotFound:
    return NotFound(f"there is no job {encode(JOB, job_id)} in this project", code="job_not_found")
