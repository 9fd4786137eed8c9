"""Retention as people set it: clocks of an organisation and of its projects."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.jobs.retention import repository
from core.jobs.retention.records import DAYS_MAX, Clock, Kind, default_days
from core.keys.principal import Principal
from core.kit.blob import BlobStore
from core.kit.db import Executor
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import JOB, ORGANIZATION, PROJECT, encode
from core.kit.settings import Settings


class RetentionService:
    """Reads, sets and removes the clocks of the caller's organisation; each change leaves an audit record."""

    def __init__(self, settings: Settings) -> None:
        self._defaults = default_days(settings)

    def clocks(self, session: Executor, principal: Principal) -> list[Clock]:
        """The clock of every kind of data of the caller's project, and who set it."""
        found: Mapping[tuple[str, UUID | None], Clock] = {
            (row.kind, row.project_id): Clock(
                Kind(row.kind), row.days, "organization" if row.project_id is None else "project", row.set_at
            )
            for row in repository.policies(session, principal.organization_id, principal.project_id)
        }
        return [
            found.get((kind, principal.project_id))
            or found.get((kind, None))
            or Clock(kind, self._defaults[kind], "installation")
            for kind in Kind
        ]

    def set(
        self, session: Session, principal: Principal, kind: Kind, days: int | None, *, for_project: bool
    ) -> list[Clock]:
        """Set how many days the organisation, or the caller's project, keeps a kind of data; None is for ever.

        In force from the next run on. Raises `Unprocessable` for a number of days that is out of range.
        """
        if days is not None and not 1 <= days <= DAYS_MAX:
            message = f"a whole number from 1 to {DAYS_MAX}, or null for ever"
            raise Unprocessable(message, errors=[{"path": "body.days", "code": "out_of_range", "message": message}])
        whose = principal.project_id if for_project else None
        repository.set_policy(session, principal.organization_id, whose, kind, days)
        self._record(session, principal, AuditAction.RETENTION_SET, whose, {"kind": kind, "days": days})
        return self.clocks(session, principal)

    def remove(self, session: Session, principal: Principal, kind: Kind, *, for_project: bool) -> list[Clock]:
        """Let the next wider clock count again. Raises `NotFound` when none is set."""
        whose = principal.project_id if for_project else None
        if not repository.remove_policy(session, principal.organization_id, whose, kind):
            scope = "this project" if for_project else "the organization"
            raise NotFound(f"{scope} has set no retention of {kind}", code="retention_not_set")
        self._record(session, principal, AuditAction.RETENTION_REMOVE, whose, {"kind": kind})
        return self.clocks(session, principal)

    def erase(self, session: Session, principal: Principal, blobs: BlobStore, job_id: UUID) -> None:
        """Take the payloads of one ended job away before their time; what it was and what it cost stays.

        Raises `NotFound` for a job that is unknown, has not ended, or has none any more.
        """
        if not repository.erase(session, principal.project_id, job_id):
            raise NotFound("there is no ended job with payloads under this id", code="job_not_found")
        # Before the commit: a row that says erased while a blob is left would never be looked at again.
        blobs.delete_prefix(f"jobs/{job_id}/")
        record(
            session,
            principal.organization_id,
            principal.project_id,
            AuditAction.JOB_ERASE,
            subject_id=encode(JOB, job_id),
            actor=principal.actor,
        )

    @staticmethod
    def _record(
        session: Session,
        principal: Principal,
        action: AuditAction,
        project_id: UUID | None,
        facts: Mapping[str, object],
    ) -> None:
        subject = encode(ORGANIZATION, principal.organization_id) if project_id is None else encode(PROJECT, project_id)
        record(
            session,
            principal.organization_id,
            project_id,
            action,
            subject_id=subject,
            actor=principal.actor,
            detail=facts,
        )
