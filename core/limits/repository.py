"""The SQL of limits. Every statement names the organization."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.db import Executor, Step
from core.limits.records import LimitKind, LimitRecord, ScopeId

# How long a period's use is kept after its start: a month's quota, and a year of history.
USAGE_RETENTION_DAYS = 400

_ADMIT = text("SELECT limits_admit(:organization, :project, :key)")
_IN_SCOPE = text("""
SELECT scope, scope_id, kind, value FROM limits
WHERE organization_id = :organization AND scope_id IN (:organization, :project, CAST(:key AS uuid))
""")

# Concurrency is counted on the rows of jobs, as the dispatcher does.
_LIMIT = """
SELECT limits.id, limits.scope, limits.scope_id, limits.kind, limits.value,
  CASE kind
    WHEN 'requests_per_minute' THEN NULL
    WHEN 'concurrent_jobs' THEN (
      SELECT count(*) FROM jobs WHERE jobs.organization_id = :organization
        AND (state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL))
        AND limits.scope_id IN (jobs.organization_id, jobs.project_id, jobs.key_id))
    ELSE coalesce(limits_level(limits.kind, usage.used, usage.updated_at, limits.value, clock_timestamp()), 0)
  END AS used,
  nullif(limits_period_start(limits.kind, now()), '-infinity') AS period_start,
  limits_period_end(limits.kind, now()) AS resets_at, limits.updated_at
FROM limits LEFT JOIN LATERAL (
  SELECT used, updated_at FROM quota_usage
  WHERE quota_usage.organization_id = :organization AND quota_usage.scope_id = limits.scope_id
    AND quota_usage.kind = limits.kind AND period_start = limits_period_start(limits.kind, now())
) AS usage ON true
WHERE limits.organization_id = :organization
"""
_ORDER = "ORDER BY array_position(ARRAY['organization', 'project', 'key'], limits.scope), limits.kind"
_OF_SCOPES = text(f"{_LIMIT} AND limits.scope_id = ANY(CAST(:scope_ids AS uuid[])) {_ORDER}")
_LIST = text(
    f"{_LIMIT} AND (CAST(:cursor AS uuid) IS NULL OR limits.id < CAST(:cursor AS uuid))"
    " ORDER BY limits.id DESC LIMIT :limit"
)
_ONE = text(f"{_LIMIT} AND limits.scope_id = :scope_id AND limits.kind = :kind")

_HAS_SCOPE = text("""
SELECT CASE CAST(:scope AS text)
  WHEN 'project' THEN EXISTS (SELECT FROM projects WHERE id = :scope_id AND organization_id = :organization)
  WHEN 'key' THEN EXISTS (SELECT FROM api_keys WHERE id = :scope_id AND organization_id = :organization)
  ELSE CAST(:scope_id AS uuid) = CAST(:organization AS uuid) END
""")
_SET = text("""
INSERT INTO limits (organization_id, scope, scope_id, kind, value)
VALUES (:organization, :scope, :scope_id, :kind, :value)
ON CONFLICT (organization_id, scope_id, kind) DO UPDATE SET value = EXCLUDED.value, updated_at = now()
""")
_OPEN = text("SELECT limits_open(:organization, :scope_id, :kind)")
_REMOVE = text(
    "DELETE FROM limits WHERE organization_id = :organization AND scope_id = :scope_id AND kind = :kind RETURNING value"
)
_DELETE_USAGE = text("""
DELETE FROM quota_usage WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM quota_usage
  WHERE period_start > '-infinity' AND period_start < now() - make_interval(days => CAST(:days AS int)) LIMIT 1000))
""")


def admission(principal: Principal) -> Step:
    """The statement that counts a job against the caller's quotas, or refuses; `errors.refusal_of` reads it."""
    return (
        _ADMIT,
        {"organization": principal.organization_id, "project": principal.project_id, "key": principal.key_id},
    )


def in_scope(executor: Executor, principal: Principal) -> list[tuple[ScopeId, LimitKind, Decimal]]:
    """The caller's limits: those of its organization, project and key, without their use."""
    rows = executor.execute(
        _IN_SCOPE,
        {"organization": principal.organization_id, "project": principal.project_id, "key": principal.key_id},
    )
    return [(ScopeId(row.scope, row.scope_id), LimitKind(row.kind), row.value) for row in rows]


def of_scopes(executor: Executor, organization_id: UUID, scope_ids: Iterable[UUID]) -> list[LimitRecord]:
    """The limits of some scopes with their use."""
    rows = executor.execute(_OF_SCOPES, {"organization": organization_id, "scope_ids": sorted(scope_ids)})
    return [_to_record(row) for row in rows]


def list_limits(executor: Executor, organization_id: UUID, cursor: UUID | None, limit: int) -> list[LimitRecord]:
    """The organization's limits, newest first, with ids below `cursor`."""
    rows = executor.execute(_LIST, {"organization": organization_id, "cursor": cursor, "limit": limit})
    return [_to_record(row) for row in rows]


def get_limit(executor: Executor, organization_id: UUID, scope_id: UUID, kind: LimitKind) -> LimitRecord | None:
    """One limit with its use."""
    found = executor.execute(
        _ONE, {"organization": organization_id, "scope_id": scope_id, "kind": kind.value}
    ).one_or_none()
    return None if found is None else _to_record(found)


def has_scope(session: Session, organization_id: UUID, whose: ScopeId) -> bool:
    """Whether the scope is the organization itself, or a project or key of it."""
    values = {"organization": organization_id, "scope": whose.scope, "scope_id": whose.id}
    return bool(session.execute(_HAS_SCOPE, values).scalar_one())


def set_limit(session: Session, organization_id: UUID, whose: ScopeId, kind: LimitKind, value: Decimal) -> None:
    """Write a limit, and add up its period's use before it was set."""
    scope = {"organization": organization_id, "scope_id": whose.id, "kind": kind.value}
    session.execute(_SET, {**scope, "scope": whose.scope, "value": value})
    session.execute(_OPEN, scope)


def remove_limit(session: Session, organization_id: UUID, scope_id: UUID, kind: LimitKind) -> Decimal | None:
    """Delete a limit; returns its value, or None when there was none."""
    values = {"organization": organization_id, "scope_id": scope_id, "kind": kind.value}
    removed: Decimal | None = session.execute(_REMOVE, values).scalar_one_or_none()
    return removed


def delete_usage(session: Session) -> int:
    """Delete the use of periods long past, a small batch at a time, across organizations; returns how many."""
    return session.execute(_DELETE_USAGE, {"days": USAGE_RETENTION_DAYS}).rowcount  # type: ignore[attr-defined, no-any-return]


def _to_record(row: Row[Any]) -> LimitRecord:
    return LimitRecord(
        row.id,
        row.scope,
        row.scope_id,
        LimitKind(row.kind),
        row.value,
        None if row.used is None else Decimal(row.used),
        row.period_start,
        row.resets_at,
        row.updated_at,
    )
