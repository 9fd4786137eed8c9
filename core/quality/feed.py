"""The SQL that reads the facts about ended jobs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.jobs.states import JobState
from core.quality.records import EndedJob

Read = Callable[[dict[str, Any] | None, str | None], Mapping[str, Any] | None]

# The model is that of the last call that generated text; a job that only embeds has that of its last call.
_FACTS = text("""
SELECT jobs.id, jobs.organization_id, jobs.project_id, jobs.capability, jobs.state::text AS state, jobs.failures,
  jobs.outages, jobs.started_at, jobs.finished_at, jobs.shadow_arm_id, jobs.input, jobs.input_ref, jobs.result,
  jobs.result_ref, jobs.payload_erased_at IS NOT NULL AS is_erased,
  coalesce(jobs.shadow_arm_id, exposure.arm_id) AS arm_id, call.model, call.model_version,
  coalesce(story.tools_called, 0) AS tools_called, coalesce(story.tools_finished, 0) AS tools_finished,
  coalesce(story.has_findings, false) AS has_findings, coalesce(asked.answers, '[]') AS answers, rated.score,
  labeled.good, labeled.judged
FROM jobs
LEFT JOIN LATERAL (
  SELECT arm_id FROM experiment_exposures AS exposed
  WHERE exposed.job_id = jobs.id AND exposed.organization_id = jobs.organization_id
  ORDER BY exposed_at DESC LIMIT 1
) AS exposure ON true
LEFT JOIN LATERAL (
  SELECT model, model_version FROM ledger_entries AS entry
  WHERE entry.job_id = jobs.id AND entry.organization_id = jobs.organization_id AND entry.kind = 'settlement'
  ORDER BY entry.quantities ? 'output_tokens' DESC, entry.attempt DESC, entry.call DESC LIMIT 1
) AS call ON true
LEFT JOIN LATERAL (
  SELECT count(*) FILTER (WHERE type = 'tool.called') AS tools_called,
    count(*) FILTER (WHERE type = 'tool.finished' AND data->>'status' IS DISTINCT FROM 'unknown') AS tools_finished,
    bool_or(type = 'guard.findings') AS has_findings
  FROM job_events AS event
  WHERE event.job_id = jobs.id AND event.organization_id = jobs.organization_id
    AND type IN ('tool.called', 'tool.finished', 'guard.findings')
) AS story ON true
LEFT JOIN LATERAL (
  SELECT jsonb_agg(question.value) AS answers FROM job_questions AS question
  WHERE question.job_id = jobs.id AND question.organization_id = jobs.organization_id AND answered_at IS NOT NULL
) AS asked ON true
LEFT JOIN LATERAL (
  SELECT avg(score)::float8 AS score FROM job_feedback AS feedback
  WHERE feedback.job_id = jobs.id AND feedback.organization_id = jobs.organization_id
) AS rated ON true
LEFT JOIN LATERAL (
  SELECT avg((verdict = 'good')::int) FILTER (WHERE NOT is_judge)::float8 AS good,
    avg((verdict = 'good')::int) FILTER (WHERE is_judge)::float8 AS judged
  FROM quality_labels AS label
  WHERE label.job_id = jobs.id AND label.organization_id = jobs.organization_id AND verdict <> 'unsure'
) AS labeled ON true
WHERE jobs.id = ANY(CAST(:ids AS uuid[])) AND jobs.finished_at IS NOT NULL
""")


def facts_of(session: Session, ids: Sequence[UUID], read: Read) -> dict[UUID, EndedJob]:
    """The existing jobs with those ids. `read` loads a payload: inline, or by a blob's key."""
    return {row.id: _to_job(row, read) for row in session.execute(_FACTS, {"ids": list(ids)})}


def _to_job(row: Row[Any], read: Read) -> EndedJob:
    return EndedJob(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        capability=row.capability,
        state=JobState(row.state),
        failures=row.failures,
        outages=row.outages,
        started_at=row.started_at,
        finished_at=row.finished_at,
        is_shadow=row.shadow_arm_id is not None,
        arm_id=row.arm_id,
        model=row.model,
        model_version=row.model_version,
        input=None if row.is_erased else read(row.input, row.input_ref),
        result=None if row.is_erased else read(row.result, row.result_ref),
        tools_called=row.tools_called,
        tools_finished=row.tools_finished,
        has_findings=row.has_findings,
        answers=row.answers,
        feedback=row.score,
        labeled_good=row.good,
        judged_good=row.judged,
    )
