"""Cancels a job and all its descendants, and announces the changes."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from api.deps import Runtime
from core.jobs.records import JobRecord
from core.jobs.traces import write_ended
from core.keys.principal import Principal
from pipelines.registry import version_of


def cancel(
    runtime: Runtime, session: Session, principal: Principal, job_id: UUID
) -> tuple[JobRecord, Sequence[JobRecord]]:
    """The updated job, and the jobs that changed. Raises `NotFound`."""
    before = runtime.jobs.get(session, principal, job_id)
    job, *below = runtime.jobs.cancel_tree(session, principal, job_id)
    return job, below if before.is_terminal else [job, *below]


def announce_cancelled(runtime: Runtime, principal: Principal, touched: Sequence[JobRecord]) -> None:
    """Announce cancelled jobs, and wake the workers that must stop. Call after the transaction. Blocks."""
    write_ended(runtime.database.single_tenant(principal.organization_id), [job.id for job in touched], version_of)
    for job in touched:
        if job.is_terminal:
            events = runtime.jobs.events(
                runtime.database.single_tenant(principal.organization_id),
                principal.organization_id,
                job.id,
                after=job.event_last - 1,
            )
            for event in events:
                runtime.announcer.event(event)
        else:
            runtime.announcer.control(job.id)
