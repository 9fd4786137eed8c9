"""The SQL of jobs as clients see them: submit, read, list, cancel, events. Every statement names the project."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.jobs.conditions import ACTIVE, FAILED
from core.jobs.records import Event, JobFilter, JobRecord, NewJob
from core.jobs.states import ACTIVE as ACTIVE_STATES
from core.jobs.states import CANCEL, JobState, Reason
from core.jobs.trail import CALLER, SUBJECT, actor_parameters, audited, digest_of, subject_of
from core.keys.authority import CALLER_COLUMNS, Submitted, grants_of
from core.keys.errors import ScopeMissing
from core.keys.principal import Principal
from core.keys.scopes import WHOLE_ORGANIZATION
from core.kit.data_classes import DataClass
from core.kit.db import Executor, Step
from core.kit.json_values import dumps

COLUMNS = (
    "id, organization_id, project_id, key_id, capability, pool, state, reason, error, priority, created_at, run_at,"
    " deadline_at, dispatched_at, started_at, finished_at, cancel_requested_at, attempt, failures, max_attempts,"
    " parent_id, root_id, traceparent, metadata, usage, cost_usd, max_cost_usd, event_last,"
    " payload_erased_at, shadow_arm_id, webhook, submitted_by, outages, disclosure, data_class"
)
_WIDTH = COLUMNS.count(",") + 1

# Which jobs a caller may see: those of its project and, for a key restricted to capabilities, only of those. This is
# the one place that decides it: every query for a caller's jobs uses it.
_OF_CAPABILITIES = "(CAST(:capabilities AS text[]) IS NULL OR capability = ANY(:capabilities))"
VISIBLE = f"project_id = :project_id AND {_OF_CAPABILITIES}"

_SUBMITTED = audited(
    AuditAction.JOB_SUBMIT,
    CALLER,
    subject=SUBJECT,
    digest=":input_digest",
    detail="jsonb_build_object('capability', capability, 'max_cost_usd', max_cost_usd::text, 'data_class', data_class)",
)
_SUBMIT = text(f"""
WITH job AS (
  INSERT INTO jobs (id, organization_id, project_id, key_id, capability, pool, priority, run_at, deadline_at,
    max_attempts, max_cost_usd, parent_id, root_id, traceparent, metadata, input, input_ref, input_digest,
    webhook, shadow_arm_id, batch_id, submitted_by, grants, declared_class, data_class)
  VALUES (:id, :organization_id, :project_id, :key_id, :capability, :pool, :priority,
    coalesce(CAST(:run_at AS timestamptz), now()),
    coalesce(CAST(:deadline_at AS timestamptz),
      greatest(CAST(:run_at AS timestamptz), now()) + make_interval(secs => CAST(:deadline_seconds AS float8))),
    :max_attempts, :max_cost_usd, :parent_id, :root_id, :traceparent,
    CAST(:metadata AS jsonb), CAST(:input AS json), :input_ref, :input_digest,
    CAST(:webhook AS jsonb), :shadow_arm_id, :batch_id, :submitted_by, CAST(:grants AS text[]),
    CAST(:declared_class AS data_class),
    greatest(coalesce(CAST(:declared_class AS data_class), CAST(:inherited_class AS data_class), 'internal'),
      CAST(:inherited_class AS data_class),
      (SELECT data_class FROM projects WHERE id = :project_id AND organization_id = :organization_id)))
  RETURNING {COLUMNS}
), {_SUBMITTED}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  VALUES (:id, 1, 0, :organization_id, 'job.queued', 0, CAST(:event AS json))
)
SELECT {COLUMNS} FROM job
""")

# Almost no job has children: one index lookup shows that, and then both columns are null. OFFSET 0 makes that lookup
# run first; without it, the planner turns it into a join condition and computes the costs of every job.
COSTS_BELOW = """LEFT JOIN LATERAL (
    SELECT * FROM jobs_costs_below(jobs.id) WHERE EXISTS (SELECT FROM job_children WHERE parent_id = jobs.id) OFFSET 0
  ) AS below ON true"""
_BELOW = "coalesce(below_usd, 0) AS below_usd, coalesce(below_priced, true) AS below_priced"
_GET = text(f"SELECT {COLUMNS}, {_BELOW} FROM jobs {COSTS_BELOW} WHERE id = :id AND {VISIBLE}")
_GET_PAYLOADS = text(
    f"SELECT {COLUMNS}, {_BELOW}, input, input_ref, result, result_ref FROM jobs {COSTS_BELOW}"
    f" WHERE id = :id AND {VISIBLE}"
)
_LOCK = text(f"SELECT state FROM jobs WHERE id = :id AND {VISIBLE} FOR UPDATE")

_CANCEL_IDLE = text(f"""
WITH job AS (
  UPDATE jobs SET state = 'cancelled', reason = '{Reason.CANCELLED_BY_CLIENT}', finished_at = now(),
    cancel_requested_at = now(), event_last = event_limit + 1, event_limit = event_limit + 1
  WHERE id = ANY(CAST(:ids AS uuid[])) AND project_id = :project_id
  RETURNING jobs.*, old.event_last AS previous
), {audited(AuditAction.JOB_CANCEL, CALLER)}, event AS (
  INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
  SELECT id, event_last, previous, organization_id, 'job.cancelled', attempt, jsonb_build_object('reason', reason)
  FROM job
)
SELECT {COLUMNS}, ledger_release(ARRAY[id]) FROM job
""")
_CANCEL_RUNNING = text(f"""
WITH job AS (
  UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, now())
  WHERE id = ANY(CAST(:ids AS uuid[])) AND project_id = :project_id RETURNING jobs.*
), {audited(AuditAction.JOB_CANCEL, CALLER, detail="jsonb_build_object('state', state)")}
SELECT {COLUMNS} FROM job
""")

_CALLER = text(f"SELECT {CALLER_COLUMNS} FROM jobs WHERE id = :id")

_EVENT_COLUMNS = "job_id, id, previous, type, attempt, data, created_at"
_EVENTS = text(
    f"SELECT {_EVENT_COLUMNS} FROM job_events WHERE job_id = :job_id AND organization_id = :organization_id"
    " AND id > :after ORDER BY id LIMIT :limit"
)


# What few jobs are at any time, however many wait in the queue.
_RARE = frozenset({JobState.RUNNING, JobState.WAITING})


def visible_to(principal: Principal) -> dict[str, Any]:
    """The parameters that `VISIBLE` names."""
    capabilities = principal.capabilities
    return {
        "project_id": principal.project_id,
        "capabilities": None if capabilities is None else sorted(capabilities),
    }


def to_record(row: Sequence[Any]) -> JobRecord:
    """The record of a row that starts with `COLUMNS`."""
    values = tuple(row[:_WIDTH])
    return JobRecord(*values[:6], JobState(values[6]), *values[7:-1], DataClass(values[-1]))  # type: ignore[call-arg]


def to_record_with_children(row: Row[Any]) -> JobRecord:
    """The record of a row that also has the cost of the jobs below it."""
    return replace(to_record(row), children_cost_usd=row.below_usd, children_are_priced=row.below_priced)


def to_event(row: Row[Any]) -> Event:
    """The event of a row of ``job_events``."""
    return Event(*tuple(row))


def dump(value: Mapping[str, Any] | Sequence[Any] | None) -> str | None:
    """JSON text for a ``CAST(… AS json)``; None stays SQL NULL, never the JSON value null. Raises `Unstorable`."""
    return None if value is None else dumps(value).decode()


def insertion(principal: Principal, job_id: UUID, new: NewJob, input_ref: str | None) -> Step:
    """The statement that writes the job, its first event and its audit record; its row is a `to_record`."""
    return (
        _SUBMIT,
        {
            **actor_parameters(principal),
            "id": job_id,
            "subject": subject_of(job_id),
            "organization_id": principal.organization_id,
            "project_id": principal.project_id,
            "key_id": principal.key_id,
            "capability": new.capability,
            "pool": new.pool,
            "priority": new.priority.rank,
            "run_at": new.run_at,
            "deadline_at": new.deadline_at,
            "deadline_seconds": new.deadline_seconds,
            "max_attempts": new.max_attempts,
            "max_cost_usd": new.max_cost_usd,
            "parent_id": new.parent_id,
            "root_id": new.root_id or job_id,
            "traceparent": new.traceparent,
            "metadata": dump(new.metadata),
            "input": None if input_ref else dump(new.input),
            "input_ref": input_ref,
            "input_digest": digest_of(new.input),
            "webhook": dump(new.webhook),
            "shadow_arm_id": new.shadow_arm_id,
            "batch_id": new.batch_id,
            "submitted_by": principal.submitter,
            "grants": grants_of(principal),
            "declared_class": new.declared_class,
            "inherited_class": new.inherited_class,
            "event": dump({"capability": new.capability, "priority": str(new.priority)}),
        },
    )


def get(session: Executor, principal: Principal, job_id: UUID) -> JobRecord | None:
    """The job, or None when the project has no such job."""
    row = session.execute(_GET, {"id": job_id, **visible_to(principal)}).one_or_none()
    return None if row is None else to_record_with_children(row)


def get_payloads(session: Executor, principal: Principal, job_id: UUID) -> Row[Any] | None:
    """The job's row followed by input, input_ref, result and result_ref."""
    return session.execute(_GET_PAYLOADS, {"id": job_id, **visible_to(principal)}).one_or_none()


def caller_of(session: Executor, job_id: UUID) -> Submitted:
    """The job's caller and the rights it holds now, as `act_for` takes them."""
    return cast("Submitted", session.execute(_CALLER, {"id": job_id}).one())


def conditions(where: JobFilter, principal: Principal) -> tuple[str, dict[str, Any]]:
    """The WHERE clause of a listing, and its parameters.

    Raises `ScopeMissing` when it names another project than the caller's without the scope ``organization:read``:
    whether or not that project exists.
    """
    visible, values = VISIBLE, visible_to(principal)
    if where.project not in {None, principal.project_id}:
        if WHOLE_ORGANIZATION not in principal.scopes:
            raise ScopeMissing(f"this key or role lacks the scope {WHOLE_ORGANIZATION}", scope=WHOLE_ORGANIZATION)
        project = "" if where.project == "all" else "project_id = :other_project_id AND "
        visible = f"organization_id = :organization_id AND {project}{_OF_CAPABILITIES}"
        values |= {"organization_id": principal.organization_id, "other_project_id": where.project}
    clauses = [visible, f"shadow_arm_id IS {'NOT ' if where.shadows else ''}NULL"]
    # As the partial indexes say it: both kinds are few beside what has succeeded.
    if where.states and ACTIVE_STATES.issuperset(where.states):
        clauses.append(ACTIVE)
    elif where.states and set(where.states) <= {JobState.FAILED, JobState.EXPIRED, JobState.REJECTED}:
        clauses.append(FAILED)
    for name, clause, value in (
        ("states", "state = ANY(CAST(:states AS job_state[]))", [state.value for state in where.states]),
        ("capability", "capability = :capability", where.capability),
        # The key carries the creation time: bounding it lets whole partitions be skipped. The minute around it absorbs
        # the difference between the clock that set the key and the one that wrote created_at.
        (
            "created_after",
            "created_at >= :created_after AND id >= uuid7_floor(:created_after - interval '1 minute')",
            where.created_after,
        ),
        (
            "created_before",
            "created_at < :created_before AND id < uuid7_floor(:created_before + interval '1 minute')",
            where.created_before,
        ),
        ("metadata", "metadata @> CAST(:metadata AS jsonb)", dump(where.metadata) if where.metadata else None),
        ("reason", "reason = :reason", where.reason),
        ("model", "usage @> jsonb_build_array(jsonb_build_object('model', CAST(:model AS text)))", where.model),
        ("key_id", "key_id = :key_id", where.key_id),
        ("min_cost_usd", "cost_usd >= :min_cost_usd", where.min_cost_usd),
        (
            "min_seconds",
            "coalesce(finished_at, now()) - started_at >= make_interval(secs => CAST(:min_seconds AS float8))",
            where.min_seconds,
        ),
    ):
        if value:
            clauses.append(clause)
            values[name] = value
    return " AND ".join(clauses), values


def newest(columns: str, clause: str, order: str, where: JobFilter) -> str:
    """The statement that reads the jobs of `clause`, the newest as `order` says.

    The newest jobs of each project are the start of an index. Those of an organization are in none, so that no
    submission has to maintain it: they are the newest of the newest of each project.
    """
    if where.project != "all":
        return f"SELECT {columns} FROM jobs WHERE {clause} {order}"
    of_project = f"SELECT {columns} FROM jobs WHERE project_id = projects.id AND {clause} {order}"
    return (
        f"SELECT found.* FROM projects CROSS JOIN LATERAL ({of_project}) AS found"
        f" WHERE projects.organization_id = :organization_id {order}"
    )


def list_jobs(
    session: Executor, principal: Principal, where: JobFilter, cursor: UUID | None, limit: int
) -> list[JobRecord]:
    """The jobs of the filter's project, newest first, with ids below `cursor`. Raises `ScopeMissing`."""
    clause, values = conditions(where, principal)
    after = "" if cursor is None else " AND id < :cursor"
    order = "ORDER BY id DESC LIMIT :limit"
    if where.states and _RARE.issuperset(where.states):
        # Row-level security hides the statistics of states, so the planner expects to meet such a job soon and walks
        # through all others. Behind OFFSET 0 it does not know of the order, and reads the index of unfinished jobs.
        found = f"SELECT * FROM jobs WHERE {clause}{after} OFFSET 0"
        statement = f"SELECT {COLUMNS} FROM ({found}) AS jobs {order}"
    else:
        statement = newest(COLUMNS, f"{clause}{after}", order, where)
    rows = session.execute(text(statement), {**values, "cursor": cursor, "limit": limit})
    return [to_record(row) for row in rows]


def cancel(session: Session, principal: Principal, job_id: UUID) -> JobRecord | None:
    """Cancel an idle job at once, ask a running one to stop, leave an ended one as it is. None: no such job."""
    scope = {"id": job_id, **visible_to(principal)}
    state = session.execute(_LOCK, scope).scalar_one_or_none()
    if state is None:
        return None
    if JobState(state) in CANCEL.sources:
        return cancel_idle(session, principal, [job_id])[0]
    if JobState(state) is JobState.RUNNING:
        return ask_to_stop(session, principal, [job_id])[0]
    return get(session, principal, job_id)


def cancel_idle(session: Session, principal: Principal, job_ids: Sequence[UUID]) -> list[JobRecord]:
    """Cancel jobs that no worker runs; the caller has locked them."""
    asked = {"ids": list(job_ids), "project_id": principal.project_id, **actor_parameters(principal)}
    return [to_record(row) for row in session.execute(_CANCEL_IDLE, asked)]


def ask_to_stop(session: Session, principal: Principal, job_ids: Sequence[UUID]) -> list[JobRecord]:
    """Ask running jobs to stop; the caller has locked them."""
    asked = {"ids": list(job_ids), "project_id": principal.project_id, **actor_parameters(principal)}
    return [to_record(row) for row in session.execute(_CANCEL_RUNNING, asked)]


def events_after(session: Executor, organization_id: UUID, job_id: UUID, after: int, limit: int) -> list[Event]:
    """Persisted events with ids above `after`, oldest first."""
    rows = session.execute(
        _EVENTS, {"job_id": job_id, "organization_id": organization_id, "after": after, "limit": limit}
    )
    return [to_event(row) for row in rows]
