"""The SQL of annotations and labels. Every statement names the project."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.jobs.repository import dump
from core.keys.principal import Principal
from core.kit.db import Executor
from core.quality.annotations.records import Annotation, How, Label, Sample, Verdict

# A sample is drawn from this many of the last jobs, so that its cost does not grow with their number.
_DRAWN_FROM_MAX = 20_000
# A result's doubt: the shortfall of signals that should be 1, and the excess of those that should be 0.
_DOUBT = """
sum(CASE
  WHEN signal IN ('quotes_verified', 'claims_supported', 'fields_found', 'confidence', 'schema_valid', 'feedback')
    THEN 1 - numerator / denominator
  WHEN signal IN ('abstained', 'handed_over', 'cut_off', 'tool_failed') THEN numerator / denominator
  ELSE 0 END)
"""
_CANDIDATES = """
WITH recent AS (
  SELECT job_id FROM quality_signals
  WHERE organization_id = :organization_id AND project_id = :project_id AND capability = :capability
    AND signal = 'succeeded' AND numerator = 1 AND NOT is_shadow AND ended_at >= :since
    AND (CAST(:model_version AS text) IS NULL OR model_version = CAST(:model_version AS text))
  ORDER BY ended_at DESC LIMIT {limit}
), chosen AS (
  SELECT recent.job_id FROM recent
  WHERE NOT EXISTS (SELECT FROM quality_annotations AS known WHERE known.job_id = recent.job_id)
  ORDER BY {order} LIMIT :count
)
"""
_ADD = """
INSERT INTO quality_annotations (job_id, organization_id, project_id, capability, how, labels_wanted, created_by)
SELECT job_id, :organization_id, :project_id, :capability, :how, :labels_wanted, CAST(:actor AS text) FROM chosen
ON CONFLICT (job_id) DO NOTHING RETURNING job_id
"""
_SAMPLE = {
    How.RANDOM: text(_CANDIDATES.format(limit=_DRAWN_FROM_MAX, order="random()") + _ADD),
    How.UNCERTAIN: text(
        _CANDIDATES.format(
            limit=_DRAWN_FROM_MAX,
            order=f"(SELECT {_DOUBT} FROM quality_signals AS each WHERE each.job_id = recent.job_id) DESC, random()",
        )
        + _ADD
    ),
}
_ADD_NAMED = text("""
INSERT INTO quality_annotations (job_id, organization_id, project_id, capability, how, labels_wanted, created_by)
VALUES (:job_id, :organization_id, :project_id, :capability, 'named', :labels_wanted, CAST(:actor AS text))
ON CONFLICT (job_id) DO NOTHING RETURNING job_id
""")
_ANNOTATION = "SELECT job_id, capability, how, labels_wanted, labels, created_at FROM quality_annotations"
_LIST = text(f"""
{_ANNOTATION}
WHERE organization_id = :organization_id AND project_id = :project_id
  AND (CAST(:capability AS text) IS NULL OR capability = CAST(:capability AS text))
  AND (CAST(:capabilities AS text[]) IS NULL OR capability = ANY(CAST(:capabilities AS text[])))
  AND (NOT CAST(:is_open AS boolean) OR labels < labels_wanted)
  AND (NOT CAST(:is_unlabeled AS boolean) OR NOT EXISTS (
    SELECT FROM quality_labels AS mine
    WHERE mine.job_id = quality_annotations.job_id AND mine.labeler = :labeler))
  AND (CAST(:cursor AS uuid) IS NULL OR job_id < CAST(:cursor AS uuid))
ORDER BY job_id DESC LIMIT :limit
""")
_GET = text(f"{_ANNOTATION} WHERE organization_id = :organization_id AND project_id = :project_id AND job_id = :job_id")
_LABEL = text("""
INSERT INTO quality_labels (job_id, labeler, organization_id, project_id, capability, is_judge, verdict, expected,
  note)
VALUES (:job_id, :labeler, :organization_id, :project_id, :capability, :is_judge, :verdict, CAST(:expected AS json),
  :note)
ON CONFLICT (job_id, labeler) DO UPDATE SET is_judge = excluded.is_judge, verdict = excluded.verdict,
  expected = excluded.expected, note = excluded.note, labeled_at = now()
WHERE quality_labels.organization_id = :organization_id AND quality_labels.project_id = :project_id
RETURNING job_id, labeler, is_judge, verdict, expected, note, labeled_at
""")
# Counted again, so that a repeated label counts once. Labels by judges do not count for the queue.
_COUNT = text("""
UPDATE quality_annotations SET labels = (
  SELECT count(*) FROM quality_labels WHERE job_id = :job_id AND NOT is_judge)
WHERE job_id = :job_id AND organization_id = :organization_id
""")
_LABELS = text("""
SELECT job_id, labeler, is_judge, verdict, expected, note, labeled_at FROM quality_labels
WHERE organization_id = :organization_id AND project_id = :project_id AND job_id = :job_id ORDER BY labeled_at
""")
_PAIRS = text("""
SELECT one.labeler AS first, two.labeler AS second, one.verdict AS first_said, two.verdict AS second_said
FROM quality_labels AS one JOIN quality_labels AS two ON two.job_id = one.job_id AND two.labeler > one.labeler
  AND two.organization_id = one.organization_id
WHERE one.organization_id = :organization_id AND one.project_id = :project_id
  AND (CAST(:capability AS text) IS NULL OR one.capability = CAST(:capability AS text))
  AND (CAST(:capabilities AS text[]) IS NULL OR one.capability = ANY(CAST(:capabilities AS text[])))
  AND one.labeled_at >= :since
ORDER BY one.labeler, two.labeler, one.job_id LIMIT 100000
""")


def sample(session: Session, principal: Principal, wanted: Sample) -> list[UUID]:
    """Add successful jobs that are not in the queue yet; returns their ids."""
    parameters = {
        **_scope(principal),
        "capability": wanted.capability,
        "count": wanted.count,
        "how": wanted.how.value,
        "since": wanted.since,
        "labels_wanted": wanted.labels_wanted,
        "model_version": wanted.model_version,
        "actor": principal.actor_id,
    }
    return list(session.execute(_SAMPLE[wanted.how], parameters).scalars())


def add_named(session: Session, principal: Principal, job_id: UUID, capability: str, labels_wanted: int) -> bool:
    """Add one job to the queue; False when it is already there."""
    parameters = {
        **_scope(principal),
        "job_id": job_id,
        "capability": capability,
        "labels_wanted": labels_wanted,
        "actor": principal.actor_id,
    }
    return session.execute(_ADD_NAMED, parameters).one_or_none() is not None


def list_annotations(
    session: Executor,
    principal: Principal,
    *,
    capability: str | None,
    labeler: str,
    is_open: bool,
    is_unlabeled: bool,
    cursor: UUID | None,
    limit: int,
) -> list[Annotation]:
    """The project's annotations, newest jobs first; those that need labels, or that `labeler` has not labeled."""
    parameters = {
        **_scope(principal),
        "capability": capability,
        "capabilities": _capabilities(principal),
        "labeler": labeler,
        "is_open": is_open,
        "is_unlabeled": is_unlabeled,
        "cursor": cursor,
        "limit": limit,
    }
    return [_to_annotation(row) for row in session.execute(_LIST, parameters)]


def get(session: Executor, principal: Principal, job_id: UUID) -> Annotation | None:
    """The project's annotation of a job."""
    row = session.execute(_GET, {**_scope(principal), "job_id": job_id}).one_or_none()
    return None if row is None else _to_annotation(row)


def put_label(  # noqa: PLR0917 - one row
    session: Session,
    principal: Principal,
    job_id: UUID,
    capability: str,
    labeler: str,
    is_judge: bool,
    verdict: Verdict,
    expected: dict[str, Any] | None,
    note: str | None,
) -> Label:
    """Write a label, replacing the labeler's earlier one, and count it."""
    parameters = {
        **_scope(principal),
        "job_id": job_id,
        "capability": capability,
        "labeler": labeler,
        "is_judge": is_judge,
        "verdict": verdict.value,
        "expected": None if expected is None else dump(expected),
        "note": note,
    }
    row = session.execute(_LABEL, parameters).one()
    session.execute(_COUNT, {"job_id": job_id, "organization_id": principal.organization_id})
    return _to_label(row)


def labels_of(session: Executor, principal: Principal, job_id: UUID) -> list[Label]:
    """The labels of a job of the project, oldest first."""
    return [_to_label(row) for row in session.execute(_LABELS, {**_scope(principal), "job_id": job_id})]


def pairs(
    session: Executor, principal: Principal, capability: str | None, since: datetime
) -> Sequence[tuple[str, str, str, str]]:
    """For each job labeled by two: the labelers, and their labels."""
    parameters = {
        **_scope(principal),
        "capability": capability,
        "capabilities": _capabilities(principal),
        "since": since,
    }
    return [tuple(row) for row in session.execute(_PAIRS, parameters)]


def _scope(principal: Principal) -> dict[str, UUID]:
    return {"organization_id": principal.organization_id, "project_id": principal.project_id}


def _capabilities(principal: Principal) -> list[str] | None:
    return None if principal.capabilities is None else sorted(principal.capabilities)


def _to_annotation(row: Row[Any]) -> Annotation:
    return Annotation(row.job_id, row.capability, How(row.how), row.labels_wanted, row.labels, row.created_at)


def _to_label(row: Row[Any]) -> Label:
    return Label(row.job_id, row.labeler, row.is_judge, Verdict(row.verdict), row.expected, row.note, row.labeled_at)
