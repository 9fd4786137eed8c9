"""Ratings of results: one for each job and person or key; the last one counts."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.jobs import repository as jobs
from core.jobs.receipts.document import JobNotFinished
from core.keys.principal import Principal
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import JOB, encode

COMMENT_MAX_CHARACTERS = 4_000
_QUANTUM = Decimal("0.0001")

_GIVE = text("""
INSERT INTO job_feedback (job_id, actor, organization_id, project_id, score, comment)
VALUES (:job_id, :actor, :organization_id, :project_id, :score, :comment)
ON CONFLICT (job_id, actor) DO UPDATE SET score = excluded.score, comment = excluded.comment, given_at = now()
WHERE job_feedback.organization_id = :organization_id AND job_feedback.project_id = :project_id
RETURNING given_at
""")


@dataclass(frozen=True, slots=True)
class Feedback:
    """A rating of a job's result, from 0 (useless) to 1 (as good as could be)."""

    job_id: UUID
    score: Decimal
    comment: str | None
    given_at: datetime


def give(session: Session, principal: Principal, job_id: UUID, score: Decimal, comment: str | None) -> Feedback:
    """Rate a job that has ended; the caller's earlier rating of it is replaced.

    The audit record holds the score and whether there was a comment, never its text. Raises `NotFound`,
    `JobNotFinished` and `Unprocessable`.
    """
    if not score.is_finite() or not 0 <= score <= 1:
        raise _wrong("score", "from 0 to 1")
    if comment is not None and len(comment) > COMMENT_MAX_CHARACTERS:
        raise _wrong("comment", f"at most {COMMENT_MAX_CHARACTERS} characters")
    job = jobs.get(session, principal, job_id)
    if job is None:
        raise NotFound(f"there is no job {encode(JOB, job_id)} in this project", code="job_not_found")
    if not job.is_terminal:
        raise JobNotFinished(f"this job is {job.state}; rate its result when it has ended")
    score = score.quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)
    given_at = session.execute(
        _GIVE,
        {
            "job_id": job_id,
            "actor": f"{principal.actor.kind}:{principal.actor.id or ''}",
            "organization_id": principal.organization_id,
            "project_id": principal.project_id,
            "score": score,
            "comment": comment,
        },
    ).scalar_one()
    record(
        session,
        principal.organization_id,
        principal.project_id,
        AuditAction.FEEDBACK_GIVE,
        subject_id=encode(JOB, job_id),
        actor=principal.actor,
        detail={"score": str(score), "has_comment": comment is not None},
    )
    return Feedback(job_id, score, comment, given_at)


def _wrong(field: str, message: str) -> Unprocessable:
    problem = {"path": f"body.{field}", "code": "feedback_invalid", "message": message}
    return Unprocessable(f"body.{field}: {message}", errors=[problem])
