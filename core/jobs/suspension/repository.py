"""The SQL of questions and children."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.jobs.conditions import ACTIVE, OPEN_QUESTION, STATE_OF_NAMED
from core.jobs.records import Event, JobRecord
from core.jobs.repository import COLUMNS, VISIBLE, dump, to_record, visible_to
from core.jobs.states import JobState
from core.jobs.suspension.records import Child, Node, Parent, Question
from core.keys.authority import CALLER_COLUMNS
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.json_values import dumps

_QUESTION = (
    "job_id, key, question, schema, details, asked_at, due_at, value, answered_by, answered_at, timed_out_at, approves"
)

_ASK = text("""
INSERT INTO job_questions (job_id, key, organization_id, question, schema, details, approves, due_at)
VALUES (:job_id, :key, :organization_id, :question, CAST(:schema AS json), CAST(:details AS json), :approves,
  now() + make_interval(secs => CAST(:timeout_seconds AS float8)))
ON CONFLICT (job_id, key) DO NOTHING
""")
_QUESTIONS = text(
    f"SELECT {_QUESTION} FROM job_questions WHERE job_id = :job_id AND organization_id = :organization_id"
    " ORDER BY asked_at, key"
)
# The partial index of open questions is small: most questions are answered.
_INBOX = text(f"""
SELECT {", ".join(f"question.{name}" for name in _QUESTION.split(", "))}, jobs.*
FROM job_questions AS question
JOIN LATERAL (SELECT {COLUMNS} FROM jobs WHERE id = question.job_id AND {VISIBLE}) AS jobs ON true
WHERE question.organization_id = :organization_id AND question.answered_at IS NULL AND question.timed_out_at IS NULL
  AND question.due_at > now() AND {STATE_OF_NAMED} = 'waiting' AND jobs.reason = 'input'
ORDER BY question.due_at, question.job_id, question.key LIMIT :limit
""")
_ANSWER = text(f"""
UPDATE job_questions SET value = CAST(:value AS json), answered_by = :answered_by, answered_at = now()
WHERE job_id = :job_id AND key = :key AND organization_id = :organization_id AND {OPEN_QUESTION} AND due_at > now()
RETURNING {_QUESTION}
""")
_LOCK_JOB = text(f"SELECT {COLUMNS} FROM jobs WHERE id = :id AND {VISIBLE} FOR UPDATE")

# The remaining amount counts the whole tree below the parent; the reservation's cap is checked when a call is made.
_LOCK_PARENT = text(f"""
WITH RECURSIVE parent AS (
  SELECT * FROM jobs WHERE id = :id AND attempt = :attempt AND {STATE_OF_NAMED} = 'running' FOR NO KEY UPDATE
), line AS (
  SELECT id, parent_id, 0 AS depth FROM jobs WHERE id = :id
  UNION ALL SELECT jobs.id, jobs.parent_id, line.depth + 1 FROM line JOIN jobs ON jobs.id = line.parent_id
)
SELECT coalesce(root_id, id) AS root_id, {CALLER_COLUMNS}, priority, deadline_at, metadata,
  cancel_requested_at IS NOT NULL AS is_cancelled, now() AS now, (SELECT max(depth) FROM line) AS depth,
  max_cost_usd - cost_usd - jobs_cost_below(id) AS left_usd, data_class
FROM parent
""")
_LINK = text("""
INSERT INTO job_children (parent_id, key, organization_id, child_id, position)
VALUES (:parent_id, :key, :organization_id, :child_id, :position)
""")
_KEYS = text("SELECT key FROM job_children WHERE parent_id = :parent_id AND organization_id = :organization_id")
_CHILDREN = text("""
SELECT link.key, child.id, child.capability, child.state, child.reason, child.error, child.result, child.result_ref,
  child.cost_usd + below_usd AS cost_usd, usage_is_priced(child.usage) AND below_priced AS is_priced,
  link.told AS is_reported, child.data_class
FROM job_children AS link JOIN jobs AS child ON child.id = link.child_id
CROSS JOIN LATERAL jobs_costs_below(child.id) AS below
WHERE link.parent_id = :parent_id AND link.organization_id = :organization_id ORDER BY link.position
""")
_MARK_REPORTED = text("""
UPDATE job_children SET told = true
WHERE parent_id = :parent_id AND key = ANY(CAST(:keys AS text[])) AND NOT told RETURNING key
""")
# The events that a child's end added to its parent, and the pool in which the parent waits.
_EVENTS_OF_END = text("""
SELECT event.job_id, event.id, event.previous, event.type, event.attempt, event.data, event.created_at, parent.pool
FROM jobs AS parent JOIN job_events AS event ON event.job_id = parent.id
WHERE parent.id = :parent_id AND parent.organization_id = :organization_id AND event.job_id = :parent_id
  AND event.id >= (
    SELECT event.id FROM job_events AS event WHERE event.job_id = :parent_id AND event.type = 'child.finished'
      AND event.data ->> 'job_id' = typeid('job', :child_id))
ORDER BY event.id LIMIT 100
""")

# A caller that may see a job may see its children.
_TREE = text(f"""
WITH RECURSIVE tree AS (
  SELECT id, CAST(NULL AS uuid) AS parent_id, CAST(NULL AS text) AS key, 0 AS depth, ARRAY[0] AS place
  FROM jobs WHERE id = :id AND {VISIBLE}
  UNION ALL
  SELECT link.child_id, link.parent_id, link.key, tree.depth + 1, tree.place || link.position
  FROM tree JOIN job_children AS link ON link.parent_id = tree.id
)
SELECT job.id, tree.parent_id, tree.key, tree.depth, job.capability, job.state, job.reason, job.cost_usd,
  usage_is_priced(job.usage) AS is_priced, job.created_at, job.started_at, job.finished_at
FROM tree JOIN jobs AS job ON job.id = tree.id AND job.project_id = :project_id
ORDER BY tree.place
""")

# Locked rows are left to the dispatcher: a process that ends a child waits for its parent's row, which we hold.
_LOCK_CHILDREN = text(
    f"SELECT id, state FROM jobs WHERE parent_id = ANY(CAST(:parents AS uuid[])) AND project_id = :project_id"
    f" AND {ACTIVE} ORDER BY id FOR UPDATE SKIP LOCKED"
)


def ask(
    session: Session,
    job_id: UUID,
    organization_id: UUID,
    key: str,
    *,
    question: str,
    schema: Mapping[str, Any],
    details: Mapping[str, Any] | None,
    timeout_seconds: float,
    approves: str | None = None,
) -> bool:
    """Store a question; False when the job already has one under this key."""
    asked = session.execute(
        _ASK,
        {
            "job_id": job_id,
            "key": key,
            "organization_id": organization_id,
            "question": question,
            "schema": dump(schema),
            "details": dump(details),
            "timeout_seconds": timeout_seconds,
            "approves": approves,
        },
    )
    return bool(asked.rowcount)  # type: ignore[attr-defined]


def questions(executor: Executor, organization_id: UUID, job_id: UUID) -> list[Question]:
    """All of the job's questions, oldest first."""
    rows = executor.execute(_QUESTIONS, {"job_id": job_id, "organization_id": organization_id})
    return [Question(*tuple(row)) for row in rows]


def inbox(executor: Executor, principal: Principal, limit: int) -> list[tuple[Question, JobRecord]]:
    """The open questions of the caller's jobs, the most urgent first, each with its job."""
    values = {**visible_to(principal), "organization_id": principal.organization_id, "limit": limit}
    width = _QUESTION.count(",") + 1
    return [(Question(*row[:width]), to_record(row[width:])) for row in executor.execute(_INBOX, values)]


def answer(session: Session, organization_id: UUID, job_id: UUID, key: str, *, value: Any, answered_by: str) -> bool:
    """Store the answer to an open question; False when it is no longer open."""
    rows = session.execute(
        _ANSWER,
        {
            "job_id": job_id,
            "key": key,
            "organization_id": organization_id,
            "value": dumps(value).decode(),
            "answered_by": answered_by,
        },
    ).all()
    return bool(rows)


def lock_job(session: Session, principal: Principal, job_id: UUID) -> JobRecord | None:
    """The job, locked until the transaction ends; None when the project has no such job."""
    row = session.execute(_LOCK_JOB, {"id": job_id, **visible_to(principal)}).one_or_none()
    return None if row is None else to_record(row)


def lock_parent(session: Session, job_id: UUID, attempt: int) -> Parent | None:
    """What the running attempt's job passes on, its row locked; None when the attempt does not own the job."""
    row = session.execute(_LOCK_PARENT, {"id": job_id, "attempt": attempt}).one_or_none()
    return None if row is None else Parent(**{**row._asdict(), "data_class": DataClass(row.data_class)})


def child_keys(session: Session, organization_id: UUID, parent_id: UUID) -> set[str]:
    """The keys under which the job has children."""
    return set(session.execute(_KEYS, {"parent_id": parent_id, "organization_id": organization_id}).scalars())


def link(session: Session, organization_id: UUID, parent_id: UUID, *, key: str, child_id: UUID, position: int) -> None:
    """Record which child a call became."""
    session.execute(
        _LINK,
        {
            "parent_id": parent_id,
            "key": key,
            "organization_id": organization_id,
            "child_id": child_id,
            "position": position,
        },
    )


def children(executor: Executor, organization_id: UUID, parent_id: UUID) -> list[Child]:
    """The job's children, in the order in which they were called."""
    rows = executor.execute(_CHILDREN, {"parent_id": parent_id, "organization_id": organization_id})
    return [
        Child(*row[:3], JobState(row[3]), *row[4:-1], DataClass(row[-1]))  # type: ignore[call-arg]
        for row in rows
    ]


def mark_reported(session: Session, parent_id: UUID, keys: Sequence[str]) -> set[str]:
    """Mark ended children as reported; returns the keys of those that were not yet."""
    return set(session.execute(_MARK_REPORTED, {"parent_id": parent_id, "keys": list(keys)}).scalars())


def events_of_end(
    executor: Executor, organization_id: UUID, parent_id: UUID, child_id: UUID
) -> tuple[list[Event], str | None]:
    """The parent's events from the one that reports the child's end, and its pool; nothing when not reported."""
    rows = executor.execute(
        _EVENTS_OF_END, {"parent_id": parent_id, "organization_id": organization_id, "child_id": child_id}
    ).all()
    return [Event(*tuple(row)[:7]) for row in rows], (rows[0].pool if rows else None)


def tree(executor: Executor, principal: Principal, job_id: UUID) -> list[Node]:
    """The job and all below it, parents before children, siblings in the order of their calls; empty: no such job."""
    rows = executor.execute(_TREE, {"id": job_id, **visible_to(principal)})
    return [Node(**{**row._asdict(), "state": JobState(row.state)}) for row in rows]


def lock_children(session: Session, principal: Principal, parents: Sequence[UUID]) -> dict[UUID, JobState]:
    """The open children of `parents` that no one else has locked; locks them."""
    rows = session.execute(_LOCK_CHILDREN, {"parents": list(parents), "project_id": principal.project_id})
    return {row.id: JobState(row.state) for row in rows}
