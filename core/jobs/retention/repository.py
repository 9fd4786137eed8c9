"""The SQL of retention."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.jobs.retention.records import DuePayload, Kind
from core.kit.data_classes import DataClass
from core.kit.db import Executor

_LOCK = text("SELECT pg_try_advisory_xact_lock(7201952)")

_POLICIES = text(
    "SELECT kind, project_id, days, set_at FROM retention_policies WHERE organization_id = :organization"
    " AND (project_id IS NULL OR project_id = :project)"
)
_SET = text("""
INSERT INTO retention_policies (organization_id, project_id, kind, days)
VALUES (:organization, CAST(:project AS uuid), :kind, CAST(:days AS int))
ON CONFLICT (organization_id, kind, project_id) DO UPDATE SET days = excluded.days, set_at = now()
""")
_REMOVE = text(
    "DELETE FROM retention_policies WHERE organization_id = :organization AND kind = :kind"
    " AND project_id IS NOT DISTINCT FROM CAST(:project AS uuid)"
)

# Ids start with the time of submission, which is before the end: the index narrows, `finished_at` decides. The order is
# the index's: by id alone, Postgres reads all jobs of a project to find the few whose class has a shorter period.
_DUE = text("""
SELECT job.id, clock.organization_id, job.data_class,
  job.input_ref IS NOT NULL OR job.result_ref IS NOT NULL OR job.attempt > 0 AS may_have_blobs
FROM retention_payload_clocks(CAST(:default_days AS int)) AS clock
CROSS JOIN LATERAL (
  SELECT id, data_class, input_ref, result_ref, attempt FROM jobs
  WHERE project_id = clock.project_id AND data_class = ANY(clock.data_classes)
    AND finished_at IS NOT NULL AND payload_erased_at IS NULL
    AND id < uuid7_floor(now() - make_interval(days => clock.days))
    AND finished_at < now() - make_interval(days => clock.days)
  ORDER BY data_class, id LIMIT :most FOR UPDATE SKIP LOCKED
) AS job
WHERE clock.days IS NOT NULL LIMIT :most
""")
_BLANK = text(
    "UPDATE jobs SET input = NULL, input_ref = NULL, result = NULL, result_ref = NULL, payload_erased_at = now()"
    " WHERE id = ANY(:ids) AND finished_at IS NOT NULL"
)
_ERASE = text(
    "UPDATE jobs SET input = NULL, input_ref = NULL, result = NULL, result_ref = NULL, payload_erased_at = now()"
    " WHERE id = :id AND project_id = :project_id AND finished_at IS NOT NULL AND payload_erased_at IS NULL"
    " RETURNING id"
)
_DELETE_ARTIFACTS = text("DELETE FROM job_artifacts WHERE job_id = ANY(:ids)")
_DELETE_WRITES = text("DELETE FROM job_checkpoint_writes WHERE job_id = ANY(:ids)")
_DELETE_CHECKPOINTS = text("DELETE FROM job_checkpoints WHERE job_id = ANY(:ids)")
_DELETE_QUESTIONS = text("DELETE FROM job_questions WHERE job_id = ANY(:ids)")
# Tools' answers are as sensitive as the result.
_DELETE_EFFECTS = text("DELETE FROM job_effects WHERE job_id = ANY(:ids)")
# A comment may quote the answer; the score reveals nothing of it, and results are computed from it.
_BLANK_COMMENTS = text("UPDATE job_feedback SET comment = NULL WHERE job_id = ANY(:ids) AND comment IS NOT NULL")
# A verdict on a finding stays; the text it was about is deleted.
_BLANK_REVIEWED = text("UPDATE guard_reviews SET value = NULL WHERE job_id = ANY(:ids) AND value IS NOT NULL")
# A corrected result and the notes about it are as sensitive as the result; the verdict stays.
_BLANK_EXPECTED = text(
    "UPDATE quality_labels SET expected = NULL, note = NULL"
    " WHERE job_id = ANY(:ids) AND (expected IS NOT NULL OR note IS NOT NULL)"
)
# The words of an input are deleted with the input.
_DELETE_WORDS = text("DELETE FROM quality_inputs WHERE job_id = ANY(:ids)")
# The values behind the tokens of a job tree are deleted with the payloads of its root job.
_DELETE_PSEUDONYMS = text("DELETE FROM guard_pseudonyms WHERE root_job_id = ANY(:ids)")
# Data about deleted jobs: ratings, their arm of an experiment, and the values behind tokens.
_DELETE_JOBS = tuple(
    text(f"DELETE FROM {table} WHERE {column} < uuid7_floor(CAST(:before AS timestamptz))")
    for table, column in (
        ("job_feedback", "job_id"),
        ("experiment_exposures", "job_id"),
        ("shadow_runs", "job_id"),
        ("guard_pseudonyms", "root_job_id"),
        ("quality_annotations", "job_id"),
        ("quality_labels", "job_id"),
    )
)
_DELETE_HOURS = text("DELETE FROM quality_hours WHERE hour < :before")

# Every organization counts, even one without projects; one period without an end keeps everything.
_LONGEST = text("""
SELECT bool_or(days IS NULL) AS is_for_ever, now() - make_interval(days => max(days)) AS before
FROM (
  SELECT days FROM retention_clocks(:kind, CAST(:default_days AS int))
  UNION ALL SELECT days FROM retention_policies WHERE kind = :kind
  UNION ALL SELECT CAST(:default_days AS int)
) AS clocks
""")
_PAST = text("SELECT name, past FROM partitions_before(:parent, CAST(:before AS timestamptz))")
_DROP = text("SELECT drop_partition(:parent, :child)")
_LAST_POSITION = text("SELECT events_last_position(:child)")
_NOTE_DROPPED = text(
    "INSERT INTO job_events_dropped (position) VALUES (CAST(:position AS bigint)) ON CONFLICT DO NOTHING"
)
_ORGANIZATIONS = text("SELECT id FROM organizations ORDER BY id")


def try_lock(session: Session) -> bool:
    """Be the only run until the transaction ends; False when another one is active."""
    return bool(session.execute(_LOCK).scalar_one())


def policies(session: Executor, organization_id: UUID, project_id: UUID) -> Sequence[Row[tuple[object, ...]]]:
    """The policies that the organization and this project have set."""
    return session.execute(_POLICIES, {"organization": organization_id, "project": project_id}).all()


def set_policy(session: Session, organization_id: UUID, project_id: UUID | None, kind: Kind, days: int | None) -> None:
    """Set or change one policy."""
    session.execute(_SET, {"organization": organization_id, "project": project_id, "kind": kind, "days": days})


def remove_policy(session: Session, organization_id: UUID, project_id: UUID | None, kind: Kind) -> bool:
    """Remove one policy; False when there is none."""
    found = session.execute(_REMOVE, {"organization": organization_id, "project": project_id, "kind": kind})
    return bool(found.rowcount)  # type: ignore[attr-defined]


def due_payloads(session: Session, default_days: int | None, most: int) -> list[DuePayload]:
    """Ended jobs past the shortest period that applies to them, at most `most`, locked."""
    rows = session.execute(_DUE, {"default_days": default_days, "most": most})
    return [DuePayload(row.id, row.organization_id, DataClass(row.data_class), row.may_have_blobs) for row in rows]


def blank(session: Session, ids: list[UUID]) -> None:
    """Blank input, result and checkpoints of ended jobs, and what people wrote about them."""
    session.execute(_BLANK, {"ids": ids})
    _delete(session, ids)


def erase(session: Session, project_id: UUID, job_id: UUID) -> bool:
    """`blank` for one ended job of a project; False when there is none with payloads."""
    found = session.execute(_ERASE, {"id": job_id, "project_id": project_id}).one_or_none()
    if found is not None:
        _delete(session, [job_id])
    return found is not None


def _delete(session: Session, ids: list[UUID]) -> None:
    session.execute(_DELETE_ARTIFACTS, {"ids": ids})
    session.execute(_DELETE_WRITES, {"ids": ids})
    session.execute(_DELETE_CHECKPOINTS, {"ids": ids})
    session.execute(_DELETE_QUESTIONS, {"ids": ids})
    session.execute(_DELETE_EFFECTS, {"ids": ids})
    session.execute(_BLANK_COMMENTS, {"ids": ids})
    session.execute(_BLANK_REVIEWED, {"ids": ids})
    session.execute(_DELETE_PSEUDONYMS, {"ids": ids})
    session.execute(_DELETE_WORDS, {"ids": ids})
    session.execute(_BLANK_EXPECTED, {"ids": ids})


def delete_jobs(session: Session, before: datetime) -> None:
    """Delete data about jobs submitted before `before` from the tables that are not partitioned by month."""
    for statement in (*_DELETE_JOBS, _DELETE_HOURS):
        session.execute(statement, {"before": before})


def past_every_period(session: Session, kind: Kind, default_days: int | None) -> datetime | None:
    """The time before which every retention period for this kind has passed; None when one never ends."""
    row = session.execute(_LONGEST, {"kind": kind, "default_days": default_days}).one()
    before: datetime | None = None if row.is_for_ever else row.before
    return before


def past_partitions(session: Session, parent: str, before: datetime) -> list[tuple[str, datetime]]:
    """Monthly partitions that end at or before `before`, with their ends, oldest first."""
    return [(row.name, row.past) for row in session.execute(_PAST, {"parent": parent, "before": before})]


def drop_partition(session: Session, parent: str, child: str) -> bool:
    """Drop one; False while a job of its month has not ended. Raises when its lock cannot be taken quickly."""
    # Streams of a project must be able to report missing events; None for other tables.
    last = session.execute(_LAST_POSITION, {"child": child}).scalar_one()
    is_dropped = bool(session.execute(_DROP, {"parent": parent, "child": child}).scalar_one())
    if is_dropped and last is not None:
        session.execute(_NOTE_DROPPED, {"position": last})
    return is_dropped


def organizations(session: Session) -> list[UUID]:
    """Every organization."""
    return list(session.execute(_ORGANIZATIONS).scalars())
