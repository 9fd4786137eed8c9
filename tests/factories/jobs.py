"""Submits jobs and looks at them in the database, as two organisations' worth of clients would."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.jobs.live import LivePublisher
from core.jobs.records import Event, JobRecord, NewJob
from core.jobs.service import JobService, queued_event
from core.jobs.states import JobState, Priority
from core.keys.principal import Principal
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.redis import connect
from core.kit.settings import Settings
from pipelines.registry import manifests
from tests.factories.waiting import wait_until


@dataclass
class Tenant:
    """A project of an organisation, with what it needs to submit."""

    database: Database
    service: JobService
    publisher: LivePublisher
    principal: Principal
    submitted: list[UUID] = field(default_factory=list)

    def submit(
        self, act: str = "noop", *, capability: str = "probe.act", priority: str = "normal", **given: Any
    ) -> UUID:
        """Submit a probe that will `act`; `given` are further fields of its input, or of the job when it knows them."""
        known = {name: given.pop(name) for name in tuple(given) if name in NewJob.__dataclass_fields__}
        return self.submit_input(capability, {"act": act, **given}, priority=Priority(priority), **known)

    def submit_input(self, capability: str, payload: dict[str, Any], **known: Any) -> UUID:
        """Submit any capability; `known` are further fields of the job."""
        manifest = manifests().get(capability)
        pool = capability.partition(".")[0] if manifest is None else manifest.pool
        new = NewJob(capability=capability, pool=pool, input=payload, **known)
        job = self.service.submit(self.database.single_tenant(self.principal.organization_id), self.principal, new)
        self.publisher.publish([queued_event(job)], hint=job.pool)
        self.submitted.append(job.id)
        return job.id

    def job(self, job_id: UUID) -> JobRecord:
        """The job as it is now."""
        return self.service.get(self.database.single_tenant(self.principal.organization_id), self.principal, job_id)

    def result(self, job_id: UUID) -> dict[str, Any] | None:
        """The job's result."""
        with self.database.tenant(self.principal.organization_id) as session:
            return self.service.get_with_payloads(session, self.principal, job_id)[2]

    def cancel(self, job_id: UUID) -> JobRecord:
        """Cancel as a client would."""
        with self.database.tenant(self.principal.organization_id) as session:
            job, *below = self.service.cancel_tree(session, self.principal, job_id)
        for touched in (job, *below):
            self.publisher.control(touched.id)
        return job

    def events(self, job_id: UUID) -> Sequence[Event]:
        """The job's kept events."""
        single = self.database.single_tenant(self.principal.organization_id)
        return self.service.events(single, self.principal.organization_id, job_id, after=0)

    def wait(self, *job_ids: UUID, timeout_seconds: float = 90) -> list[JobRecord]:
        """Wait until these jobs, or all submitted ones, have ended."""
        wanted = list(job_ids) or self.submitted
        wait_until(
            lambda: self.open_jobs(wanted) == 0, timeout_seconds=timeout_seconds, what=f"{len(wanted)} jobs to end"
        )
        return [self.job(job_id) for job_id in wanted]

    def open_jobs(self, job_ids: Sequence[UUID]) -> int:
        """How many of these have not ended."""
        with self.database.system() as session:
            return int(
                session.execute(
                    text("SELECT count(*) FROM jobs WHERE id = ANY(:ids) AND finished_at IS NULL"),
                    {"ids": list(job_ids)},
                ).scalar_one()
            )

    def wait_for_state(self, job_id: UUID, state: JobState, timeout_seconds: float = 90) -> JobRecord:
        """Wait until the job is in `state`."""
        wait_until(lambda: self.job(job_id).state is state, timeout_seconds=timeout_seconds, what=f"state {state}")
        return self.job(job_id)

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


def new_tenant(settings: Settings, *, weight: int = 1, max_concurrent_jobs: int | None = None) -> Tenant:
    """A fresh organisation with one project."""
    database = Database(settings, application_name="test", pool_size=4)
    principal = Principal(new_id(), new_id(), None, frozenset())
    with database.system() as session:
        session.execute(
            text("INSERT INTO organizations (id, name) VALUES (:id, :name)"),
            {"id": principal.organization_id, "name": f"org-{principal.organization_id}"},
        )
        session.execute(
            text(
                "INSERT INTO projects (id, organization_id, name, weight, max_concurrent_jobs)"
                " VALUES (:id, :organization, 'p', :weight, :limit)"
            ),
            {
                "id": principal.project_id,
                "organization": principal.organization_id,
                "weight": weight,
                "limit": max_concurrent_jobs,
            },
        )
    return tenant_of(settings, principal, database)


def tenant_of(settings: Settings, principal: Principal, database: Database | None = None) -> Tenant:
    """The project that a principal speaks for."""
    service = JobService(settings, open_blob_store(settings))
    opened = database or Database(settings, application_name="test", pool_size=4)
    return Tenant(opened, service, LivePublisher(connect(settings), settings), principal)


def final_events(events: Iterable[Event]) -> Counter[str]:
    """How many events of each final type there are."""
    return Counter(event.type for event in events if event.is_final)
