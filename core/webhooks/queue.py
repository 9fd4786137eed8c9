"""The SQL of delivering, across organizations: take due deliveries, write their results.

All times are the database's, moved by an offset that only tests set. A delivery is held by a lease that needs no
renewal, because an attempt is bounded in time; its holder writes under the number of its attempt.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.webhooks.models import HELD, PENDING
from core.webhooks.records import Backlog, Held
from core.webhooks.sender import Outcome

# One process takes at a time, so that an endpoint's deliveries under way are counted exactly, over all processes.
_LOCK = text("SELECT pg_advisory_xact_lock(7201958)")
_NOW = "(now() + make_interval(secs => CAST(:offset_seconds AS float8)))"

# A skip scan: one index probe per lane that has anything to deliver, however much that is. A lane that fails or is slow
# is *weak*: it gets one slot, or its usual number if it is slow, among the slots reserved for weak lanes. Deliveries
# are taken round robin over the lanes.
_CLAIM = text(f"""
WITH RECURSIVE heads AS (
  (SELECT lane FROM webhook_deliveries WHERE {PENDING} ORDER BY lane LIMIT 1)
  UNION ALL
  SELECT (SELECT lane FROM webhook_deliveries WHERE {PENDING} AND lane > heads.lane ORDER BY lane LIMIT 1)
  FROM heads WHERE heads.lane IS NOT NULL
), lanes AS (
  SELECT heads.lane, coalesce(endpoint.is_slow OR endpoint.failing_since IS NOT NULL, false) AS is_weak,
    CASE WHEN endpoint.failing_since IS NULL THEN CAST(:per_lane AS int) ELSE 1 END - (
      SELECT count(*) FROM webhook_deliveries AS held
      WHERE held.lane = heads.lane AND held.{HELD} AND held.next_attempt_at > {_NOW}) AS room
  FROM heads LEFT JOIN webhook_endpoints AS endpoint ON endpoint.id = heads.lane
  WHERE heads.lane IS NOT NULL AND coalesce(endpoint.state, 'active') = 'active'
), due AS (
  SELECT found.id, found.next_attempt_at,
    lanes.is_weak OR (found.endpoint_id IS NULL AND found.failures > 0) AS is_weak,
    row_number() OVER (PARTITION BY lanes.lane ORDER BY found.next_attempt_at, found.id) AS place
  FROM lanes CROSS JOIN LATERAL (
    SELECT id, next_attempt_at, endpoint_id, failures FROM webhook_deliveries
    WHERE {PENDING} AND lane = lanes.lane AND next_attempt_at <= {_NOW}
    ORDER BY next_attempt_at LIMIT greatest(lanes.room, 0)) AS found
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY is_weak ORDER BY place, next_attempt_at, id) AS in_class FROM due
), chosen AS (
  SELECT id FROM ranked WHERE NOT is_weak OR in_class <= :weak_room
  ORDER BY place, next_attempt_at, id LIMIT :room
), taken AS (
  UPDATE webhook_deliveries AS delivery SET is_held = true, attempts = attempts + 1,
    next_attempt_at = {_NOW} + make_interval(secs => CAST(:lease_seconds AS float8))
  FROM chosen WHERE delivery.id = chosen.id AND delivery.{PENDING} AND delivery.next_attempt_at <= {_NOW}
  RETURNING delivery.*
)
SELECT taken.id, taken.organization_id, taken.project_id, taken.endpoint_id, coalesce(taken.url, endpoint.url) AS url,
  taken.lane, taken.event, taken.body, taken.attempts, taken.failures, endpoint.failing_since, {_NOW} AS began_at,
  taken.traceparent, taken.job_id, secret.sealed,
  CASE WHEN secret.previous_until > {_NOW} THEN secret.previous END AS previous,
  coalesce(endpoint.is_slow OR endpoint.failing_since IS NOT NULL,
    taken.endpoint_id IS NULL AND taken.failures > 0) AS is_weak
FROM taken LEFT JOIN webhook_endpoints AS endpoint ON endpoint.id = taken.endpoint_id
LEFT JOIN webhook_secrets AS secret ON secret.owner_id = coalesce(taken.endpoint_id, taken.project_id)
ORDER BY taken.next_attempt_at, taken.id
""")

# Deliveries held by a paused endpoint are not late. A held delivery is under way until its lease ends.
_BACKLOG = text(f"""
SELECT count(*) FILTER (WHERE is_active AND next_attempt_at <= now()) AS due,
  count(*) FILTER (WHERE is_active AND next_attempt_at > now()) AS later,
  count(*) FILTER (WHERE NOT is_active) AS paused,
  coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE is_active AND next_attempt_at <= now())), 0)
    AS oldest_due_seconds
FROM (
  SELECT delivery.next_attempt_at, coalesce(endpoint.state, 'active') = 'active' AS is_active
  FROM webhook_deliveries AS delivery LEFT JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
  WHERE delivery.{PENDING}) AS pending
""")

# The attempt is recorded whichever process holds the delivery by now: it was made.
_ATTEMPT = """
attempt AS (
  INSERT INTO webhook_attempts (delivery_id, number, organization_id, project_id, began_at, latency_ms, status, error)
  VALUES (:id, :attempt, :organization_id, :project_id, CAST(:began_at AS timestamptz), :latency_ms,
    CAST(:status AS int), CAST(:error AS text))
)
"""
_MINE = f"id = :id AND attempts = :attempt AND {PENDING}"
_DELIVERED = text(f"""
WITH {_ATTEMPT}, well AS (
  UPDATE webhook_endpoints SET failing_since = NULL, is_slow = :is_slow
  WHERE id = CAST(:endpoint_id AS uuid) AND (failing_since IS NOT NULL OR is_slow <> :is_slow)
)
UPDATE webhook_deliveries SET state = 'delivered', is_held = false, finished_at = {_NOW}, last_status = :status,
  last_error = NULL
WHERE {_MINE}
""")
# A failure at the end of the schedule ends the delivery.
_FAILED = text(f"""
WITH {_ATTEMPT}, ill AS (
  UPDATE webhook_endpoints SET failing_since = {_NOW}
  WHERE id = CAST(:endpoint_id AS uuid) AND failing_since IS NULL
)
UPDATE webhook_deliveries SET failures = failures + 1, is_held = false, last_status = CAST(:status AS int),
  last_error = :error,
  state = CASE WHEN CAST(:delay_seconds AS float8) IS NULL THEN 'failed' ELSE 'pending' END,
  finished_at = CASE WHEN CAST(:delay_seconds AS float8) IS NULL THEN {_NOW} END,
  next_attempt_at = {_NOW} + make_interval(secs => coalesce(CAST(:delay_seconds AS float8), 0))
WHERE {_MINE}
""")

_DISABLE = text(f"""
UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = :reason
WHERE id = :id AND state <> 'disabled' AND (CAST(:failing_seconds AS float8) IS NULL
  OR failing_since <= {_NOW} - make_interval(secs => CAST(:failing_seconds AS float8)))
RETURNING organization_id, project_id, url
""")
# Deliveries being sent end too: a receiver that is gone, or has failed for days, is not waited for.
_DROP_PENDING = text(f"""
UPDATE webhook_deliveries SET state = 'failed', is_held = false, finished_at = {_NOW}, last_error = 'endpoint_disabled'
WHERE endpoint_id = :id AND lane = :id AND {PENDING}
""")
_NOTIFY_DISABLED = text("""
SELECT webhook_tell(organization_id, project_id, 'webhook.disabled', jsonb_build_object(
  'endpoint_id', typeid('whe', id), 'project_id', typeid('prj', project_id), 'url', url,
  'reason', disabled_reason, 'failing_since', webhook_time(failing_since)), id)
FROM webhook_endpoints WHERE id = :id
""")
_ANNOUNCE_KEYS = text("SELECT webhook_announce_keys(CAST(:ahead AS interval))")
_DELETE_NOTICES = text("DELETE FROM webhook_notices WHERE announced_at < now() - interval '400 days'")


def claim(
    session: Session,
    *,
    room: int,
    weak_room: int,
    per_lane: int,
    lease_seconds: float,
    offset_seconds: float = 0.0,
) -> list[tuple[Held, bool]]:
    """Take at most `room` due deliveries, of which at most `weak_room` of weak lanes; with whether the lane is weak."""
    session.execute(_LOCK)
    rows = session.execute(
        _CLAIM,
        {
            "room": room,
            "weak_room": weak_room,
            "per_lane": per_lane,
            "lease_seconds": lease_seconds,
            "offset_seconds": offset_seconds,
        },
    )
    return [(Held(*tuple(row)[:-1]), bool(row.is_weak)) for row in rows]


def delivered(executor: Executor, held: Held, outcome: Outcome, *, is_slow: bool, offset_seconds: float = 0.0) -> None:
    """Record a success."""
    executor.execute(_DELIVERED, {**_facts(held, outcome, offset_seconds), "is_slow": is_slow})


def failed(
    executor: Executor, held: Held, outcome: Outcome, delay: timedelta | None, *, offset_seconds: float = 0.0
) -> None:
    """Record a failure; retry after `delay`, or never when that is None."""
    seconds = None if delay is None else delay.total_seconds()
    executor.execute(_FAILED, {**_facts(held, outcome, offset_seconds), "delay_seconds": seconds})


def disable(
    session: Session, endpoint_id: UUID, reason: str, *, failing_seconds: float | None, offset_seconds: float = 0.0
) -> tuple[UUID, UUID] | None:
    """Disable an endpoint, with `failing_seconds` only if it has failed for that long, and notify the project's others.

    Its pending deliveries fail. Returns organization and project, or None when there was nothing to disable.
    """
    named = {"id": endpoint_id, "offset_seconds": offset_seconds}
    found = session.execute(_DISABLE, {**named, "reason": reason, "failing_seconds": failing_seconds}).one_or_none()
    if found is None:
        return None
    session.execute(_DROP_PENDING, named)
    session.execute(_NOTIFY_DISABLED, {"id": endpoint_id})
    return found.organization_id, found.project_id


def announce_keys(session: Session, ahead: timedelta) -> int:
    """Announce the keys that expire within `ahead`, once each; returns how many."""
    session.execute(_DELETE_NOTICES)
    return int(session.execute(_ANNOUNCE_KEYS, {"ahead": ahead}).scalar_one())


def _facts(held: Held, outcome: Outcome, offset_seconds: float) -> dict[str, object]:
    return {
        "id": held.id,
        "attempt": held.attempt,
        "organization_id": held.organization_id,
        "project_id": held.project_id,
        "endpoint_id": held.endpoint_id,
        "began_at": held.began_at,
        "latency_ms": outcome.latency_ms,
        "status": outcome.status,
        "error": outcome.error,
        "offset_seconds": offset_seconds,
    }


def backlog(session: Executor) -> Backlog:
    """Pending deliveries, over all organizations. Reads only those."""
    row = session.execute(_BACKLOG, {}).one()
    return Backlog(row.due, row.later, row.paused, float(row.oldest_due_seconds))
