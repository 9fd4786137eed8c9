"""The annotation queue of a project. Everything here adds to the caller's transaction; only the edge commits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.jobs.receipts.document import JobNotFinished
from core.jobs.records import JobRecord
from core.jobs.service import JobService
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import NotFound
from core.kit.ids import JOB, PROJECT, encode
from core.quality.annotations import repository
from core.quality.annotations.records import Agreement, Annotation, How, Label, Sample, Verdict
from core.quality.statistics.kappa import cohens_kappa


class AnnotationNotFound(NotFound):
    """The job is not in the labeling queue, or it is another project's."""

    default_code = "quality_annotation_not_found"


class Annotations:
    """Choose jobs, label them, and measure agreement. A job's labels are visible to callers that may read the job."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    def choose(self, session: Session, principal: Principal, wanted: Sample) -> Sequence[UUID]:
        """Add jobs to the queue: at random, the most doubtful first, or by name; returns the newly added ones.

        Raises `NotFound` and `JobNotFinished` for a named job.
        """
        if wanted.how is How.NAMED:
            chosen = [
                job_id
                for job_id in wanted.job_ids
                if repository.add_named(
                    session, principal, job_id, self._ended(session, principal, job_id).capability, wanted.labels_wanted
                )
            ]
        elif principal.may_use(wanted.capability):
            chosen = repository.sample(session, principal, wanted)
        else:
            chosen = []
        if chosen:
            record(
                session,
                principal.organization_id,
                principal.project_id,
                AuditAction.QUALITY_CHOOSE,
                subject_id=encode(PROJECT, principal.project_id),
                actor=principal.actor,
                detail={"how": wanted.how.value, "jobs": len(chosen)},
            )
        return chosen

    def list(
        self,
        session: Executor,
        principal: Principal,
        *,
        capability: str | None,
        is_open: bool,
        is_unlabeled: bool,
        cursor: UUID | None,
        limit: int,
    ) -> list[Annotation]:
        """A page of the queue: of jobs that need labels, or of those that the caller has not labeled."""
        return repository.list_annotations(
            session,
            principal,
            capability=capability,
            labeler=labeler_of(principal),
            is_open=is_open,
            is_unlabeled=is_unlabeled,
            cursor=cursor,
            limit=limit,
        )

    def open(
        self, session: Executor, principal: Principal, job_id: UUID
    ) -> tuple[Annotation, dict[str, Any] | None, dict[str, Any] | None]:
        """A job of the queue with its input and result, for labeling; None for parts that retention deleted.

        Raises `AnnotationNotFound` for a job not in the queue, and `NotFound` and `ClearanceExceeded`.
        """
        found = repository.get(session, principal, job_id)
        if found is None or not principal.may_use(found.capability):
            raise AnnotationNotFound(f"{encode(JOB, job_id)} is not among the jobs to be labeled in this project")
        _, given, result = self._jobs.get_with_payloads(session, principal, job_id)
        return found, given, result

    def label(  # noqa: PLR0917 - who says what of what
        self,
        session: Session,
        principal: Principal,
        job_id: UUID,
        verdict: Verdict,
        expected: dict[str, Any] | None,
        note: str | None,
        *,
        is_judge: bool = False,
    ) -> Label:
        """Label a result; replaces the caller's earlier label.

        A job that was not in the queue is added to it. The audit record holds the verdict, never the texts. Raises
        `NotFound`, `ClearanceExceeded` and `JobNotFinished`.
        """
        job = self._ended(session, principal, job_id)
        repository.add_named(session, principal, job_id, job.capability, 1)
        made = repository.put_label(
            session, principal, job_id, job.capability, labeler_of(principal), is_judge, verdict, expected, note
        )
        record(
            session,
            principal.organization_id,
            principal.project_id,
            AuditAction.QUALITY_LABEL,
            subject_id=encode(JOB, job_id),
            actor=principal.actor,
            detail={
                "verdict": verdict.value,
                "is_judge": is_judge,
                "has_expected": expected is not None,
                "has_note": note is not None,
            },
        )
        return replace(made, expected=expected)

    def labels(self, session: Executor, principal: Principal, job_id: UUID) -> Sequence[Label]:
        """The labels of a job. Raises `NotFound` and `ClearanceExceeded`."""
        self._jobs.open(session, principal, job_id)
        return repository.labels_of(session, principal, job_id)

    def agreement(
        self, session: Executor, principal: Principal, *, capability: str | None, since: datetime
    ) -> Sequence[Agreement]:
        """The agreement of every two labelers that labeled the same jobs since then."""
        found = repository.pairs(session, principal, capability, since)
        return [
            Agreement(labelers, len(said), *cohens_kappa(said))
            for labelers, rows in groupby(found, key=lambda row: (row[0], row[1]))
            if (said := [(first, second) for _, _, first, second in rows])
        ]

    def _ended(self, session: Session, principal: Principal, job_id: UUID) -> JobRecord:
        job = self._jobs.open(session, principal, job_id)
        if not job.is_terminal:
            raise JobNotFinished(f"this job is {job.state}; label its result when it has ended")
        return job


def labeler_of(principal: Principal) -> str:
    """The labeler, in the form that labels use."""
    return f"{principal.actor.kind}:{principal.actor.id or ''}"
