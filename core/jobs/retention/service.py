"""Retention as people configure it: the retention periods of an organization and of its projects."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.jobs.retention import repository
from core.jobs.retention.class_policies import class_policies, remove_class_policy, set_class_policy
from core.jobs.retention.records import DAYS_MAX, Kind, RetentionPeriod, Source, default_days
from core.keys.principal import Principal
from core.kit.blob import BlobStore
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import JOB, ORGANIZATION, PROJECT, encode
from core.kit.settings import Settings


class RetentionService:
    """Reads, sets and removes the caller's organization's retention periods; each change leaves an audit record."""

    def __init__(self, settings: Settings) -> None:
        self._defaults = default_days(settings)

    def periods(self, session: Executor, principal: Principal) -> list[RetentionPeriod]:
        """The caller's project's period for each kind of data and where it is set; then those for a class."""
        found: Mapping[tuple[str, UUID | None], RetentionPeriod] = {
            (row.kind, row.project_id): RetentionPeriod(Kind(row.kind), row.days, _source(row.project_id), row.set_at)
            for row in repository.policies(session, principal.organization_id, principal.project_id)
        }
        of_kinds = [
            found.get((kind, principal.project_id))
            or found.get((kind, None))
            or RetentionPeriod(kind, self._defaults[kind], "installation")
            for kind in Kind
        ]
        of_classes = [
            RetentionPeriod(Kind.PAYLOADS, row.days, _source(row.project_id), row.set_at, DataClass(row.data_class))
            for row in class_policies(session, principal.organization_id, principal.project_id)
        ]
        return of_kinds + of_classes

    def set(
        self,
        session: Session,
        principal: Principal,
        kind: Kind,
        days: int | None,
        *,
        for_project: bool,
        data_class: DataClass | None = None,
    ) -> list[RetentionPeriod]:
        """Set how many days the organization, or the caller's project, keeps a kind of data; None is forever.

        With a `data_class`, the maximum number of days for payloads of jobs of that class and above. Takes effect with
        the next run. Raises `Unprocessable` for a number of days that is out of range, for a class with a kind other
        than payloads, and for a class without a number of days.
        """
        if days is not None and not 1 <= days <= DAYS_MAX:
            message = f"a whole number from 1 to {DAYS_MAX}, or null for ever"
            raise Unprocessable(message, errors=[{"path": "body.days", "code": "out_of_range", "message": message}])
        whose = principal.project_id if for_project else None
        if data_class is None:
            repository.set_policy(session, principal.organization_id, whose, kind, days)
        else:
            _require_payloads(kind, "body.data_class")
            if days is None:
                message = "the period of a data_class must be a number of days; remove the period instead"
                raise Unprocessable(
                    message, errors=[{"path": "body.days", "code": "days_required", "message": message}]
                )
            set_class_policy(session, principal.organization_id, whose, data_class, days)
        facts = {"kind": kind, "days": days, **_named(data_class)}
        self._record(session, principal, AuditAction.RETENTION_SET, whose, facts)
        return self.periods(session, principal)

    def remove(
        self,
        session: Session,
        principal: Principal,
        kind: Kind,
        *,
        for_project: bool,
        data_class: DataClass | None = None,
    ) -> list[RetentionPeriod]:
        """Remove a policy, so that the next wider one applies again.

        Raises `NotFound` when none is set, and `Unprocessable` for a class with a kind other than payloads.
        """
        whose = principal.project_id if for_project else None
        if data_class is None:
            is_removed = repository.remove_policy(session, principal.organization_id, whose, kind)
        else:
            _require_payloads(kind, "query.data_class")
            is_removed = remove_class_policy(session, principal.organization_id, whose, data_class)
        if not is_removed:
            scope = "this project" if for_project else "the organization"
            which = kind if data_class is None else f"{kind} of class {data_class} and above"
            raise NotFound(f"{scope} has set no retention period for {which}", code="retention_not_set")
        self._record(session, principal, AuditAction.RETENTION_REMOVE, whose, {"kind": kind, **_named(data_class)})
        return self.periods(session, principal)

    def erase(self, session: Session, principal: Principal, blobs: BlobStore, job_id: UUID) -> None:
        """Delete the payloads of one ended job early; its record and its cost stay.

        Raises `NotFound` for a job that is unknown, has not ended, or no longer has any.
        """
        if not repository.erase(session, principal.project_id, job_id):
            raise NotFound("there is no ended job with payloads under this id", code="job_not_found")
        # Before the commit: a row marked as erased while a blob is left would never be checked again.
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


def _source(project_id: UUID | None) -> Source:
    return "organization" if project_id is None else "project"


def _named(data_class: DataClass | None) -> dict[str, DataClass]:
    return {} if data_class is None else {"data_class": data_class}


def _require_payloads(kind: Kind, path: str) -> None:
    if kind is not Kind.PAYLOADS:
        message = f"{kind} has no clocks by class: leave data_class out, or name the kind payloads"
        raise Unprocessable(message, errors=[{"path": path, "code": "only_payloads", "message": message}])
